"""The TypeScript client in Node, against a running Safelight."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journeys.serving import environment, image

CLIENT = Path(__file__).parents[2] / "clients/typescript"
PROGRAM = Path(__file__).with_name("typescript.mjs")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that uses the client, which is compiled as its users' tools do it."""
    if shutil.which("node") is None or not (CLIENT / "node_modules/.bin/tsc").exists():
        pytest.skip("There is no Node here, or not what the client is built with: `make clients` fetches it.")
    folder = tmp_path_factory.mktemp("typescript")
    done = subprocess.run(
        ["node_modules/.bin/tsc", "--noEmit", "false", "--outDir", folder],
        cwd=CLIENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(CLIENT / "node_modules")
    return Path(shutil.copy(PROGRAM, folder))


def run(program: Path, *words: str | Path) -> Any:
    """What the program printed."""
    done = subprocess.run(
        ["node", program, *words],
        env=environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_photo_is_uploaded_waited_for_and_downloaded(program: Path, api: str, photo: Path) -> None:
    """In three calls; what was declared comes back, and every byte that was rendered arrives."""
    said = run(program, "developed", api, photo, "Strand ü.jpg")
    assert (said["job"]["status"], said["job"]["source"]["filename"]) == ("COMPLETED", "Strand ü.jpg")
    assert said["job"]["metadata"] == {"album": "seven"}
    assert said["outputs"] == [{"name": "main", "whole": True}]
    assert said["progress"] == [[photo.stat().st_size] * 2]


def test_a_large_file_goes_in_parts(program: Path, api: str, tmp_path: Path) -> None:
    """By itself, with the progress told part by part."""
    large = tmp_path / "large.jpg"
    large.write_bytes(image() + b"\0" * 20_000_000)
    said = run(program, "developed", api, large, "large.jpg")
    assert said["job"]["status"] == "COMPLETED"
    assert said["outputs"] == [{"name": "main", "whole": True}]
    size = large.stat().st_size
    sent = [each for each, _ in said["progress"]]
    assert len(sent) == 3
    assert sent == sorted(sent)
    assert sent[-1] == size


def test_a_file_that_fails_is_a_job_that_failed(program: Path, api: str, tmp_path: Path) -> None:
    """Its end is told like any other, with the code."""
    broken = tmp_path / "letter.jpg"
    broken.write_bytes(b"Dear Sir or Madam, this is not a picture.")
    said = run(program, "developed", api, broken, "letter.jpg")
    assert (said["job"]["status"], said["outputs"]) == ("FAILED", [])
    assert said["job"]["error"]["code"] == "type_not_allowed"


def test_a_refusal_is_an_exception_with_its_code(program: Path, api: str, photo: Path) -> None:
    """With the API's own sentence."""
    said = run(program, "refused", api, photo, "a.jpg")
    assert (said["status"], said["code"]) == (422, "unknown_recipe")
    assert said["message"]


def test_every_other_call_is_there(program: Path, api: str, http: httpx.Client) -> None:
    """By its path, typed."""
    for _ in range(3):
        http.post("/uploads", json={}).raise_for_status()
    assert run(program, "listed", api) == {"status": 200, "items": 2}


def test_a_restart_is_outlasted(program: Path) -> None:
    """An API that has answered before is asked again for a minute and longer, and soon after it is back."""
    said = run(program, "outlasted", "http://safelight.test")
    assert said["status"] == "COMPLETED"
    assert 60 <= said["seconds"] < 67


def test_who_does_not_wait_is_not_kept_waiting(program: Path) -> None:
    """A signal ends pauses and requests alike, whatever its reason is, and the reason is what is thrown."""
    said = run(program, "abandoned", "http://safelight.test")
    assert said == [{"reason": r, "prompt": True} for r in ("TimeoutError", "enough", "before")] * 3


@pytest.mark.parametrize(
    ("said", "refused", "waiting"),
    [
        ("7", 7000, 7000),
        ("3600", 30_000, 30_000),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 250, 1000),
        ("-1", 250, 1000),
    ],
)
@pytest.mark.parametrize("status", ["503", "409"])
def test_when_to_come_back(program: Path, said: str, refused: int, waiting: int, status: str) -> None:
    """As many seconds as the server says, but never for longer than the Python client; a date is no number of them."""
    first, second = run(program, "later", "http://safelight.test", said, status)
    assert 0.8 * refused <= first <= 1.2 * refused
    assert second == pytest.approx(waiting)


def test_an_api_that_refuses_is_not_away(program: Path) -> None:
    """Its own 503 is told after five attempts, as any other refusal; a restart after it is still outlasted."""
    said = run(program, "busy", "http://safelight.test")
    assert said["refusal"] == {
        "code": "overloaded",
        "message": "Come back later.",
        "asked": 5,
        "seconds": 120,
    }
    assert said["then"] == "COMPLETED"
