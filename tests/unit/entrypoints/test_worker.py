"""The promises of the worker's loop."""

import re
import threading
from typing import Any

import pytest
from tests.unit.pipeline import Pipeline

from safelight.entrypoints import worker
from safelight.errors import StorageUnavailable
from safelight.model import JobState


def test_the_sandbox_is_told_in_words() -> None:
    """Every lock that a child puts on itself has words; where there are none, that is said, too."""
    from safelight.imaging.confine import __doc__ as locks

    names = re.findall(r"^    (\w+)  ", locks or "", re.MULTILINE)
    assert sorted(names) == sorted(worker.LOCKS)
    assert worker.in_words(("orphan", "syscalls")) == "dies with its parent, system calls filtered"
    assert "nothing more" in worker.in_words(())


class Stop:
    """A request to stop that a test makes."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._event = threading.Event()
        self.waited: list[float] = []

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def ask(self) -> None:
        self._event.set()
        self._pipeline.ports.inbox.stop()

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


def run_until(pipeline: Pipeline, done: threading.Event) -> Stop:
    """Run a worker until `done`, then ask it to stop."""
    stop = Stop(pipeline)
    thread = threading.Thread(target=worker.run, args=(pipeline.service, "w", stop))
    thread.start()
    assert done.wait(20.0)
    stop.ask()
    thread.join(20.0)
    assert not thread.is_alive()
    return stop


def test_storing_one_job_does_not_keep_the_next_from_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the results of one job are being stored, the next is rendered; but never two at once."""
    pipeline = Pipeline()
    jobs = [pipeline.send(pipeline.request()) for _ in range(2)]
    renderer, blobs = pipeline.ports.renderer, pipeline.ports.blobs
    draw, put = renderer.render, blobs.put
    second_drawn, rendering = threading.Event(), threading.Semaphore(1)
    drawn: list[object] = []

    def render(*args: Any) -> Any:
        assert rendering.acquire(blocking=False), "two renders at once"
        try:
            return draw(*args)
        finally:
            rendering.release()
            drawn.append(args)
            if len(drawn) == 2:
                second_drawn.set()

    def slow_put(*args: Any, **named: Any) -> Any:
        assert second_drawn.wait(20.0), "the next job waited for the storing of this one"
        return put(*args, **named)

    monkeypatch.setattr(renderer, "render", render)
    monkeypatch.setattr(blobs, "put", slow_put)
    done = threading.Event()
    ack = pipeline.ports.inbox.ack
    acked: list[object] = []

    def count(delivery: Any) -> None:
        ack(delivery)
        acked.append(delivery)
        if len(acked) == 2:
            done.set()

    monkeypatch.setattr(pipeline.ports.inbox, "ack", count)
    run_until(pipeline, done)
    assert [pipeline.now(job).state for job in jobs] == [JobState.COMPLETED] * 2


def test_a_store_that_does_not_answer_does_not_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the queue is waited out, and then the work goes on."""
    pipeline = Pipeline()
    job = pipeline.send(pipeline.request())
    inbox = pipeline.ports.inbox
    receive, ack = inbox.receive, inbox.ack
    failures = [StorageUnavailable(), StorageUnavailable()]
    done = threading.Event()

    def failing(**named: Any) -> Any:
        if failures:
            raise failures.pop()
        return receive(**named)

    def tell(delivery: Any) -> None:
        ack(delivery)
        done.set()

    monkeypatch.setattr(inbox, "receive", failing)
    monkeypatch.setattr(inbox, "ack", tell)
    stop = run_until(pipeline, done)
    assert stop.waited == [worker.PAUSE_AFTER_ERROR] * 2
    assert pipeline.now(job).state is JobState.COMPLETED


def test_a_job_that_has_to_be_tried_again_comes_back_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed attempt gives its message back with a delay instead of acknowledging it."""
    pipeline = Pipeline()
    job = pipeline.send(pipeline.request())
    delays: list[float] = []
    done = threading.Event()

    def render(*_args: Any) -> Any:
        raise StorageUnavailable

    def retry(_delivery: Any, delay: float) -> None:
        delays.append(delay)
        done.set()

    monkeypatch.setattr(pipeline.ports.renderer, "render", render)
    monkeypatch.setattr(pipeline.ports.inbox, "retry", retry)
    run_until(pipeline, done)
    [delay] = delays
    assert 4.0 <= delay <= 6.0
    assert pipeline.now(job).last_failure is not None
