"""The promises of the sign of life."""

import threading

import pytest
from tests.unit.pipeline import Pipeline

from safelight import heartbeat
from safelight.errors import StorageUnavailable
from safelight.heartbeat import Heartbeat, Worker
from safelight.model import Claim, Job, Stage

LEASE = 0.03


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LOOK_EVERY", 0.005)


class Attempt:
    """A claimed job, and events for each beat."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()
        job = self.pipeline.send(self.pipeline.request())
        claim = Claim(token="t", worker="w", until=self.pipeline.clock() + 5)
        self.job = self.pipeline.claim(job, claim)
        self.beat = threading.Event()
        self.extended: list[float] = []

    def heartbeat(self, lease: float = LEASE) -> Heartbeat:
        worker = Worker(name="w", extend=self._extend)
        return Heartbeat(self.pipeline.ports, lease, self.job, "t", worker)

    def _extend(self, seconds: float) -> None:
        self.extended.append(seconds)
        self.beat.set()

    def wait(self) -> None:
        assert self.beat.wait(10.0)
        self.beat.clear()


def test_the_claim_and_the_message_are_extended() -> None:
    """Each beat moves the end of the claim and hides the message for another lease."""
    attempt = Attempt()
    with attempt.heartbeat() as beating:
        attempt.wait()
        attempt.pipeline.clock.advance(100)
        attempt.wait()
        attempt.wait()
    job = attempt.pipeline.now(attempt.job)
    assert job.claim is not None
    assert job.claim.until == attempt.pipeline.clock() + LEASE
    assert set(attempt.extended) == {LEASE}
    assert beating.job == job


def test_the_stage_is_told() -> None:
    """A new stage is written soon, each one, long before the claim has to be extended."""
    attempt = Attempt()
    with attempt.heartbeat(lease=600.0) as beating:
        beating.stage = Stage.RENDERING
        attempt.wait()
        assert attempt.pipeline.now(attempt.job).stage is Stage.RENDERING
        beating.stage = Stage.STORING
        attempt.wait()
        assert attempt.pipeline.now(attempt.job).stage is Stage.STORING


def test_a_short_job_saves_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that ends before the first beat is not written in between."""
    monkeypatch.setattr(heartbeat, "LOOK_EVERY", 60.0)
    attempt = Attempt()
    with attempt.heartbeat():
        pass
    assert attempt.pipeline.now(attempt.job) == attempt.job


def test_a_stage_that_passes_saves_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is another one at each look is over before anybody could be told of it."""
    attempt = Attempt()
    beating, stages = attempt.heartbeat(lease=600.0), [Stage.RENDERING, Stage.STORING] * 3

    def look(_seconds: float) -> bool:
        if stages:
            beating.stage = stages.pop()
            return False
        return True

    monkeypatch.setattr(beating._ended, "wait", look)
    with beating:
        beating._thread.join(10.0)
    assert stages == []
    assert attempt.pipeline.now(attempt.job) == attempt.job


def test_a_lost_claim_ends_the_beat() -> None:
    """When another worker has the job, the beat stops by itself and writes nothing more."""
    attempt = Attempt()
    clock = attempt.pipeline.clock
    clock.advance(10)
    other = Claim(token="u", worker="v", until=clock() + 1000)
    taken = attempt.pipeline.claim(attempt.job, other)
    with attempt.heartbeat() as beating:
        beating._thread.join(10.0)
        assert not beating._thread.is_alive()
    assert attempt.pipeline.now(attempt.job) == taken
    assert attempt.extended == []


def test_a_store_that_is_away_for_a_moment_costs_nothing() -> None:
    """A beat that fails is followed by another one."""
    attempt = Attempt()
    jobs = attempt.pipeline.ports.jobs
    real, failures = jobs.update, [StorageUnavailable(), StorageUnavailable()]

    def update(*args: object, **named: object) -> Job:
        if failures:
            raise failures.pop()
        return real(*args, **named)  # type: ignore[arg-type]

    jobs.update = update  # type: ignore[method-assign]
    with attempt.heartbeat():
        attempt.wait()
    assert failures == []
