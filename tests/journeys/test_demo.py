"""The demo: five steps that a stranger can follow, and nothing left running."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from tests.journeys.serving import COMMAND, decoded, environment, image, safelight, until

pytestmark = pytest.mark.embedded


def test_the_demo(tmp_path: Path) -> None:
    """Without a picture it makes one of 12 megapixels; the result is in ./safelight-demo; all is told in order."""
    done = safelight("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\d)\. ", done.stdout, re.MULTILINE) == list("12345")
    assert done.stdout.count("$ curl") == 5
    assert '"status": "COMPLETED"' in done.stdout
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line.endswith(" ")] == []
    assert done.stdout.count("4000 × 3000 (12 megapixels)") == 3
    assert decoded((tmp_path / "safelight-demo/photo-finished.jpg").read_bytes()).size == (4000, 3000)
    assert "safelight-demo/photo-finished.jpg" in done.stdout
    _server_is_gone(done.stdout)


def test_the_demo_takes_a_picture(tmp_path: Path) -> None:
    """A picture of one's own goes the same way, whatever its type and name."""
    (tmp_path / "my photo's.png").write_bytes(image("png"))
    done = safelight("demo", "my photo's.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert decoded((tmp_path / "safelight-demo/my photo's-finished.png").read_bytes()).format == "PNG"


def test_the_demo_and_what_is_no_picture(tmp_path: Path) -> None:
    """A file that is no picture goes the same way, to its FAILED job and the sentence that says why: exit code 1."""
    (tmp_path / "notes.txt").write_text("not a picture")
    done = safelight("demo", "notes.txt", cwd=tmp_path)
    assert done.returncode == 1
    assert '"status": "FAILED"' in done.stdout
    [line] = done.stderr.splitlines()
    assert "text file" in line
    assert done.stdout.count("text file") == 1
    _server_is_gone(done.stdout)


def test_the_demo_and_a_damaged_picture(tmp_path: Path) -> None:
    """A picture that turns out to be damaged fails in the pipeline: its sentence is told, exit code 1."""
    (tmp_path / "half.jpg").write_bytes(image("jpeg", (800, 600))[:9_000])
    done = safelight("demo", "half.jpg", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    _server_is_gone(done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_its_server(tmp_path: Path, number: signal.Signals) -> None:
    """Whatever ends the demo in the middle, its server ends, too."""
    with subprocess.Popen(
        [*COMMAND, "demo"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        shown = next(line for line in lines if "server" in line)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode in (130, 128 + signal.SIGTERM)
    _server_is_gone(shown)


def _server_is_gone(shown: str) -> None:
    import socket

    found = re.search(r"http://127\.0\.0\.1:(\d+)", shown)
    assert found
    port = int(found[1])

    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    until(refused, within=3)
