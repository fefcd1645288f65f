"""What an operator sees at a glance."""

import time
from collections import Counter
from collections.abc import Callable

from safelight.model import MINUTE, Job, JobState
from safelight.ports import MINUTES_KEPT, TROUBLES_KEPT, Backlog, Minute, Trouble
from safelight.testing.jobs import Jobs
from safelight.testing.queue import Queue


class Watch:
    """The `Watch` port in memory: it looks at the jobs and messages themselves."""

    def __init__(self, jobs: Jobs, queue: Queue, clock: Callable[[], float] = time.time) -> None:
        self._jobs = jobs
        self._queue = queue
        self._clock = clock

    def backlog(self) -> Backlog:
        """What waits in the queue, and what it gave up."""
        since = self._queue.waiting_since()
        return Backlog(
            depth=self._queue.depth(),
            oldest_age=0.0 if since is None else self._clock() - since,
            dead=len(self._queue.dead(limit=1_000_000).items),
        )

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        return dict(Counter(job.state for job in self._jobs.all()))

    def working(self, *, limit: int = 100) -> list[Job]:
        """Jobs that a worker has claimed."""
        return [job for job in self._jobs.all() if job.claim is not None][:limit]

    def failures(self, *, limit: int = 20) -> list[Trouble]:
        """The newest failures."""
        return [
            Trouble(job_id=job.id, at=job.updated_at, code=job.failure.code, message=job.failure.message)
            for job in self._jobs.ended[::-1]
            if job.failure is not None
        ][: min(limit, TROUBLES_KEPT)]

    def minutes(self, since: float) -> list[Minute]:
        """The minutes in which jobs ended."""
        ends = Counter((job.updated_at // MINUTE * MINUTE, job.state) for job in self._jobs.ended)
        return [
            Minute(at=at, completed=ends[at, JobState.COMPLETED], failed=ends[at, JobState.FAILED])
            for at in sorted({at for at, _ in ends if at >= since // MINUTE * MINUTE})
            if ends[at, JobState.COMPLETED] or ends[at, JobState.FAILED]
        ][-MINUTES_KEPT:]
