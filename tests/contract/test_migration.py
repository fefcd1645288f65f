"""A store of the first schema, kept as text, opened with today's code: everything in it is kept and goes on."""

from pathlib import Path

import apsw
import pytest

from safelight.backends.embedded import Embedded
from safelight.backends.embedded.schema import MIGRATIONS
from safelight.model import Claim, JobState, Stage
from safelight.testing import Clock

FIRST = Path(__file__).with_name("first_schema.sql").read_text()
NOW = 1_700_010_000.0

KEPT = {
    "awaiting": JobState.PENDING,
    "queued": JobState.PENDING,
    "processing": JobState.PROCESSING,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "expired": JobState.EXPIRED,
    "canceled": JobState.CANCELED,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder as the first version left it."""
    connection = apsw.Connection(str(tmp_path / "safelight.db"))
    connection.execute(FIRST)
    connection.close()
    return tmp_path


def test_the_first_step_is_as_it_was_released() -> None:
    """Files have seen it: to change it would change new files only."""
    assert MIGRATIONS[0].strip() in FIRST


def test_every_job_is_kept(folder: Path) -> None:
    """In its state, with its outputs and its reason, listed for its owner and due when it was."""
    embedded = Embedded(folder, clock=Clock(NOW))
    assert {job_id: embedded.jobs.get(job_id).state for job_id in KEPT} == KEPT
    assert {job.id for job in embedded.jobs.list("ann").items} == set(KEPT)
    assert {job.id for job in embedded.jobs.due(NOW)} == set(KEPT)
    [output] = embedded.jobs.get("completed").outputs
    assert (output.key, output.width) == ("processed/uploads/completed/t/main.jpg", 4)
    failure = embedded.jobs.get("failed").failure
    assert failure is not None
    assert failure.code == "truncated"
    ended = {notice.job_id for notice in embedded.notices.pending(NOW)}
    assert ended == {"completed", "failed", "expired", "canceled"}
    record = embedded.records.get("keys", "k")
    assert record is not None
    assert record.value == b"value"
    embedded.close()


def test_every_job_goes_on(folder: Path) -> None:
    """Messages are handed out, dead letters sent again, dead claims taken over; a second start changes nothing."""
    Embedded(folder, clock=Clock(NOW)).close()
    embedded = Embedded(folder, clock=Clock(NOW))
    embedded.recover()
    assert embedded.queue.depth() == 1
    delivery = embedded.inbox.receive(wait=0, visibility=60)
    assert delivery is not None
    assert delivery.wake.job_id == "queued"
    assert embedded.dead_letters.redrive("dead")
    claim = Claim(token="new", worker="w", until=NOW + 40)
    for job_id in ("queued", "processing"):
        job = embedded.jobs.update(job_id, lambda job: job.claimed(claim, now=NOW))
        assert job.held_by("new")
        assert job.stage is Stage.FETCHING
    embedded.close()


def test_the_version_is_brought_up_to_date(folder: Path) -> None:
    """By whoever opens the folder first."""
    Embedded(folder, clock=Clock(NOW)).close()
    connection = apsw.Connection(str(folder / "safelight.db"))
    assert connection.pragma("user_version") == len(MIGRATIONS)
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
