"""The tables of the embedded backend's database, as the list of steps that led to them.

A step that was ever released is never changed: the next one goes to the end. `PRAGMA user_version` counts those that a
file has seen. Times are Unix seconds. No query may look at more rows than it returns, however many there are.
"""

from typing import Final

_FIRST: Final = """
CREATE TABLE jobs (
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    due_at REAL,
    revision INTEGER NOT NULL,
    document BLOB NOT NULL      -- the whole job as JSON; the columns above repeat what is searched for
);
CREATE INDEX jobs_by_owner ON jobs (owner, created_at DESC, id DESC);
CREATE INDEX jobs_by_owner_and_state ON jobs (owner, state, created_at DESC, id DESC);
CREATE INDEX jobs_due ON jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_in_work ON jobs (state) WHERE state = 'PROCESSING';

CREATE TABLE notices (
    id TEXT NOT NULL PRIMARY KEY,
    due_at REAL NOT NULL,
    document BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX notices_due ON notices (due_at);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE,
    "group" TEXT NOT NULL,
    wake BLOB NOT NULL,
    turn INTEGER NOT NULL,      -- the lowest goes first
    ready INTEGER NOT NULL,     -- 1: may be handed out; 0: not before visible_at
    visible_at REAL NOT NULL,
    received INTEGER NOT NULL,
    receipt TEXT,               -- of the newest delivery, while it is in a worker's hands
    again_at REAL               -- sent once more while in a worker's hands: to be handed out again from then
);
CREATE INDEX messages_by_turn ON messages (turn) WHERE ready = 1;
CREATE INDEX messages_hidden ON messages (visible_at) WHERE ready = 0;
CREATE INDEX messages_by_group ON messages ("group", turn);
CREATE INDEX messages_in_hand ON messages (id) WHERE receipt IS NOT NULL;
CREATE TABLE queue (turn INTEGER NOT NULL, depth INTEGER NOT NULL);
INSERT INTO queue VALUES (0, 0);
CREATE TRIGGER messages_enter AFTER INSERT ON messages BEGIN UPDATE queue SET depth = depth + 1; END;
CREATE TRIGGER messages_leave AFTER DELETE ON messages BEGIN UPDATE queue SET depth = depth - 1; END;

CREATE TABLE dead_letters (
    job_id TEXT NOT NULL PRIMARY KEY,
    wake BLOB NOT NULL,
    received INTEGER NOT NULL,
    died_at REAL NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE records (
    partition TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_at REAL,
    PRIMARY KEY (partition, key)
) WITHOUT ROWID;
CREATE INDEX records_by_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;
"""

_WATCHED: Final = """
CREATE TABLE job_counts (state TEXT NOT NULL PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO job_counts SELECT state, count(*) FROM jobs GROUP BY state;
CREATE TRIGGER jobs_enter AFTER INSERT ON jobs BEGIN
    INSERT INTO job_counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER jobs_change AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN
    UPDATE job_counts SET number = number - 1 WHERE state = OLD.state;
    INSERT INTO job_counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER jobs_leave AFTER DELETE ON jobs BEGIN
    UPDATE job_counts SET number = number - 1 WHERE state = OLD.state;
END;
CREATE TABLE ends (             -- how many jobs came to this end in this minute: Unix time, in minutes
    minute INTEGER NOT NULL,
    state TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (minute, state)
) WITHOUT ROWID;
CREATE TABLE failures (         -- the newest ones only
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    at REAL NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX messages_waiting ON messages (visible_at) WHERE ready = 1;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_FIRST, _WATCHED)
