"""The promises of counting: a batch is over once, by one notice, however often and by whomever its ends are counted."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.batches import Batches
from safelight.model import InBatch, JobState, Notice, notice_of_batch
from safelight.testing import Clock, Records


def end(number: int, size: int = 3, revision: int = 4, batch: str = "b") -> Notice:
    """The notice that the job of this number has ended."""
    return Notice(
        id=f"j{number}.{revision}",
        job_id=f"j{number}",
        owner="me",
        state=JobState.FAILED if number == 1 else JobState.COMPLETED,
        at=1.0,
        batch=InBatch(id=batch, number=number, size=size),
    )


@pytest.fixture
def batches() -> Batches:
    clock = Clock()
    return Batches(Records(clock), clock)


def test_the_last_end_is_the_batchs(batches: Batches) -> None:
    """Whichever way the jobs end, only the notice of the last one gives the notice of the batch, under its own id."""
    assert [batches.completed_by(end(number)) for number in (2, 0)] == [None, None]
    whole = batches.completed_by(end(1))
    assert whole is not None
    assert (whole.id, whole.kind, whole.owner) == ("b.completed", "batch.completed", "me")
    assert end(1).kind == "job.failed"


def test_counting_again_gives_the_same(batches: Batches) -> None:
    """A notice that is handed out again after a crash gives what it gave the first time."""
    for number in (0, 1, 0, 1):
        assert batches.completed_by(end(number)) is None
    first = batches.completed_by(end(2))
    assert first is not None
    assert batches.completed_by(end(2)) == first
    assert batches.completed_by(end(0)) is None


def test_a_retry_after_the_end_is_no_second_end(batches: Batches) -> None:
    """A job of a batch that is over may be retried and end again: the batch does not."""
    for number in range(3):
        batches.completed_by(end(number))
    assert batches.completed_by(end(1, revision=9)) is None


def test_others_do_not_count(batches: Batches) -> None:
    """A job in no batch is none of its business, nor is a batch's own notice; batches do not mix."""
    assert batches.completed_by(msgspec.structs.replace(end(0, size=1), batch=None)) is None
    whole = notice_of_batch(end(0, size=1))
    assert whole is not None
    assert batches.completed_by(whole) is None
    assert batches.completed_by(end(0, size=2, batch="x")) is None
    assert batches.completed_by(end(1, size=2, batch="y")) is None


@given(st.lists(st.integers(0, 16), min_size=17, max_size=60))
def test_in_any_order_and_any_number_of_times(numbers: list[int]) -> None:
    """However the ends come, the batch is over exactly when every job has ended, and one notice says so."""
    clock = Clock()
    batches = Batches(Records(clock), clock)
    told, seen = set(), set()
    for number in numbers:
        seen.add(number)
        whole = batches.completed_by(end(number, size=17))
        assert whole is None or len(seen) == 17
        told |= {whole.id} if whole else set()
    assert told == ({"b.completed"} if len(seen) == 17 else set())
