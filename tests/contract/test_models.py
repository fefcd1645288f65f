"""`Jobs`, `Records` and `Queue` against small reference models: any calls, in any order, with old copies and a clock
that jumps, and after each of them the store says what the model says."""

import itertools
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.contract.backends import LOCAL
from tests.contract.conftest import Backend, a_job, a_source, a_wake, needs
from tests.support.models import run

from safelight.errors import ClaimLost, JobNotFound, NotAllowedNow, RecordConflict
from safelight.model import Claim, Failure, Job, JobState
from safelight.ports import Delivery, Record
from safelight.testing import Clock

PORTS = {"jobs", "records", "queue", "inbox", "dead_letters"}
WHICH = st.integers(0, 2)
STEPS = ("received", "claimed", "released", "failed", "expired", "canceled", "retried")

_numbers = itertools.count()
"""Each example has names of its own: it finds nothing of another one."""


def change(step: str, job: Job) -> Job:
    """One of the transitions of a job, as a use case would do it."""
    match step:
        case "received":
            return job.received(a_source(job.id), now=2000.0, due_at=2600.0)
        case "claimed":
            return job.claimed(Claim(token="t", worker="w", until=2040.0), now=2001.0)
        case "released":
            return job.released("t", now=2002.0, retry_at=2002.0)
        case "failed":
            return job.failed("t", Failure(code="c", message="m"), now=2003.0, due_at=None)
        case "expired":
            return job.expired(now=2004.0, due_at=9000.0)
        case "canceled":
            return job.canceled(now=2005.0, due_at=3000.0)
    return job.retried(now=2006.0, due_at=2700.0)


class JobsModel(RuleBasedStateMachine):
    """A dictionary of jobs, and every copy that somebody may still hold."""

    backend: Backend

    def __init__(self) -> None:
        super().__init__()
        self.name = f"x{next(_numbers)}"
        self.jobs: dict[str, Job] = {}
        self.copies: dict[str, list[Job]] = {}

    @rule(which=WHICH, owner=st.sampled_from("ab"), at=st.integers(1, 3))
    def create(self, which: int, owner: str, at: int) -> None:
        job_id = f"{self.name}-{which}"
        if job_id not in self.copies:  # ids are random: none is ever used again
            job = a_job(job_id, f"{self.name}{owner}", at=float(at), due_at=1600.0)
            self.backend.jobs.create(job)
            self.jobs[job_id], self.copies[job_id] = job, [job]

    @rule(which=WHICH, step=st.sampled_from(STEPS), data=st.data())
    def update(self, which: int, step: str, data: st.DataObject) -> None:
        job_id = f"{self.name}-{which}"
        known = data.draw(st.sampled_from([None, *self.copies.get(job_id, [])]))
        wanted: Job | type[Exception]
        try:
            wanted = change(step, self.jobs[job_id])
        except KeyError:
            wanted = JobNotFound
        except (ClaimLost, NotAllowedNow) as error:
            wanted = type(error)
        refused: type[Exception] | None = None
        found: Job | None = None
        try:
            found = self.backend.jobs.update(job_id, lambda job: change(step, job), known=known)
        except (ClaimLost, NotAllowedNow, JobNotFound) as error:
            refused = type(error)
        if found is None:
            # An old copy may be refused by itself; then nothing is written.
            assert wanted is refused or known is not None
            return
        assert found == wanted
        self.jobs[job_id] = found
        self.copies[job_id].append(found)

    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        self.backend.jobs.delete(f"{self.name}-{which}")
        self.jobs.pop(f"{self.name}-{which}", None)

    @rule(owner=st.sampled_from("ab"), state=st.sampled_from([None, *JobState]), limit=st.integers(1, 3))
    def list(self, owner: str, state: JobState | None, limit: int) -> None:
        found: list[Job] = []
        cursor = None
        for _ in range(10):
            page = self.backend.jobs.list(f"{self.name}{owner}", state=state, cursor=cursor, limit=limit)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        mine = [job for job in self.jobs.values() if job.owner == f"{self.name}{owner}"]
        wanted = [job for job in mine if state in (None, job.state)]
        assert found == sorted(wanted, key=lambda job: (job.created_at, job.id), reverse=True)

    @invariant()
    def as_in_the_model(self) -> None:
        for job_id in self.copies:
            try:
                found = self.backend.jobs.get(job_id)
            except JobNotFound:
                found = None
            assert found == self.jobs.get(job_id)
        assert self.backend.jobs.known(tuple(self.copies)) == frozenset(self.jobs)

    def teardown(self) -> None:
        for job_id in self.jobs:
            self.backend.jobs.delete(job_id)


