"""The server as a process: how it starts, how it ends, and what a crash leaves behind."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.serving import Server, client, decoded, image, safelight, submit, until, wait

pytestmark = pytest.mark.embedded


def test_a_crash_loses_nothing(tmp_path: Path) -> None:
    """After `kill -9` of the whole tree in the middle of its work, a new server finishes every accepted job."""
    body = image("jpeg", (3000, 2000))
    with Server(tmp_path / "data", "--workers", "2") as server, client(server.url) as http:
        jobs = [submit(http, body, filename=f"{number}.jpg") for number in range(20)]
        until(lambda: http.get("/jobs", params={"status": "COMPLETED"}).json()["items"])
        server.kill()
        assert until(lambda: not server.processes())
    with Server(tmp_path / "data", "--workers", "2") as server, client(server.url) as http:
        done = [wait(http, job_id, within=45) for job_id in jobs]
        assert {job["status"] for job in done} == {"COMPLETED"}
        for job in done:
            assert decoded(http.get(job["downloadUrl"]).content).size == (3000, 2000)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_gigabyte_does_not_fill_the_memory(tmp_path: Path, method: str) -> None:
    """An upload of 1 GB is refused where it passes the limit; no process of the server ever had more than 150 MB."""

    def body(fields: dict[str, str]) -> Iterator[bytes]:
        if method == "POST":
            for name, value in {**fields, "file": ""}.items():
                end = f"{value}\r\n" if name != "file" else ""
                yield f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{end}'.encode()
        for _ in range(1000):
            yield bytes(1_000_000)

    with Server(tmp_path / "data", "--workers", "1") as server, client(server.url) as http:
        grant = http.post("/uploads", json={"method": method}).raise_for_status().json()
        headers = {"Content-Type": "multipart/form-data; boundary=b"} if method == "POST" else {}
        answer = http.request(
            method, grant["uploadUrl"], content=body(grant["uploadFields"]), headers=headers
        )
        assert (answer.status_code, "EntityTooLarge" in answer.text) == (400, True)
        for pid in server.processes():
            [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            assert int(peak) < 150_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_is_clean(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the server in order: exit code 0, a last line in the log, and no process of it is left."""
    with Server(tmp_path / "data", "--workers", "2") as server:
        assert len(server.processes()) > 3
        assert server.end(number) == 0
        assert until(lambda: not server.processes(), within=3)
    lines = server.log.read_text().splitlines()
    assert lines[-1].endswith(" INFO    server   stopped")
    assert any("sandbox on: " in line for line in lines)


def test_ctrl_c_in_the_middle_of_work(tmp_path: Path) -> None:
    """Jobs that were under way at Ctrl-C are done by the next server."""
    body = image("jpeg", (3000, 2000))
    with Server(tmp_path / "data", "--workers", "1") as server, client(server.url) as http:
        jobs = [submit(http, body) for _ in range(6)]
        assert server.end(signal.SIGINT) == 0
    with Server(tmp_path / "data", "--workers", "1") as server, client(server.url) as http:
        assert {wait(http, job_id)["status"] for job_id in jobs} == {"COMPLETED"}


def test_a_taken_port(tmp_path: Path) -> None:
    """A port that somebody has is one clear line and exit code 3, and no data folder is made."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = safelight("serve", "--port", port, "--data", tmp_path / "data")
    assert (done.returncode, done.stdout) == (3, "")
    [line] = done.stderr.splitlines()
    assert port in line
    assert line.endswith("Choose another port with --port.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine(tmp_path: Path, host: str) -> None:
    """A host that this machine is not is one clear line that names --host, and exit code 3."""
    done = safelight("serve", "--host", host, "--port", "0", "--data", tmp_path / "data")
    assert (done.returncode, done.stdout) == (3, "")
    [line] = done.stderr.splitlines()
    assert host in line
    assert "--host" in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """A data folder that can not be used is one clear line and exit code 3."""
    (tmp_path / "file").write_text("in the way")
    for data in (tmp_path / "file", Path("/proc/safelight")):
        done = safelight("serve", "--port", "0", "--data", data)
        assert (done.returncode, done.stdout) == (3, "")
        [line] = done.stderr.splitlines()
        assert str(data) in line
        assert ("is a file, not a folder." in line) == data.is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_belongs_to_somebody_else(tmp_path: Path) -> None:
    """The folder is named and the reason given; what would be inside is nobody's business."""
    (tmp_path / "data").mkdir(mode=0o500)
    done = safelight("serve", "--port", "0", "--data", tmp_path / "data")
    assert done.returncode == 3
    assert (
        done.stderr == f"safelight: The data folder {tmp_path / 'data'} can not be used: Permission denied.\n"
    )


@pytest.mark.parametrize(
    "settings",
    [{"recipes": "/nowhere"}, {"recipes": "bad"}, {"default_recipe": "nope"}, {"public_url": "example.com"}],
    ids=str,
)
def test_what_no_process_could_use_starts_none(tmp_path: Path, settings: dict[str, str]) -> None:
    """It is one line and exit code 3, without a log, and no data folder is made."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/web.yaml").write_text("version: 3\noutputs: {a: {}}")
    done = safelight("serve", "--port", "0", "--data", "data", cwd=tmp_path, settings=settings)
    assert (done.returncode, done.stdout) == (3, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("safelight: ")
    assert not (tmp_path / "data").exists()


def test_a_folder_in_use(tmp_path: Path) -> None:
    """Two servers do not share a data folder: the second one says so and ends with 3."""
    with Server(tmp_path / "data", "--workers", "1"):
        done = safelight("serve", "--port", "0", "--data", tmp_path / "data")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_setting(tmp_path: Path) -> None:
    """A setting that does not exist, or a value that is none, is one clear line and exit code 3."""
    for name, value in {"max_bites": "1", "max_bytes": "plenty"}.items():
        done = safelight("serve", "--port", "0", "--data", tmp_path / "data", settings={name: value})
        assert done.returncode == 3
        [line] = done.stderr.splitlines()
        assert f"SAFELIGHT_{name.upper()}" in line
