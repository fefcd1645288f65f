"""What an operator sees at a glance, in the tables `job_counts`, `ends` and `failures`.

Triggers count jobs by state; the write that ends a job also counts it in its minute and, if it FAILED, notes why. So
nothing is counted when somebody looks, and everything is true to the last commit.
"""

from typing import Final

import msgspec

from safelight.backends.embedded.database import Database, Transaction
from safelight.decoding import known
from safelight.model import MINUTE, Job, JobState
from safelight.ports import MINUTES_KEPT, TROUBLES_KEPT, Backlog, Clock, Minute, Trouble

_job: Final = msgspec.json.Decoder(known(Job)).decode


def note(write: Transaction, job: Job) -> None:
    """Count a job that ends with this write."""
    minute = int(job.updated_at // MINUTE)
    write.run(
        "INSERT INTO ends VALUES (?, ?, 1) ON CONFLICT (minute, state) DO UPDATE SET number = number + 1",
        (minute, job.state),
    )
    write.run("DELETE FROM ends WHERE minute <= ?", (minute - MINUTES_KEPT,))
    if job.failure is not None:
        write.run(
            "INSERT INTO failures (job_id, at, code, message) VALUES (?, ?, ?, ?)",
            (job.id, job.updated_at, job.failure.code, job.failure.message),
        )
        write.run("DELETE FROM failures WHERE id <= (SELECT max(id) FROM failures) - ?", (TROUBLES_KEPT,))


class Watch:
    """The `Watch` port."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def backlog(self) -> Backlog:
        """What waits in the queue, and what it gave up."""
        now = self._clock()
        row = self._database.row(
            """SELECT depth, (SELECT count(*) FROM dead_letters),
                   (SELECT min(visible_at) FROM messages WHERE ready = 1),
                   (SELECT min(visible_at) FROM messages WHERE ready = 0)
               FROM queue"""
        )
        depth, dead, *since = row or (0, 0, None, None)
        # A hidden message whose time has come waits as well: whoever takes the next one finds it.
        ages = [now - at for at in since if at is not None and at <= now]
        return Backlog(depth=depth, oldest_age=max(ages, default=0.0), dead=dead)

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        rows = self._database.rows("SELECT state, number FROM job_counts")
        return {JobState(state): number for state, number in rows}

    def working(self, *, limit: int = 100) -> list[Job]:
        """Jobs that a worker has claimed."""
        rows = self._database.rows("SELECT document FROM jobs WHERE state = 'PROCESSING' LIMIT ?", (limit,))
        return [job for (document,) in rows if (job := _job(document)).claim is not None]

    def failures(self, *, limit: int = 20) -> list[Trouble]:
        """The newest failures."""
        rows = self._database.rows(
            "SELECT job_id, at, code, message FROM failures ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [
            Trouble(job_id=job_id, at=at, code=code, message=message) for job_id, at, code, message in rows
        ]

    def minutes(self, since: float) -> list[Minute]:
        """The minutes in which jobs ended."""
        rows = self._database.rows(
            """SELECT minute, sum(number) FILTER (WHERE state = 'COMPLETED'),
                   sum(number) FILTER (WHERE state = 'FAILED')
               FROM ends WHERE minute >= ? GROUP BY minute ORDER BY minute""",
            (int(since // MINUTE),),
        )
        return [
            Minute(at=minute * MINUTE, completed=completed or 0, failed=failed or 0)
            for minute, completed, failed in rows
            if completed or failed
        ]
