"""A worker stops in the middle of a job, wakes up when its claim has long run out, and goes on as if nothing were."""

from pathlib import Path

import pytest
from tests.faults.checker import Folder, check, sightings
from tests.faults.lab import Lab
from tests.faults.promises import Promises

HELD = (
    "job.claimed",
    "job.fetched",
    "job.rendered",
    "file.created",
    "file.written",
    "file.synced",
    "file.linked",
    "file.placed",
    "file.durable",
    "job.output",
    "job.stored",
    "queue.received",
    "job.completed",
    "queue.acknowledging",
)
"""Where a worker has something in its hands."""

JOBS_IN_FULL = 210
PAST_THE_LEASE = 60.0
"""Seconds. A claim holds for 40, its message is hidden for 41."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", HELD)
def test_a_worker_that_outlives_its_claim_changes_nothing(
    point: str, lab: Lab, thorough: bool, tmp_path: Path
) -> None:
    """Another worker completes the job meanwhile; the first one's results are thrown away, the other's stay as they
    were seen, and the job was completed once."""
    for number in range(JOBS_IN_FULL // len(HELD) if thorough else 2):
        data = tmp_path / str(number)
        told = data.with_name(f"{number}.told")
        lab.act("accept", data)
        sleeper = lab.act("work", data, stop=point)
        assert sleeper.how == "stopped"
        lab.act("work", data, later=PAST_THE_LEASE)
        [(job_id, job)] = Folder(data).jobs.items()
        assert job["state"] == "COMPLETED"
        completed, seen = job["outputs"], sightings(data)
        assert lab.resume(sleeper).how == "ended"
        assert Folder(data).jobs[job_id]["outputs"] == completed
        assert check(data, Promises(told), seen=seen, swept=False) == []
        lab.act("recovery", data)
        assert check(data, Promises(told), seen={key: seen[key] for key in _keys(completed)}) == []


@pytest.mark.parametrize("point", ["job.claimed", "job.rendered", "job.stored"])
def test_the_older_of_two_attempts_loses(point: str, lab: Lab, tmp_path: Path) -> None:
    """Even while the newer one is still at work: nothing that the older one writes counts."""
    data = tmp_path / "data"
    lab.act("accept", data)
    older = lab.act("work", data, stop=point)
    newer = lab.act("work", data, stop="job.rendered", later=PAST_THE_LEASE)
    assert (older.how, newer.how) == ("stopped", "stopped")
    lab.resume(older)
    [job] = Folder(data).jobs.values()
    assert (job["state"], job["attempt"]) == ("PROCESSING", 2)
    winner = job["claim"]["token"]
    lab.resume(newer)
    [job] = Folder(data).jobs.values()
    assert job["state"] == "COMPLETED"
    assert [output["key"].split("/")[3] for output in job["outputs"]] == [winner]


def test_a_live_claim_is_not_taken(lab: Lab, tmp_path: Path) -> None:
    """A second message for a job that somebody works on is acknowledged and forgotten."""
    data = tmp_path / "data"
    lab.act("accept", data)
    sleeper = lab.act("work", data, stop="job.fetched")
    lab.act("work_again", data)
    [job] = Folder(data).jobs.values()
    assert (job["state"], job["attempt"]) == ("PROCESSING", 1)
    lab.resume(sleeper)
    [job] = Folder(data).jobs.values()
    assert (job["state"], job["attempt"]) == ("COMPLETED", 1)


def test_a_dead_workers_claim_runs_out(lab: Lab, tmp_path: Path) -> None:
    """Even if nobody notices that it died: when its lease is over, another worker takes the job."""
    data = tmp_path / "data"
    lab.act("accept", data)
    assert lab.act("work", data, kill="job.fetched").how == "killed"
    lab.act("work", data, later=20.0)
    [job] = Folder(data).jobs.values()
    assert (job["state"], job["attempt"]) == ("PROCESSING", 1)
    lab.act("work", data, later=PAST_THE_LEASE)
    [job] = Folder(data).jobs.values()
    assert (job["state"], job["attempt"]) == ("COMPLETED", 2)


def _keys(outputs: list[dict[str, str]]) -> list[str]:
    return [output["key"] for output in outputs]
