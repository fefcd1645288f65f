"""A process is killed at a fault point, everything is started again, and nothing of it shows.

The journey has every kind of job in it: one that goes well, one with two outputs, one whose file is bad, one whose
attempt fails, one whose event is lost, one canceled, one deleted, one never uploaded.
"""

import sqlite3
from pathlib import Path

import pytest
from tests.faults.checker import Folder, check, sightings
from tests.faults.lab import Lab
from tests.faults.promises import Promises

from safelight import faults


@pytest.fixture(scope="module")
def often(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often a journey reaches each point."""
    return lab.act("journey", tmp_path_factory.mktemp("undisturbed") / "data").reached


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", faults.POINTS)
def test_a_crash_at_any_point_loses_nothing(
    point: str, lab: Lab, often: dict[str, int], thorough: bool, tmp_path: Path
) -> None:
    """Whatever a process was just doing when it was killed: the next one finishes it, within two hours at the most
    and within the attempts that there are, and leaves nothing behind."""
    times = range(1, often[point] + 1)
    for nth in times if thorough else sorted({times[0], times[-1]}):
        data = _killed(lab, tmp_path, point, nth)
        told = data.with_name(f"{data.name}.told")
        assert check(data, Promises(told), swept=False) == []
        seen = sightings(data)
        assert lab.act("recovery", data).how == "ended"
        assert check(data, Promises(told), seen=seen, within=7200.0) == []


def _killed(lab: Lab, folder: Path, point: str, nth: int) -> Path:
    """The data of a journey that was killed the nth time that it reached the point; or the last time, where a run
    came there less often: how many writes share a commit is not the same each time."""
    while True:
        data = folder / str(nth)
        end = lab.act("journey", data, kill=point, nth=nth)
        if end.how == "killed":
            return data
        assert 0 < end.reached[point] < nth
        nth = end.reached[point]


@pytest.mark.parametrize("point", ["recover.claims", "recover.messages", "sweep.step", "notice.told"])
def test_a_crash_while_recovering_from_a_crash(point: str, lab: Lab, tmp_path: Path) -> None:
    """The second start is killed too; the third finishes."""
    data = tmp_path / "data"
    lab.act("journey", data, kill="job.stored", nth=2)
    assert lab.act("recovery", data, kill=point).how == "killed"
    lab.act("recovery", data)
    assert check(data, Promises(tmp_path / "data.told"), within=7200.0) == []


@pytest.mark.parametrize(
    "point", ["queue.received", "job.claimed", "job.rendered", "job.output", "job.stored"]
)
def test_a_crash_in_a_worker_does_not_wait_for_the_sweeper(point: str, lab: Lab, tmp_path: Path) -> None:
    """The message outlives the worker: until a job has ended, the queue itself brings it back."""
    data = tmp_path / "data"
    lab.act("accept", data)
    assert lab.act("work", data, kill=point).how == "killed"
    [(job_id, job)] = Folder(data).jobs.items()
    assert job["state"] in ("PENDING", "PROCESSING")
    assert Folder(data).messages == [job_id]
    lab.act("work", data, later=60.0)
    assert Folder(data).jobs[job_id]["state"] == "COMPLETED"


def test_an_upload_that_was_answered_is_in_the_queue(lab: Lab, tmp_path: Path) -> None:
    """A crash right after the commit that the client was answered for: a worker finds it without any sweep."""
    data = tmp_path / "data"
    assert lab.act("accept", data, kill="dispatch.sent").how == "killed"
    lab.act("work", data)
    [job] = Folder(data).jobs.values()
    assert job["state"] == "COMPLETED"


def test_an_upload_whose_event_was_lost_is_found(lab: Lab, tmp_path: Path) -> None:
    """The file lies in its place and the server died before it could say so: the sweeper looks for it."""
    data = tmp_path / "data"
    assert lab.act("accept", data, kill="file.durable").how == "killed"
    lab.act("recovery", data)
    [job] = Folder(data).jobs.values()
    assert job["state"] == "COMPLETED"


def test_a_bad_file_is_tried_once(lab: Lab, tmp_path: Path) -> None:
    """What is proven to be the file's fault is not tried again: it would only delay others."""
    data = tmp_path / "data"
    lab.act("journey", data)
    [bad] = [job for job in Folder(data).jobs.values() if job["upload"]["filename"] == "bad.jpg"]
    assert (bad["state"], bad["attempt"]) == ("FAILED", 1)


def test_a_message_that_was_lost_is_sent_again(lab: Lab, tmp_path: Path) -> None:
    """Whatever became of it: the sweeper sees that a job has waited for too long."""
    data = tmp_path / "data"
    lab.act("accept", data)
    with sqlite3.connect(data / "safelight.db") as store:
        store.execute("DELETE FROM messages")
    store.close()
    lab.act("recovery", data)
    [job] = Folder(data).jobs.values()
    assert job["state"] == "COMPLETED"


def test_the_end_of_a_job_and_its_notice_are_one_write(lab: Lab, tmp_path: Path) -> None:
    """A crash right after any commit of a worker: where there is an end there is its notice."""
    lab.act("accept", tmp_path / "data")
    commits = lab.act("work", tmp_path / "data").reached["store.committed"]
    assert commits >= 4
    for nth in range(1, commits + 1):
        data = tmp_path / str(nth)
        lab.act("accept", data)
        assert lab.act("work", data, kill="store.committed", nth=nth).how == "killed"
        assert check(data, Promises(data.with_name(f"{nth}.told")), swept=False) == []


def test_a_job_that_kills_every_worker_ends(lab: Lab, tmp_path: Path) -> None:
    """Each death counts as an attempt; when they are used up, the job is FAILED, and it has cost five workers."""
    data = tmp_path / "data"
    lab.act("accept", data)
    for attempt in range(1, 6):
        assert lab.act("work", data, kill="job.fetched", later=60.0 * attempt).how == "killed"
    lab.act("recovery", data)
    [job] = Folder(data).jobs.values()
    assert (job["state"], job["failure"]["code"]) == ("FAILED", "attempts_used_up")
    assert check(data, Promises(tmp_path / "data.told"), within=7200.0) == []
