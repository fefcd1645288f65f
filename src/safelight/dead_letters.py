"""What people do about the messages that the queue gave up on: look why, send them again, throw them away.

A dead letter says only that its message was handed out too often; why, the job's own record says. By the time that
somebody looks, the sweeper has failed the job, and its message alone would wake nobody: so to redrive the letter of a
FAILED job is to retry the job.
"""

from collections.abc import Collection
from enum import StrEnum

from safelight.errors import JobNotFound
from safelight.model import Job, JobState, Value
from safelight.ports import DeadLetter, DeadLetters, Fate, Page
from safelight.service import Service


class Redriven(StrEnum):
    """What redriving a dead letter came to."""

    SENT = "sent"
    """The message is in the queue again."""
    RETRIED = "retried"
    """The job had FAILED and starts again."""
    OVER = "over"
    """The job has ended or is gone and needs no message any more: the letter was removed."""
    KEPT = "kept"
    """It is no job's message, so nothing can be done but to look at it and to purge it."""


class Case(Value, frozen=True):
    """A dead letter and the job that it was about, if there still is one."""

    letter: DeadLetter
    job: Job | None = None

    @property
    def reason(self) -> str:
        """Why the message died, as well as is known."""
        failure = self.job and (self.job.failure or self.job.last_failure)
        return failure.message if failure else self.letter.reason


class Morgue:
    """The dead letters of a service's queue."""

    def __init__(self, service: Service, letters: DeadLetters) -> None:
        self._service = service
        self._letters = letters

    def cases(self, *, cursor: str | None = None, limit: int = 100) -> Page[Case]:
        """A part of the dead letters, with their jobs."""
        page = self._letters.dead(cursor=cursor, limit=limit)
        cases = tuple(Case(letter=letter, job=self._job_of(letter)) for letter in page.items)
        return Page(items=cases, cursor=page.cursor)

    def case(self, job_id: str) -> Case | None:
        """The dead letter of this job, or None if there is none."""
        cursor = None
        while True:
            page = self._letters.dead(cursor=cursor, limit=1000)
            for letter in page.items:
                if letter.wake.job_id == job_id:
                    return Case(letter=letter, job=self._job_of(letter))
            cursor = page.cursor
            if cursor is None:
                return None

    def redrive(self, job_ids: Collection[str] | None = None) -> dict[str, Redriven]:
        """Have the work of these dead letters done after all, or of all of them. What is not there is not in the
        answer: a second call finds nothing to do."""
        done: dict[str, Redriven] = {}

        def fate_of(letter: DeadLetter) -> Fate:
            name = letter.wake.job_id
            if job_ids is not None and name not in job_ids:
                return Fate.KEEP
            done[name] = self._redrive(letter)
            return {Redriven.SENT: Fate.SEND, Redriven.KEPT: Fate.KEEP}.get(done[name], Fate.DROP)

        self._letters.settle(fate_of)
        return done

    def purge(self) -> int:
        """Throw all dead letters away. Jobs are not touched. Return how many it were."""
        return self._letters.settle(lambda _letter: Fate.DROP)

    def _redrive(self, letter: DeadLetter) -> Redriven:
        if not letter.wake.key:
            return Redriven.KEPT
        job = self._job_of(letter)
        if job is not None and job.state is JobState.FAILED:
            self._service.retry(job.owner, job.id)
            return Redriven.RETRIED
        return Redriven.OVER if job is None or job.state.terminal else Redriven.SENT

    def _job_of(self, letter: DeadLetter) -> Job | None:
        if not letter.wake.key:
            return None
        try:
            return self._service.ports.jobs.get(letter.wake.job_id)
        except JobNotFound:
            return None
