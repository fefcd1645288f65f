"""`safelight render -`: a picture in, its primary output out."""

import subprocess

import pytest
from tests.journeys.serving import COMMAND, environment, image


def piped(body: bytes, **settings: str) -> subprocess.CompletedProcess[bytes]:
    """What comes of these bytes on standard input."""
    return subprocess.run(
        [*COMMAND, "render", "-"], input=body, capture_output=True, env=environment(**settings), timeout=50
    )


def test_a_picture_goes_through() -> None:
    """Nothing but the picture is on standard output."""
    done = piped(image())
    assert (done.returncode, done.stdout[:2], done.stdout[-2:]) == (0, b"\xff\xd8", b"\xff\xd9")


@pytest.mark.parametrize(
    ("body", "settings"), [(b"", {}), (b"no picture", {}), (b"x" * 2000, {"max_bytes": "1000"})]
)
def test_what_is_none_is_refused(body: bytes, settings: dict[str, str]) -> None:
    """With one line on standard error, and nothing on standard output."""
    done = piped(body, **settings)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
