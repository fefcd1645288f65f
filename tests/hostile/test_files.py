"""Every hostile file costs one job and nothing else: a code and a sentence, or a clean picture."""

import time
from typing import Any

import pytest
from tests.hostile import bombs, borders, lies, strangers
from tests.hostile.conftest import WORKERS, Besieged, tell
from tests.hostile.parts import read_back

pytestmark = pytest.mark.timeout(600)

FILES = bombs.FILES | lies.FILES | strangers.FILES | borders.FILES

Jobs = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def jobs(besieged: Besieged) -> Jobs:
    """How the job of each file ended, all of them sent to one server one after the other."""
    began = time.monotonic()
    ended = besieged.attack({name: file.make() for name, file in FILES.items()})
    tell(besieged, len(ended), began)
    return ended


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_costs_one_job(besieged: Besieged, jobs: Jobs, name: str) -> None:
    """FAILED with a code that names the fault and a sentence that shows nothing of the inside, or COMPLETED with a
    picture in which nothing is left of what came beside the pixels."""
    job = jobs[name]
    end = job["error"]["code"] if job["status"] == "FAILED" else job["status"]
    assert end in FILES[name].ends
    if job["status"] == "FAILED":
        message = job["errorMessage"]
        assert len(message) > 20
        assert message.endswith(".")
        assert not any(word in message for word in ("Traceback", "/", "vips", "Error(", "0x"))
        assert job["outputs"] == []
        return
    answer = besieged.http.get(job["downloadUrl"]).raise_for_status()
    assert read_back(answer.content).size == (job["outputs"][0]["width"], job["outputs"][0]["height"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert b"CANARY" not in answer.content
    assert b"<script" not in answer.content
    assert not answer.content.rstrip(b"\0").endswith(b"PK")
    assert b"PK\x05\x06" not in answer.content


def test_nothing_else_comes_to_harm(besieged: Besieged, jobs: Jobs) -> None:
    """No worker died, no child went beyond its limits, and the API answered throughout."""
    besieged.check()
    # The last ones are told of when the next ones are needed.
    assert len(besieged.spent()) >= len(jobs) - 2 * WORKERS


def test_an_attempt_is_enough_to_find_a_file_guilty(jobs: Jobs) -> None:
    """A file with a fault that can be shown is not tried again."""
    proved = {
        name: job
        for name, job in jobs.items()
        if job["status"] == "FAILED" and "render" not in job["error"]["code"]
    }
    assert {name: job["attempt"] for name, job in proved.items() if job["attempt"] != 1} == {}
