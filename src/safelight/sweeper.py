"""What heals: the sweeper looks at every job that is due and does what was cut off or forgotten.

    awaiting_upload   the file is there, its event was lost    → dispatched
                      the window is over and no file came      → EXPIRED
    queued            the message was lost                     → another is sent
    processing        the claim ran out                        → another message is sent
                      and the attempts are used up             → FAILED
    ended             losing attempts left files               → removed
                      retention is over                        → erased

It runs every minute, in pages and in bounded time. Every step may run twice, and beside everything else.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from safelight.errors import AttemptsUsedUp, JobNotFound, SafelightError, StorageUnavailable
from safelight.model import Failure, Job, Notice, Stage
from safelight.service import LOOK_FOR_UPLOAD_EVERY, TIDY_AFTER, WAKE_AGAIN_AFTER, Service

log = logging.getLogger(__name__)

Announce = Callable[[Notice], None]

AWAY: Final = 3
"""So many jobs in a row whose storage does not answer are taken for a store that is away."""


def announce_to_log(notice: Notice) -> None:
    """Tell the log, where nobody else wants to be told."""
    log.debug("job ended", extra={"job": notice.job_id, "state": notice.state, "notice": notice.id})


class Sweeper:
    """Sweeps the jobs of a `Service`. `announce` delivers a notice, or raises to have it delivered later."""

    def __init__(self, service: Service, announce: Announce = announce_to_log) -> None:
        self._service = service
        self._ports = service.ports
        self._settings = service.settings
        self._announce = announce
        self._unanswered = 0

    def sweep(self, *, budget: float = 45.0) -> Counter[str]:
        """Look at everything that is due, for at most about `budget` seconds. Return what was done, counted.

        Raise StorageUnavailable if the store itself does not answer.
        """
        end = time.monotonic() + budget
        self._unanswered = 0
        done: Counter[str] = Counter()
        seen: set[str] = set()
        while time.monotonic() < end:
            page = self._ports.jobs.due(self._ports.clock(), limit=100)
            fresh = [job for job in page if job.id not in seen]
            if not fresh:
                break
            for job in fresh:
                seen.add(job.id)
                done[self._look_at(job)] += 1
        self._deliver(end, done)
        return done

    def _look_at(self, job: Job) -> str:
        try:
            step = self._step(job)
        except JobNotFound:
            step = "gone"
        except Exception as error:
            log.exception("sweeping failed", extra={"job": job.id})
            # Out of the way of the others, for which it would be the first in every sweep: it becomes due again.
            self._due(job, self._ports.clock() + WAKE_AGAIN_AFTER)
            if isinstance(error, StorageUnavailable):
                self._unanswered += 1
                if self._unanswered == AWAY:
                    raise
            return "errors"
        self._unanswered = 0
        return step

    def _step(self, job: Job) -> str:
        now = self._ports.clock()
        if job.state.terminal:
            return self._tidy_or_erase(job, now)
        if job.stage is Stage.AWAITING_UPLOAD:
            return self._look_for_upload(job, now)
        if not job.claimable(now):
            self._due(job, max(job.claim.until if job.claim else 0.0, job.retry_at, now + 1.0))
            return "waiting"
        if job.attempt >= self._settings.max_attempts:
            failure = job.last_failure or Failure(code=AttemptsUsedUp.code, message=AttemptsUsedUp().message)
            self._ports.jobs.update(
                job.id, lambda job: job.failed(None, failure, now=now, due_at=now + TIDY_AFTER)
            )
            return "failed"
        self._service.wake(job)
        self._due(job, now + WAKE_AGAIN_AFTER)
        return "woken"

    def _look_for_upload(self, job: Job, now: float) -> str:
        found = self._ports.blobs.head(job.upload.key)
        if found is not None:
            self._service.dispatch(found.key, found.version, found.bytes)
            return "dispatched"
        end = job.updated_at + self._settings.upload_seconds + self._settings.upload_grace_seconds
        if now < end:
            self._due(job, min(now + LOOK_FOR_UPLOAD_EVERY, end))
            return "waiting"
        retention = self._settings.retention_seconds
        self._ports.jobs.update(job.id, lambda job: job.expired(now=now, due_at=now + retention))
        return "expired"

    def _tidy_or_erase(self, job: Job, now: float) -> str:
        end = job.updated_at + self._settings.retention_seconds
        if now >= end:
            self._service.erase(job)
            return "erased"
        winners = {output.key for output in job.outputs}
        losers = [
            blob.key
            for blob in self._ports.blobs.list(f"processed/uploads/{job.id}/").items
            if blob.key not in winners
        ]
        for key in losers:
            self._ports.blobs.delete(key)
        self._due(job, end)
        return "tidied"

    def _due(self, job: Job, at: float) -> None:
        """Look again then, unless somebody wrote in the meantime: that write set a time of its own."""
        self._ports.jobs.update(
            job.id,
            lambda newest: newest.looked_at(due_at=at) if newest.revision == job.revision else newest,
            known=job,
        )

    def _deliver(self, end: float, done: Counter[str]) -> None:
        while time.monotonic() < end:
            notices = self._ports.notices.pending(self._ports.clock())
            if not notices:
                return
            for notice in notices:
                try:
                    self._announce(notice)
                except SafelightError:
                    log.exception("notice not delivered", extra={"job": notice.job_id, "notice": notice.id})
                    self._ports.notices.postpone(notice.id, self._ports.clock() + WAKE_AGAIN_AFTER)
                    continue
                self._ports.notices.settle(notice.id)
                done["told"] += 1
