"""Jobs, and the notices of their ends."""

import threading
from collections.abc import Callable, Sequence

from safelight.cursors import unpack
from safelight.errors import JobNotFound
from safelight.model import Job, JobState, Notice, notice_of
from safelight.ports import Page
from safelight.testing.pages import page_of


class Jobs:
    """The `Jobs` port in memory; `notices` is its outbox."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self.notices = Notices()
        self.ended: list[Job] = []
        """Every job as it was at each of its ends."""

    def create(self, job: Job) -> None:
        """Store a new job."""
        with self._lock:
            self._jobs.setdefault(job.id, job)

    def create_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs."""
        for job in jobs:
            self.create(job)

    def read(self, job_ids: Sequence[str]) -> tuple[Job, ...]:
        """Those of these jobs that there are."""
        with self._lock:
            return tuple(self._jobs[job_id] for job_id in job_ids if job_id in self._jobs)

    def get(self, job_id: str) -> Job:
        """The job as last written."""
        with self._lock:
            if job_id not in self._jobs:
                raise JobNotFound
            return self._jobs[job_id]

    def update(self, job_id: str, change: Callable[[Job], Job], *, known: Job | None = None) -> Job:
        """Apply a transition."""
        before = known or self.get(job_id)
        while True:
            # Not under the lock: as on the real backends, somebody else may write while the change is worked out.
            after = change(before)
            with self._lock:
                newest = self.get(job_id)
                if newest.revision == before.revision:
                    if after is not before:
                        self._jobs[job_id] = after
                        self.notices.store(notice_of(before, after))
                        if after.state is not before.state and after.state.terminal:
                            self.ended.append(after)
                        return after
                    return newest
            before = newest

    def delete(self, job_id: str) -> None:
        """Erase the record."""
        with self._lock:
            self._jobs.pop(job_id, None)

    def due(self, now: float, *, limit: int = 100) -> list[Job]:
        """Jobs whose `due_at` has passed, the longest overdue first."""
        with self._lock:
            found = [(job.due_at, job) for job in self._jobs.values() if job.due_at is not None]
        overdue = sorted((each for each in found if each[0] <= now), key=lambda each: each[0])
        return [job for _, job in overdue[:limit]]

    def all(self) -> list[Job]:
        """Every job there is."""
        with self._lock:
            return [*self._jobs.values()]

    def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Which of these jobs there are."""
        with self._lock:
            return frozenset(job_id for job_id in job_ids if job_id in self._jobs)

    def list(
        self, owner: str, *, state: JobState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Job]:
        """The owner's jobs, newest first."""
        before = tuple(unpack(cursor, float, str)) if cursor is not None else None
        with self._lock:
            found = [job for job in self._jobs.values() if job.owner == owner and state in (None, job.state)]
        found = [job for job in found if before is None or (job.created_at, job.id) < before]
        found.sort(key=lambda job: (job.created_at, job.id), reverse=True)
        return page_of(found, limit, lambda job: (job.created_at, job.id))


class Notices:
    """The `Notices` port in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notices: dict[str, tuple[float, Notice]] = {}

    def store(self, notice: Notice | None) -> None:
        """Keep what a write of a job needs to tell."""
        if notice is not None:
            with self._lock:
                self._notices.setdefault(notice.id, (notice.at, notice))

    def pending(self, now: float, *, limit: int = 100) -> list[Notice]:
        """Notices to deliver now, the longest due first."""
        with self._lock:
            due = sorted((at, name) for name, (at, _) in self._notices.items() if at <= now)
            return [self._notices[name][1] for _, name in due[:limit]]

    def settle(self, notice_id: str) -> None:
        """The notice is delivered, or nobody wants it."""
        with self._lock:
            self._notices.pop(notice_id, None)

    def postpone(self, notice_id: str, until: float) -> None:
        """Delivery failed; hand the notice out again from then."""
        with self._lock:
            if notice_id in self._notices:
                self._notices[notice_id] = (until, self._notices[notice_id][1])
