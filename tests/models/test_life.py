"""The pipeline against a model of what it promises, under whatever can happen to it, in whatever order.

Events come twice, late or never; messages too; workers are killed at every fault point, pause past their lease, or are
told that the file is bad; clients upload again, cancel, retry, delete and redrive; the clock jumps. Whatever happened,
the promises hold after every step, and once the trouble is over everything heals by itself.
"""

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.models import run

from safelight import faults, testing
from safelight.backends.embedded import Embedded
from safelight.config import Settings
from safelight.dead_letters import Morgue
from safelight.errors import JobNotFound, NotAllowedNow, RenderCrashed, Unprocessable
from safelight.heartbeat import Worker
from safelight.model import DAY, HOUR, MINUTE, Job, JobState, Notice, Source
from safelight.orphans import Orphans
from safelight.ports import BlobInfo, DeadLetters, Delivery, Ports, Rendering
from safelight.recipes import Book
from safelight.service import Service
from safelight.sweeper import Sweeper
from safelight.testing import Clock
from safelight.uploads import UploadRequest

BACKENDS: Final = {"memory": (60, 40), "embedded": (6, 25)}
"""How many examples of how many steps: what takes a moment in memory takes a while on a disk."""

IN_A_WORKER: Final = sorted(
    point for point in faults.POINTS if point.partition(".")[0] in ("job", "queue", "store", "file")
)
ELSEWHERE: Final = sorted(
    point
    for point in faults.POINTS
    if point.partition(".")[0] in ("dispatch", "store", "sweep", "notice", "erase")
)


class Killed(BaseException):
    """The process ends here: nobody catches it, and nothing more is written."""


class Bench:
    """A renderer that copies the original, and does before whatever the next attempt is to suffer."""

    def __init__(self) -> None:
        self._copying = testing.Renderer()
        self.before: Callable[[], None] | None = None

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        before, self.before = self.before, None
        if before is not None:
            before()
        return self._copying.render(file, source, recipe)

    def close(self) -> None:
        self._copying.close()


@contextmanager
def dying_at(fatal: str | None) -> Iterator[None]:
    """Whatever runs inside is killed when it comes to this point."""
    reached = faults.reached

    def die(point: str) -> None:
        if point == fatal:
            raise Killed(point)

    faults.reached = die
    try:
        with suppress(Killed):
            yield
    finally:
        faults.reached = reached


