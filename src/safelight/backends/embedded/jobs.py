"""Jobs and the outbox of notices, in the tables `jobs` and `notices`.

A job is stored whole, as JSON; the columns beside it repeat what is searched for. A write names the revision that it
was made from and is refused when somebody else wrote in between: then the change is applied to what they wrote.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from safelight.backends.embedded import watch
from safelight.backends.embedded.database import Database, Transaction
from safelight.cursors import pack, unpack
from safelight.decoding import known
from safelight.errors import JobNotFound
from safelight.model import Job, JobState, Notice, notice_of
from safelight.ports import Clock, Page

_encode: Final = msgspec.json.Encoder().encode
_job: Final = msgspec.json.Decoder(known(Job)).decode
_notice: Final = msgspec.json.Decoder(known(Notice)).decode

_INSERT: Final = """
    INSERT INTO jobs (id, owner, state, created_at, due_at, revision, document) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING"""
_UPDATE: Final = """
    UPDATE jobs SET state = ?, due_at = ?, revision = ?, document = ? WHERE id = ? AND revision = ?"""


class Jobs:
    """The `Jobs` port. `changed` is told the id of every job that was written, after the write is durable; `noticed` is
    called when a notice was stored with it."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        changed: Callable[[str], None],
        noticed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed
        self._noticed = noticed

    def create(self, job: Job) -> None:
        """Store a new job."""
        self.create_all((job,))

    def create_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs, all or none."""
        with self._database.writing() as write:
            for job in jobs:
                columns = (
                    job.id,
                    job.owner,
                    job.state,
                    job.created_at,
                    job.due_at,
                    job.revision,
                    _encode(job),
                )
                write.run(_INSERT, columns)
        for job in jobs:
            self._database.afterwards(partial(self._changed, job.id))

    def read(self, job_ids: Sequence[str]) -> tuple[Job, ...]:
        """Those of these jobs that there are."""
        rows = self._database.rows(
            "SELECT document FROM json_each(?) JOIN jobs ON jobs.id = value ORDER BY key",
            (_encode(job_ids).decode(),),
        )
        return tuple(_job(document) for (document,) in rows)

    def get(self, job_id: str) -> Job:
        """The job as last written."""
        row = self._database.row("SELECT document FROM jobs WHERE id = ?", (job_id,))
        if row is None:
            raise JobNotFound
        return _job(row[0])

    def update(self, job_id: str, change: Callable[[Job], Job], *, known: Job | None = None) -> Job:
        """Apply a transition."""
        before = known or self.get(job_id)
        while True:
            # Outside the transaction: nobody else waits while the change is worked out.
            after = change(before)
            if after is before:
                # The caller's copy may be old, and then "nothing to do" may not be true any more.
                newest = self.get(job_id)
                if newest.revision == before.revision:
                    return newest
                before = newest
                continue
            # A claim that a power failure takes back has harmed nobody, and it is on the disk with the next commit that
            # waits for it, or the next checkpoint, a second later: so that an attempt that brings the machine down
            # counts.
            with self._database.writing(durable=after.state is not JobState.PROCESSING) as write:
                stored = self._replace(write, before, after)
            if stored:
                self._database.afterwards(partial(self._changed, job_id))
                if notice_of(before, after):
                    self._database.afterwards(self._noticed)
                return after
            before = self.get(job_id)

    def delete(self, job_id: str) -> None:
        """Erase the record."""
        with self._database.writing() as write:
            write.run("DELETE FROM jobs WHERE id = ?", (job_id,))
        self._database.afterwards(partial(self._changed, job_id))

    def due(self, now: float, *, limit: int = 100) -> list[Job]:
        """Jobs whose `due_at` has passed, the longest overdue first."""
        rows = self._database.rows(
            "SELECT document FROM jobs WHERE due_at <= ? ORDER BY due_at LIMIT ?", (now, limit)
        )
        return [_job(document) for (document,) in rows]

    def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Which of these jobs there are."""
        asked = _encode(list(job_ids)).decode()
        rows = self._database.rows(
            "SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(?))", (asked,)
        )
        return frozenset(job_id for (job_id,) in rows)

    def list(
        self, owner: str, *, state: JobState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Job]:
        """The owner's jobs, newest first."""
        where, arguments = ["owner = ?"], [owner]
        if state is not None:
            where.append("state = ?")
            arguments.append(state)
        if cursor is not None:
            where.append("(created_at, id) < (?, ?)")
            arguments += unpack(cursor, float, str)
        rows = self._database.rows(
            f"SELECT document FROM jobs WHERE {' AND '.join(where)}"  # nosec B608 # conditions from above, no value
            " ORDER BY created_at DESC, id DESC LIMIT ?",
            (*arguments, limit + 1),
        )
        jobs = tuple(_job(document) for (document,) in rows[:limit])
        more = len(rows) > limit
        return Page(items=jobs, cursor=pack(jobs[-1].created_at, jobs[-1].id) if more and jobs else None)

    def recover(self, worker: str | None = None) -> Sequence[str]:
        """Make the jobs that this worker had in hand claimable at once, or those of all workers. Only for when they
        can not be alive. The attempt that was cut short counts: the job itself may have brought the machine down.
        Return the ids of those jobs."""
        now = self._clock()
        rows = self._database.rows("SELECT document FROM jobs WHERE state = 'PROCESSING'")
        claimed = [job for (document,) in rows if (job := _job(document)).claim is not None]
        dead = [job.id for job in claimed if worker is None or (job.claim and job.claim.worker == worker)]
        for job_id in dead:
            self.update(job_id, lambda job: _abandoned(job, worker, now))
        return dead

    def _replace(self, write: Transaction, before: Job, after: Job) -> bool:
        columns = (after.state, after.due_at, after.revision, _encode(after))
        if not write.run(_UPDATE, (*columns, before.id, before.revision)):
            return False
        if notice := notice_of(before, after):
            write.run(
                "INSERT INTO notices (id, due_at, document) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (notice.id, notice.at, _encode(notice)),
            )
            watch.note(write, after)
        return True


def _abandoned(job: Job, worker: str | None, now: float) -> Job:
    if job.claim is None or job.claim.until <= now or worker not in (None, job.claim.worker):
        return job
    return job.extended(job.claim.token, job.stage, now=now, until=now)


class Notices:
    """The `Notices` port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, now: float, *, limit: int = 100) -> list[Notice]:
        """Notices to deliver now, oldest first."""
        rows = self._database.rows(
            "SELECT document FROM notices WHERE due_at <= ? ORDER BY due_at, id LIMIT ?", (now, limit)
        )
        return [_notice(document) for (document,) in rows]

    def settle(self, notice_id: str) -> None:
        """The notice is delivered, or nobody wants it. If a power failure undoes this, it is told once more."""
        with self._database.writing(durable=False) as write:
            write.run("DELETE FROM notices WHERE id = ?", (notice_id,))

    def postpone(self, notice_id: str, until: float) -> None:
        """Delivery failed; hand the notice out again from then."""
        with self._database.writing() as write:
            write.run("UPDATE notices SET due_at = ? WHERE id = ?", (until, notice_id))
