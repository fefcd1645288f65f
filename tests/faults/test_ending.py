"""SIGTERM in the middle of work, and a disk that fills up: what is refused, what is handed back, what comes after."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.faults.checker import Folder, check
from tests.faults.killing import Victims
from tests.faults.promises import Promises
from tests.journeys.serving import Server, client, image, submit, until, wait

ROOM = 24_000_000


def test_a_rendering_that_hangs_is_handed_back(tmp_path: Path) -> None:
    """The server ends within ten seconds all the same; the attempt does not count, and the next server does the job."""
    with Server(tmp_path / "data", "--workers", "1") as server, client(server.url) as http:
        [child] = until(lambda: Victims(server).by_kind.get("child"))
        os.kill(child, signal.SIGSTOP)
        job_id = submit(http, image())
        until(lambda: http.get(f"/jobs/{job_id}").json()["status"] == "PROCESSING")
        begun = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - begun < 11.0
    job = Folder(tmp_path / "data").jobs[job_id]
    assert (job["state"], job.get("attempt", 0), job.get("claim")) == ("PROCESSING", 0, None)
    with Server(tmp_path / "data", "--workers", "1") as server, client(server.url) as http:
        assert wait(http, job_id)["status"] == "COMPLETED"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room, as a data folder."""
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "safelight-test", str(data)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode != 0:
        pytest.skip(f"a small file system can not be mounted here: {done.stderr.strip()}")
    yield data
    subprocess.run(["umount", "--lazy", str(data)], check=True)


@pytest.mark.timeout(200)
def test_a_full_disk_refuses_and_recovers(small_disk: Path, tmp_path: Path) -> None:
    """What there is no room for is refused with 503 and a time to come back; nothing half-made is left; with room
    again, every accepted job ends and new ones are taken."""
    told = Promises(tmp_path / "data.told")
    body = image("jpeg", (640, 480))
    sha256 = hashlib.sha256(body).hexdigest()
    told.tell("sending", sha256=sha256)

    def offer(http: httpx.Client) -> int:
        asked = http.post("/uploads", json={"filename": "photo.jpg"})
        if asked.status_code != 200:
            assert asked.headers["content-type"].startswith("application/problem+json")
            assert asked.json()["code"] == "storage_unavailable"
            return asked.status_code
        told.tell("requested", job=asked.json()["jobId"])
        sent = http.put(asked.json()["uploadUrl"], content=body)
        if sent.status_code == 200:
            told.tell("uploaded", job=asked.json()["jobId"], sha256=sha256, at=time.time())
        else:
            assert "<Code>SlowDown</Code>" in sent.text
            assert sent.headers["retry-after"]
        return sent.status_code

    with Server(small_disk, "--workers", "1", max_attempts="20") as server, client(server.url) as http:
        assert offer(http) == 200
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(65536)):
                    pass
            except OSError:
                pass
        answers = {offer(http) for _ in range(20)}
        assert 503 in answers
        assert answers <= {200, 503}
        ballast.unlink()
        until(lambda: offer(http) == 200)
        for job_id in told.uploaded:
            assert wait(http, job_id, within=130)["status"] == "COMPLETED"
    found = check(small_disk, told, swept=False)
    assert [
        violation for violation in found if violation.invariant != 4
    ] == []  # nobody kept a list of notices
    assert [name for name in Folder(small_disk).temporary if not name.startswith("probe")] == []
