"""What heals: the sweeper looks at every job that is due and does what was cut off or forgotten.

    awaiting_upload   the file is there, its event was lost    → dispatched
                      the window is over and no file came      → EXPIRED
    queued            the message was lost                     → another is sent
    processing        the claim ran out                        → another message is sent
                      and the attempts are used up             → FAILED
    any               its deletion was cut off                 → erased
    expired           the upload landed late, its event lost   → dispatched
    ended             losing attempts left files               → removed
                      retention is over                        → erased
    files             their job is gone (orphans.py)           → removed
    notices           not delivered yet                        → delivered
                      and it was the last job of its batch     → the batch's, too

It runs every minute, in pages and in bounded time. Every step may run twice, and beside everything else.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from safelight import faults
from safelight.batches import Batches
from safelight.errors import AttemptsUsedUp, JobNotFound, StorageUnavailable
from safelight.model import DAY, HOUR, Failure, Job, JobState, Notice, Stage
from safelight.orphans import Orphans
from safelight.service import TIDY_AFTER, WAKE_AGAIN_AFTER, Service
from safelight.uploads import LOOK_FOR_UPLOAD_EVERY

log = logging.getLogger(__name__)

Announce = Callable[[Notice], None]

LOOK_FOR_LATE_UPLOAD_AFTER: Final = HOUR
"""When an EXPIRED job is looked at once more: an upload that began in time may have taken that long."""

PARTS_WITHIN: Final = DAY
"""How long an upload in parts may take, however often its client comes back: storage keeps parts no longer."""

SHARE_OF_JOBS: Final = 0.75
"""How much of a sweep's time the jobs may take when they are many: the rest is for telling what came of them."""

TOGETHER: Final = 25
"""So many notices are told in one commit: nobody else can write meanwhile."""

_OVER: Final = "over"
"""A step that is yet to be done: the job is erased with the others of its page."""

AWAY: Final = 3
"""So many jobs in a row whose storage does not answer are taken for a store that is away."""


def announce_to_log(notice: Notice) -> None:
    """Tell the log that a job has come to its end."""
    log.debug("job ended", extra={"job": notice.job_id, "state": notice.state, "notice": notice.id})


