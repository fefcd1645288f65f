"""`safelight backup`: a copy made beside a server at work is a store like any other."""

import threading
from pathlib import Path

import pytest
from tests.journeys.serving import Server, client, image, safelight, submit, wait

pytestmark = pytest.mark.embedded


def test_a_copy_made_under_load_serves_all_that_had_ended(tmp_path: Path) -> None:
    """While uploads go on, the folder is copied. A server on the copy has every job that had ended before, with its
    result; it carries what was under way to its end, or still waits for the upload."""
    data, copy = tmp_path / "data", tmp_path / "backups" / "monday"
    with Server(data, "--workers", "2") as server, client(server.url) as http:
        ended = [wait(http, submit(http, image())) for _ in range(5)]
        over = threading.Event()

        def go_on() -> None:
            with client(server.url) as another:
                while not over.is_set():
                    submit(another, image())

        busy = threading.Thread(target=go_on)
        busy.start()
        try:
            done = safelight("backup", copy, "--data", data)
        finally:
            over.set()
            busy.join()
    assert done.returncode == 0, done.stderr
    assert "has all jobs and" in done.stdout
    with Server(copy, "--workers", "2") as server, client(server.url) as http:
        for job in ended:
            again = http.get(f"/jobs/{job['jobId']}").json()
            assert again["status"] == "COMPLETED"
            assert http.get(again["downloadUrl"]).status_code == 200
        for job in http.get("/jobs", params={"limit": 100}).json()["items"]:
            if job["stage"] != "awaiting_upload":
                assert wait(http, job["jobId"])["status"] == "COMPLETED"


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Nothing is ever written over, and nothing into the store itself; a store that is not there is said so."""
    data = tmp_path / "data"
    missing = safelight("backup", tmp_path / "copy", "--data", data)
    assert missing.returncode == 3
    assert "There is no Safelight in the folder" in missing.stderr
    with Server(data):
        pass
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine.txt").write_text("keep me")
    taken = safelight("backup", tmp_path / "copy", "--data", data)
    inside = safelight("backup", data / "copy", "--data", data)
    assert (taken.returncode, inside.returncode) == (3, 3)
    assert "is there already" in taken.stderr
    assert "in the data folder itself" in inside.stderr
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["mine.txt"]
    assert not (data / "copy").exists()
