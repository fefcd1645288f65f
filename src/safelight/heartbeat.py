"""The sign of life of an attempt: while it runs, its claim and its queue message are kept from running out."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from safelight.errors import ClaimLost, JobNotFound, SafelightError
from safelight.model import Job, Stage, Value
from safelight.ports import Ports

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the stage. One that is still there at the next look is written: those that pass more
quickly save the write."""


class Worker(Value, frozen=True):
    """Who works: its name on claims, and what it wants to be asked and told.

    `extend(seconds)` keeps its message hidden, `stopping()` says whether it was asked to stop, `rendered()` is told
    that the renderer is free again, while the results are still to be stored.
    """

    name: str
    extend: Callable[[float], None] = lambda _seconds: None
    stopping: Callable[[], bool] = lambda: False
    rendered: Callable[[], None] = lambda: None


class Heartbeat:
    """Extends the claim of `job` every third of a lease, from a thread of its own, while the `with` block runs.

    Whoever works sets `stage`; if it stays for a while a beat writes it. `job` is the newest state that was written.
    If the claim is lost the beat stops; the next write of the attempt itself finds out and raises ClaimLost.
    """

    def __init__(self, ports: Ports, lease: float, job: Job, token: str, worker: Worker) -> None:
        self.job = job
        self.stage = job.stage
        self._ports, self._lease, self._token, self._worker = ports, lease, token, worker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat {job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        beaten, seen = time.monotonic(), self.job.stage
        while not self._ended.wait(LOOK_EVERY):
            stage, before = self.stage, seen
            seen = stage
            stays = stage is before and stage is not self.job.stage
            if not stays and time.monotonic() - beaten < self._lease / 3:
                continue
            beaten = time.monotonic()
            try:
                self._beat(stage)
            except (ClaimLost, JobNotFound):
                return
            except SafelightError as error:
                # The claim holds for two more beats; if the store stays away, it runs out, as it should.
                log.warning("heartbeat failed: %s", error, extra={"job": self.job.id})

    def _beat(self, stage: Stage) -> None:
        now = self._ports.clock()
        token, until = self._token, now + self._lease
        self.job = self._ports.jobs.update(
            self.job.id, lambda job: job.extended(token, stage, now=now, until=until), known=self.job
        )
        self._worker.extend(self._lease)