class Sweeper:
    """Sweeps the jobs of a `Service`. `announce` delivers a notice, or raises to have it delivered later. With
    `orphans`, each sweep also looks at a page of them."""

    def __init__(
        self, service: Service, announce: Announce = announce_to_log, *, orphans: Orphans | None = None
    ) -> None:
        self._service = service
        self._ports = service.ports
        self._settings = service.settings
        self._announce = announce
        self._orphans = orphans
        self._over: list[Job] = []
        self._batches = Batches(self._ports.records, self._ports.clock)
        self._unanswered = 0

    def sweep(self, *, budget: float = 45.0) -> Counter[str]:
        """Look at everything that is due, for at most about `budget` seconds. Return what was done, counted.

        Raise StorageUnavailable if the store itself does not answer.
        """
        begun = time.monotonic()
        self._unanswered, self._over = 0, []
        done: Counter[str] = Counter()
        seen: set[str] = set()
        while time.monotonic() < begun + budget * SHARE_OF_JOBS:
            page = self._ports.jobs.due(self._ports.clock(), limit=100)
            fresh = [job for job in page if job.id not in seen]
            if not fresh:
                break
            for job in fresh:
                seen.add(job.id)
                done[self._look_at(job, self._step)] += 1
            self._erase_over(done)
        done += self.tell(budget=begun + budget - time.monotonic())
        if self._orphans is not None and time.monotonic() < begun + budget:
            done += self._orphans.look()
        return done

    def _erase_over(self, done: Counter[str]) -> None:
        """Erase what is over, all at once: the disk is waited for as often for a hundred jobs as for one."""
        over, self._over = self._over, []
        done.pop(_OVER, None)
        if not over:
            return
        try:
            self._service.erase(*over)
        except Exception as error:
            log.warning("not erased together: %s", error)
            for job in over:  # so that one that can not be erased keeps none of the others
                done[self._look_at(job, self._erase)] += 1
        else:
            self._is_done()
            done["erased"] += len(over)

    def _erase(self, job: Job) -> str:
        self._service.erase(job)
        return "erased"

    def _look_at(self, job: Job, act: Callable[[Job], str]) -> str:
        faults.reached("sweep.step")
        try:
            step = act(job)
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
        if step != _OVER:
            self._is_done()
        return step

    def _is_done(self) -> None:
        self._unanswered = 0
        faults.reached("sweep.done")

    def _step(self, job: Job) -> str:
        now = self._ports.clock()
        if self._service.was_deleted(job):  # and whoever did it was cut off
            self._over.append(job)
            return _OVER
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
        multipart = job.upload.multipart
        if multipart is not None and multipart.id is not None:
            # A client that goes on asking for parts keeps its job open, but not for ever.
            end = min(end, multipart.begun_at + PARTS_WITHIN)
        if now < end:
            self._due(job, min(now + LOOK_FOR_UPLOAD_EVERY, end))
            return "waiting"
        due_at = now + LOOK_FOR_LATE_UPLOAD_AFTER
        job = self._ports.jobs.update(job.id, lambda job: job.expired(now=now, due_at=due_at))
        if job.state is JobState.EXPIRED and multipart is not None and multipart.id is not None:
            self._ports.multiparts.abort(job.upload.key, multipart.id)
        return "expired"

    def _tidy_or_erase(self, job: Job, now: float) -> str:
        if job.state is JobState.EXPIRED and (found := self._ports.blobs.head(job.upload.key)):
            self._service.dispatch(found.key, found.version, found.bytes)
            return "dispatched"
        end = job.updated_at + self._settings.retention_seconds
        if now >= end:
            self._over.append(job)
            return _OVER
        missing = self._remove_losers(job)
        self._due(job, end)
        if missing:
            # Nothing here can bring them back: whoever reads the log can render the job again.
            log.error("outputs are missing", extra={"job": job.id, "outputs": sorted(missing)})
            return "missing"
        return "tidied"

    def _remove_losers(self, job: Job) -> set[str]:
        """Remove what attempts left that did not win. Return the outputs of the one that won that are not there."""
        missing = {output.key for output in job.outputs}
        winners, losers, cursor = frozenset(missing), [], None
        while True:
            page = self._ports.blobs.list(f"processed/uploads/{job.id}/", cursor=cursor)
            losers += [blob.key for blob in page.items if blob.key not in winners]
            missing -= {blob.key for blob in page.items}
            cursor = page.cursor
            if cursor is None:
                break
        for key in losers:
            self._ports.blobs.delete(key)
        return missing

    def _due(self, job: Job, at: float) -> None:
        """Look again then, unless somebody wrote in the meantime: that write set a time of its own."""
        self._ports.jobs.update(
            job.id,
            lambda newest: newest.looked_at(due_at=at) if newest.revision == job.revision else newest,
            known=job,
        )

    def tell(self, *, budget: float = 45.0) -> Counter[str]:
        """Announce every notice that waits, for at most about `budget` seconds; a part of every sweep. Return what was
        done, counted. Raise StorageUnavailable."""
        end = time.monotonic() + budget
        done: Counter[str] = Counter()
        while time.monotonic() < end:
            notices = self._ports.notices.pending(self._ports.clock(), limit=TOGETHER)
            if not notices:
                break
            done += self._tell_or_postpone(*notices)
        return done

    def _tell_or_postpone(self, *notices: Notice) -> Counter[str]:
        try:
            self._tell(*notices)
        except Exception as error:
            if len(notices) > 1:  # one that can not be told keeps none of the others
                log.warning("not told together: %s", error)
                return sum((self._tell_or_postpone(notice) for notice in notices), Counter())
            [notice] = notices
            log.exception("notice not delivered", extra={"job": notice.job_id, "notice": notice.id})
            self._ports.notices.postpone(notice.id, self._ports.clock() + WAKE_AGAIN_AFTER)
            return Counter()
        return Counter(told=len(notices))

    def _tell(self, *notices: Notice) -> None:
        """What is made of the notices, and that they are done with, in one commit where that can be."""
        with self._ports.together():
            for notice in notices:
                faults.reached("notice.telling")
                # The batch's own first: it is this notice that brings it back if we are cut off.
                if whole := self._batches.completed_by(notice):
                    self._announce(whole)
                self._announce(notice)
                faults.reached("notice.told")
                self._ports.notices.settle(notice.id)