class RecordsModel(RuleBasedStateMachine):
    """A dictionary of records; what has expired is not in it."""

    backend: Backend
    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self.partition = f"x{next(_numbers)}"
        self.records: dict[str, Record] = {}

    @rule(
        key=st.sampled_from(["a", "ab", "b"]),
        value=st.binary(max_size=3),
        expected=st.sampled_from([None, 0, 1, 2]),
        lasts=st.sampled_from([None, 5, 50]),
    )
    def put(self, key: str, value: bytes, expected: int | None, lasts: int | None) -> None:
        expires_at = None if lasts is None else float(int(self.clock()) + lasts)
        there = self._alive().get(key)
        version = there.version if there else 0
        try:
            record = self.backend.records.put(
                self.partition, key, value, expected=expected, expires_at=expires_at
            )
        except RecordConflict:
            assert expected not in (None, version)
            return
        assert expected in (None, version)
        assert (record.value, record.version) == (value, version + 1)
        self.records[key] = record

    @rule(key=st.sampled_from(["a", "ab", "b"]))
    def delete(self, key: str) -> None:
        self.backend.records.delete(self.partition, key)
        self.records.pop(key, None)

    @rule(seconds=st.sampled_from([1, 5, 50]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def as_in_the_model(self) -> None:
        alive = self._alive()
        for key in ("a", "ab", "b"):
            assert self.backend.records.get(self.partition, key) == alive.get(key)
        found = self.backend.records.list(self.partition, prefix="a").items
        assert list(found) == [alive[key] for key in ("a", "ab") if key in alive]

    def _alive(self) -> dict[str, Record]:
        now = self.clock()
        return {k: r for k, r in self.records.items() if r.expires_at is None or r.expires_at > now}


class QueueModel(RuleBasedStateMachine):
    """Every job whose wake-up may still come: nothing that was sent is lost, and what is in hand is in one hand."""

    backend: Backend
    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self.owed: set[str] = set()  # sent since the last delivery of theirs that was acked
        self.hands: dict[str, tuple[Delivery, float]] = {}  # the newest delivery, and until when it is hidden
        self.again: set[str] = set()  # sent while in hand

    @rule(which=WHICH, delay=st.sampled_from([0, 0, 30]))
    def send(self, which: int, delay: int) -> None:
        job_id = f"j{which}"
        self.backend.queue.send(a_wake(job_id), delay=delay)
        self.owed.add(job_id)
        if job_id in self.hands:
            self.again.add(job_id)

    @rule(visibility=st.sampled_from([10, 100]))
    def receive(self, visibility: int) -> None:
        delivery = self.backend.inbox.receive(wait=0, visibility=visibility)
        if delivery is None:
            return
        job_id = delivery.wake.job_id
        assert job_id in self.owed
        if job_id in self.hands:
            assert self.hands[job_id][1] <= self.clock(), "it is in two hands"
            assert self.hands[job_id][0].receipt != delivery.receipt
        assert 1 <= delivery.received <= 5
        self.hands[job_id] = (delivery, self.clock() + visibility)
        self.again.discard(job_id)

    @rule(which=WHICH)
    def ack(self, which: int) -> None:
        job_id = f"j{which}"
        if job_id in self.hands:
            self.backend.inbox.ack(self.hands.pop(job_id)[0])
            if job_id not in self.again:
                self.owed.discard(job_id)
            self.again.discard(job_id)

    @rule(which=WHICH, delay=st.sampled_from([0, 30]))
    def retry(self, which: int, delay: int) -> None:
        if f"j{which}" in self.hands:
            self.backend.inbox.retry(self.hands.pop(f"j{which}")[0], delay)
            self.again.discard(f"j{which}")

    @rule()
    def redrive(self) -> None:
        for letter in self.backend.dead_letters.dead().items:
            self.hands.pop(letter.wake.job_id, None)
            assert self.backend.dead_letters.redrive(letter.wake.job_id)
            self.again.discard(letter.wake.job_id)

    @rule(seconds=st.sampled_from([5, 50, 500]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def teardown(self) -> None:
        """All that is owed comes in the end."""
        came: set[str] = set()
        for _ in range(4):
            self.clock.advance(1000)
            self.redrive()
            while delivery := self.backend.inbox.receive(wait=0, visibility=100):
                came.add(delivery.wake.job_id)
                self.backend.inbox.ack(delivery)
        assert came >= self.owed
        assert self.backend.queue.depth() == 0


def machine(model: type[Any], backend: Backend, clock: Clock) -> type[Any]:
    """The model, on this backend."""
    return type(model.__name__, (model,), {"backend": backend, "clock": clock})


@pytest.mark.timeout(200)
def test_jobs(backend: Backend, clock: Clock) -> None:
    """Every write is conditional, whoever holds which old copy, and listings agree with it."""
    examples = 60 if backend.name in LOCAL else 4
    run(machine(JobsModel, backend, clock), examples=examples, steps=25)


@pytest.mark.timeout(200)
def test_records(backend: Backend, clock: Clock) -> None:
    """Versions grow, conditions hold, and what has expired is not there."""
    needs(backend, "a clock that we move")
    run(machine(RecordsModel, backend, clock), examples=60, steps=25)


@pytest.mark.timeout(200)
def test_the_queue(backend: Backend, clock: Clock) -> None:
    """Nothing that was sent is lost, nothing is in two hands, and what was acked does not come again."""
    needs(backend, "one message per job")
    run(machine(QueueModel, backend, clock), examples=60, steps=30)
