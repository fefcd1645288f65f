-- A store as the first schema wrote it, with a job in every state. Never changed: what was released stays as it was.
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

INSERT INTO jobs ("id", "owner", "state", "created_at", "due_at", "revision", "document")
    VALUES ('awaiting', 'ann', 'PENDING', 1700000000.0, 1700000600.0, 1, CAST('{"id":"awaiting","owner":"ann","state":"PENDING","stage":"awaiting_upload","created_at":1700000000.0,"updated_at":1700000000.0,"upload":{"filename":"Ünïcode name.jpg","key":"uploads/awaiting/Ünïcode name.jpg"},"recipe":{"name":"default","digest":"d"},"due_at":1700000600.0}' AS BLOB));
INSERT INTO jobs ("id", "owner", "state", "created_at", "due_at", "revision", "document")
    VALUES ('queued', 'ann', 'PENDING', 1700000000.0, 1700000601.0, 2, CAST('{"id":"queued","owner":"ann","state":"PENDING","stage":"queued","created_at":1700000000.0,"updated_at":1700000001.0,"upload":{"filename":"Ünïcode name.jpg","key":"uploads/queued/Ünïcode name.jpg"},"recipe":{"name":"default","digest":"d"},"revision":2,"due_at":1700000601.0,"source":{"key":"uploads/queued/a.jpg","version":"v1","bytes":3}}' AS BLOB));
INSERT INTO jobs ("id", "owner", "state", "created_at", "due_at", "revision", "document")
    VALUES ('processing', 'ann', 'PROCESSING', 1700000000.0, 1700000040.0, 3, CAST('{"id":"processing","owner":"ann","state":"PROCESSING","stage":"fetching","created_at":1700000000.0,"updated_at":1700000002.0,"upload":{"filename":"Ünïcode name.jpg","key":"uploads/processing/Ünïcode name.jpg"},"recipe":{"name":"default","digest":"d"},"revision":3,"due_at":1700000040.0,"source":{"key":"uploads/processing/a.jpg","version":"v1","bytes":3},"attempt":1,"claim":{"token":"t","worker":"w","until":1700000040.0},"timeline":[{"at":1700000002.0,"state":"PROCESSING","attempt":1}]}' AS BLOB));
INSERT INTO jobs ("id", "owner", "state", "created_at", "due_at", "revision", "document")
    VALUES ('completed', 'ann', 'COMPLETED', 1700000000.0, 1700001000.0, 4, CAST('{"id":"completed","owner":"ann","state":"COMPLETED","stage":"done","created_at":1700000000.0,"updated_at":1700000003.0,"upload":{"filename":"Ünïcode name.jpg","key":"uploads/completed/Ünïcode name.jpg"},"recipe":{"name":"default","digest":"d"},"revision":4,"due_at":1700001000.0,"source":{"key":"uploads/completed/a.jpg","version":"v1","bytes":3},"attempt":1,"outputs":[{"name":"main","key":"processed/uploads/completed/t/main.jpg","content_type":"image/jpeg","width":4,"height":3,"bytes":7,"sha256":"0000000000000000000000000000000000000000000000000000000000000000","primary":true}],"timeline":[{"at":1700000002.0,"state":"PROCESSING","attempt":1},{"at":1700000003.0,"state":"COMPLETED","attempt":1}]}' AS BLOB));
INSERT INTO jobs ("id", "owner", "state", "created_at", "due_at", "revision", "document")
    VALUES ('failed', 'ann', 'FAILED', 1700000000.0, 1700001000.0, 4, CAST('{"id":"failed","owner":"ann","state":"FAILED","stage":"done","created_at":1700000000.0,"updated_at":1700000003.0,"upload":{"filename":"Ünïcode name.jpg","key":"uploads/failed/Ünïcode name.jpg"},"recipe":{"name":"default","digest":"d"},"revision":4,"due_at":1700001000.0,"source":{"key":"uploads/failed/a.jpg","version":"v1","bytes":3},"attempt":1,"failure":{"code":"truncated","message":"It ends too early."},"timeline":[{"at":1700000002.0,"state":"PROCESSING","attempt":1},{"at":1700000003.0,"state":"FAILED","attempt":1,"code":"truncated"}]}' AS BLOB));
INSERT INTO jobs ("id", "owner", "state", "created_at", "due_at", "revision", "document")
    VALUES ('expired', 'ann', 'EXPIRED', 1700000000.0, 1700009000.0, 2, CAST('{"id":"expired","owner":"ann","state":"EXPIRED","stage":"done","created_at":1700000000.0,"updated_at":1700004000.0,"upload":{"filename":"Ünïcode name.jpg","key":"uploads/expired/Ünïcode name.jpg"},"recipe":{"name":"default","digest":"d"},"revision":2,"due_at":1700009000.0,"timeline":[{"at":1700004000.0,"state":"EXPIRED"}]}' AS BLOB));
INSERT INTO jobs ("id", "owner", "state", "created_at", "due_at", "revision", "document")
    VALUES ('canceled', 'ann', 'CANCELED', 1700000000.0, 1700000700.0, 2, CAST('{"id":"canceled","owner":"ann","state":"CANCELED","stage":"done","created_at":1700000000.0,"updated_at":1700000005.0,"upload":{"filename":"Ünïcode name.jpg","key":"uploads/canceled/Ünïcode name.jpg"},"recipe":{"name":"default","digest":"d"},"revision":2,"due_at":1700000700.0,"timeline":[{"at":1700000005.0,"state":"CANCELED"}]}' AS BLOB));
INSERT INTO notices ("id", "due_at", "document")
    VALUES ('canceled.2', 1700000005.0, CAST('{"id":"canceled.2","job_id":"canceled","owner":"ann","state":"CANCELED","at":1700000005.0}' AS BLOB));
INSERT INTO notices ("id", "due_at", "document")
    VALUES ('completed.4', 1700000003.0, CAST('{"id":"completed.4","job_id":"completed","owner":"ann","state":"COMPLETED","at":1700000003.0}' AS BLOB));
INSERT INTO notices ("id", "due_at", "document")
    VALUES ('expired.2', 1700004000.0, CAST('{"id":"expired.2","job_id":"expired","owner":"ann","state":"EXPIRED","at":1700004000.0}' AS BLOB));
INSERT INTO notices ("id", "due_at", "document")
    VALUES ('failed.4', 1700000003.0, CAST('{"id":"failed.4","job_id":"failed","owner":"ann","state":"FAILED","at":1700000003.0}' AS BLOB));
INSERT INTO messages ("id", "job_id", "group", "wake", "turn", "ready", "visible_at", "received", "receipt", "again_at")
    VALUES (1, 'queued', 'ann', CAST('{"job_id":"queued","key":"uploads/queued/a.jpg","group":"ann"}' AS BLOB), 6, 1, 1700000000.0, 0, NULL, NULL);
INSERT INTO dead_letters ("job_id", "wake", "received", "died_at", "reason")
    VALUES ('dead', CAST('{"job_id":"dead","key":"uploads/dead/a.jpg","group":"ann"}' AS BLOB), 5, 1700000000.0, 'Received 5 times without being acknowledged.');
INSERT INTO records ("partition", "key", "value", "version", "expires_at")
    VALUES ('keys', 'k', CAST('value' AS BLOB), 1, NULL);
PRAGMA user_version = 1;
