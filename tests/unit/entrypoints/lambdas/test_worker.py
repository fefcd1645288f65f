"""The queue's messages, in batches."""

from typing import Any

import pytest
from tests.unit.entrypoints.lambdas.functions import Context, OnAws, message, pipeline

from safelight.entrypoints.deploy import starting
from safelight.entrypoints.lambdas import worker
from safelight.errors import StorageUnavailable
from safelight.model import JobState

__all__ = ["pipeline"]


def work(*messages: dict[str, Any], seconds: float = 100.0) -> list[str]:
    """Hand in a batch; return the messages that have to come again."""
    answer = worker.handler({"Records": list(messages)}, Context(seconds))
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def test_a_start_without_work_succeeds(pipeline: OnAws) -> None:
    """An event that tells of nothing, as `deploy` sends to see that the function starts, is no error."""
    assert worker.handler(starting.NOTHING, Context()) == {"batchItemFailures": []}


def test_a_start_that_can_not_work_is_an_error(pipeline: OnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function whose system can not be opened says so at its start, and not with the first picture."""

    def system() -> None:
        raise StorageUnavailable

    monkeypatch.setattr(worker, "system", system)
    with pytest.raises(StorageUnavailable):
        worker.handler(starting.NOTHING, Context())


def test_a_message_becomes_a_finished_job(pipeline: OnAws) -> None:
    """The job is carried to its end and the message is done with."""
    job = pipeline.send(pipeline.request())
    assert work(message(job)) == []
    assert pipeline.now(job).state is JobState.COMPLETED


def test_a_message_delivered_twice_makes_one_set_of_outputs(pipeline: OnAws) -> None:
    """The second delivery finds the work done, in the same batch or later."""
    job = pipeline.send(pipeline.request())
    assert work(message(job, number=1), message(job, number=2)) == []
    done = pipeline.now(job)
    assert work(message(job, number=3)) == []
    assert pipeline.now(job) == done


def test_poison_among_good_ones_comes_again_alone(pipeline: OnAws) -> None:
    """What can not be read is reported, soon visible again, and delays nobody."""
    jobs = [pipeline.send(pipeline.request()) for _ in range(2)]
    hidden: list[tuple[str, float]] = []
    pipeline.ports.inbox.retry = lambda delivery, delay: hidden.append((delivery.receipt, delay))  # type: ignore[method-assign]
    batch = [
        message(jobs[0], number=1),
        message(None, body="{not json", number=2),
        message(jobs[1], number=3),
    ]
    assert work(*batch) == ["m2"]
    assert [pipeline.now(job).state for job in jobs] == [JobState.COMPLETED] * 2
    assert hidden == [("r2", worker.UNREADABLE_AGAIN_AFTER)]


def test_an_attempt_that_failed_comes_again_after_its_delay(pipeline: OnAws) -> None:
    """The delay that the service asks for becomes the message's visibility."""
    job = pipeline.send(pipeline.request())
    hidden: list[tuple[str, float]] = []
    pipeline.ports.inbox.retry = lambda delivery, delay: hidden.append((delivery.receipt, delay))  # type: ignore[method-assign]
    pipeline.failing(StorageUnavailable())
    assert work(message(job)) == ["m1"]
    ((receipt, delay),) = hidden
    assert receipt == "r1"
    assert 4 <= delay <= 6


def test_a_message_of_no_job_is_forgotten(pipeline: OnAws) -> None:
    """Its job was deleted, or never was."""
    assert work(message(None)) == []


def test_no_job_is_begun_that_could_not_end_in_time(pipeline: OnAws) -> None:
    """With too little time left the message goes back at once, and no attempt is counted."""
    job = pipeline.send(pipeline.request())
    assert work(message(job), seconds=20) == ["m1"]
    assert pipeline.now(job).attempt == 0


def test_a_store_that_does_not_answer_fails_only_its_message(
    pipeline: OnAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message comes again when its visibility ends."""

    def away(*_: object) -> None:
        raise StorageUnavailable

    job = pipeline.send(pipeline.request())
    monkeypatch.setattr(pipeline.service, "process", away)
    assert work(message(job)) == ["m1"]