class Life(RuleBasedStateMachine):
    """A pipeline, the world around it, and what was seen of every job."""

    backend = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.clock = Clock()
        self.bench = Bench()
        self.ports, self.letters = self._open()
        self.settings = Settings()
        self.service = Service(self.settings, self.ports, Book(self.settings))
        self.told: list[Notice] = []
        self.orphans = Orphans(self.ports)
        self.sweeper = Sweeper(self.service, self.told.append, orphans=self.orphans)
        self.morgue = Morgue(self.service, self.letters)
        self.jobs: dict[str, Job] = {}  # as last seen
        self.deleted: set[str] = set()
        self.restarted: set[str] = set()  # by a client, since it was last seen
        self.ends: set[str] = set()  # the notices that must come
        self.events: list[BlobInfo] = []
        self.held: list[Delivery] = []

    def _open(self) -> tuple[Ports, DeadLetters]:
        ports = testing.in_memory(self.clock)
        letters: DeadLetters = ports.queue  # type: ignore[assignment]
        if self.backend == "embedded":
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="life-"))
            embedded = Embedded(Path(folder), clock=self.clock)
            self._stack.callback(embedded.close)
            ports = msgspec.structs.replace(
                ports,
                blobs=embedded.blobs,
                jobs=embedded.jobs,
                notices=embedded.notices,
                queue=embedded.queue,
                inbox=embedded.inbox,
                records=embedded.records,
                together=embedded.together,
            )
            letters = embedded.dead_letters
        return msgspec.structs.replace(ports, renderer=self.bench), letters

    # --- clients ---

    @initialize()
    def begin(self) -> None:
        self.request("ann")

    @rule(owner=st.sampled_from(["ann", "bob"]))
    def request(self, owner: str) -> None:
        job = self.service.request_upload(owner, UploadRequest(filename="beach.jpg"))
        self.jobs[job.id] = job

    @rule(data=st.data(), content=st.sampled_from([b"one", b"another", b""]))
    def upload(self, data: st.DataObject, content: bytes) -> None:
        """In time, again, or long after: storage takes whatever a URL allows."""
        job = self._any(data)
        if job.id not in self.deleted:
            blob = self.ports.blobs.put(job.upload.key, io.BytesIO(content), content_type="image/jpeg")
            self.events.append(blob)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = self._any(data)
        with suppress(JobNotFound, NotAllowedNow):
            self.service.cancel(job.owner, job.id)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = self._any(data)
        self.look(job.id)
        with suppress(JobNotFound, NotAllowedNow):
            self.service.retry(job.owner, job.id)
            self.restarted.add(job.id)

    @rule(data=st.data(), point=st.sampled_from([None, *ELSEWHERE]))
    def delete(self, data: st.DataObject, point: str | None) -> None:
        job = self._any(data)
        self.deleted.add(job.id)
        with dying_at(point), suppress(JobNotFound):
            self.service.delete(job.owner, job.id)

    @rule()
    def redrive(self) -> None:
        for name, outcome in self.morgue.redrive().items():
            if outcome == "retried":
                self.restarted.add(name)

    # --- what storage and queue do ---

    @precondition(lambda self: self.events)
    @rule(data=st.data(), again=st.booleans(), point=st.sampled_from([None, None, *ELSEWHERE]))
    def event(self, data: st.DataObject, again: bool, point: str | None) -> None:
        """It comes, in any order, and maybe once more."""
        event = data.draw(st.sampled_from(self.events))
        with dying_at(point):
            self.service.dispatch(event.key, event.version, event.bytes)
            if not again:  # what was cut off comes again
                self.events.remove(event)

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def lost_event(self, data: st.DataObject) -> None:
        """In time, that is: an upload long after the end of its URL is known by its event alone."""
        event = data.draw(st.sampled_from(self.events))
        job = self.jobs[event.key.split("/")[1]]
        if job.state is not JobState.EXPIRED:
            self.events.remove(event)

    @rule(data=st.data())
    def message_twice(self, data: st.DataObject) -> None:
        job = self._any(data)
        if job.source:
            self.service.wake(job)

    @rule(for_ever=st.booleans())
    def lost_message(self, for_ever: bool) -> None:
        """A worker takes it and is never heard of again; it comes back, or it does not."""
        delivery = self._receive()
        if delivery and for_ever:
            self.ports.inbox.ack(delivery)

    @rule()
    def message_is_held(self) -> None:
        if delivery := self._receive():
            self.held.append(delivery)

    @precondition(lambda self: self.held)
    @rule()
    def held_message_is_worked_on(self) -> None:
        """Long after somebody else had it, maybe."""
        self._process(self.held.pop(0))

    # --- workers ---

    @rule(point=st.sampled_from([None, None, None, *IN_A_WORKER]))
    def work(self, point: str | None) -> None:
        """A worker does one job, or is killed on the way."""
        with dying_at(point):
            self._work()
        self.bench.before = None

    @rule(error=st.sampled_from([Unprocessable, RenderCrashed, RuntimeError]))
    def work_fails(self, error: type[Exception]) -> None:
        def fail() -> None:
            raise error

        self.bench.before = fail
        self._work()
        self.bench.before = None

    @rule(swept=st.booleans())
    def worker_pauses(self, swept: bool) -> None:
        """Past its lease: somebody else does the job meanwhile, and what it brings comes too late."""

        def pause() -> None:
            self.clock.advance(self.settings.lease_seconds + 2)
            if swept:
                self.sweeper.sweep()
            self._work()

        self.bench.before = pause
        self._work()
        self.bench.before = None

    @rule(point=st.sampled_from([None, None, *ELSEWHERE]))
    def sweep(self, point: str | None) -> None:
        with dying_at(point):
            self.sweeper.sweep()

    @rule(seconds=st.sampled_from([0.5, 7.0, 41.0, 11 * MINUTE, 2 * HOUR, -30.0]))
    def time_passes(self, seconds: float) -> None:
        """Clocks are also put back a little."""
        self.clock.advance(seconds)

    # --- the promises ---

    @invariant()
    def nothing_is_wrong(self) -> None:
        for job_id in self.jobs:
            self.look(job_id)

    def look(self, job_id: str) -> Job | None:
        """See how the job is now, and whether it may be so."""
        before = self.jobs[job_id]
        try:
            job = self.ports.jobs.get(job_id)
        except JobNotFound:
            return None
        assert job.revision >= before.revision
        if before.state.terminal and job.revision != before.revision:
            late = before.state is JobState.EXPIRED and job.source is not None
            if not (late or job_id in self.restarted):
                assert (job.state, job.outputs, job.failure) == (before.state, before.outputs, before.failure)
        if job.state.terminal and (job.state, job.updated_at) != (before.state, before.updated_at):
            self.ends.add(job_id)
        if job.state is JobState.COMPLETED and job_id not in self.deleted:
            assert job.source
            with self.ports.blobs.open(job.source.key, job.source.version) as original:
                content = original.read()
            assert job.outputs
            for output in job.outputs:
                with self.ports.blobs.open(output.key) as file:
                    found = file.read()
                assert found == content
                assert hashlib.sha256(found).hexdigest() == output.sha256
        self.restarted.discard(job_id)
        self.jobs[job_id] = job
        return job

    def teardown(self) -> None:
        """The trouble is over, and nobody does anything but the sweeper and the workers."""
        try:
            if self.jobs:
                self._heals()
        finally:
            self._stack.close()

    def _heals(self) -> None:
        for event in self.events:
            self.service.dispatch(event.key, event.version, event.bytes)
        sources = {job.upload.key: job.source and job.source.version for job in self._there()}
        for event in self.events:
            if sources.get(event.key, event.version) != event.version:
                assert self.ports.blobs.head(event.key, event.version) is None, "a later upload takes room"
        self.bench.before = None
        self.clock.advance(MINUTE)
        rounds = 0
        while any(not job.state.terminal for job in self._there()):
            rounds += 1
            assert rounds <= 40, "a job is stuck"
            self.sweeper.sweep()
            while self._work():
                pass
            self.clock.advance(5 * MINUTE)
        self.clock.advance(20 * MINUTE)
        self.sweeper.sweep()
        self.nothing_is_wrong()
        there = self._there()
        assert not [job.id for job in there if job.id in self.deleted]
        self._check_that_all_was_told(there)
        outputs = {
            blob.key for job in there for blob in self.ports.blobs.list(f"processed/uploads/{job.id}/").items
        }
        assert outputs == {output.key for job in there for output in job.outputs}
        self.clock.advance(self.settings.retention_seconds + 2 * DAY)
        for _ in range(3):
            self.sweeper.sweep()
            self.orphans.pass_over(budget=60)
            self.clock.advance(2 * HOUR)
        assert not self._there()
        left = [blob.key for area in ("uploads/", "processed/") for blob in self.ports.blobs.list(area).items]
        assert left == []

    def _check_that_all_was_told(self, there: list[Job]) -> None:
        told = {(notice.job_id, notice.state) for notice in self.told}
        for job in there:
            assert (job.id, job.state) in told
        by_id: dict[str, Notice] = {}
        for notice in self.told:
            assert by_id.setdefault(notice.id, notice) == notice

    # --- the same for all ---

    def _any(self, data: st.DataObject) -> Job:
        return self.jobs[data.draw(st.sampled_from(list(self.jobs)))]

    def _there(self) -> list[Job]:
        return [job for job_id in self.jobs if (job := self.look(job_id))]

    def _receive(self) -> Delivery | None:
        return self.ports.inbox.receive(wait=0, visibility=self.settings.lease_seconds + 1)

    def _work(self) -> bool:
        delivery = self._receive()
        if delivery is not None:
            self._process(delivery)
        return delivery is not None

    def _process(self, delivery: Delivery) -> None:
        faults.reached("queue.received")
        delay = self.service.process(delivery.wake, Worker(name="w"))
        faults.reached("queue.acknowledging")
        if delay is None:
            self.ports.inbox.ack(delivery)
        else:
            self.ports.inbox.retry(delivery, delay)
        faults.reached("queue.acknowledged")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.timeout(300)
def test_whatever_happens_the_promises_hold(backend: str) -> None:
    """After every step, and in the end everything heals by itself and nothing is left behind."""
    examples, steps = BACKENDS[backend]
    run(type("Life", (Life,), {"backend": backend}), examples=examples, steps=steps)
