"""What is told of jobs that could not be seen to their ends, and how their results can still be had."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from safelight.client import Unreachable
from safelight.entrypoints.cli.files import DEFAULT_OUT
from safelight.entrypoints.cli.following import Following, save_later
from safelight.entrypoints.cli.progress import Board

API = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("out", "told"),
    [
        (DEFAULT_OUT, "`safelight jobs save j1`"),
        (Path("./safelight-out/"), "`safelight jobs save j1`"),
        (Path("safelight-out/day 2"), "`safelight jobs save j1 --out 'safelight-out/day 2'`"),
        (Path("web"), "`safelight jobs save j1 --out web`"),
        (Path("it's $HOME"), """`safelight jobs save j1 --out 'it'"'"'s $HOME'`"""),
    ],
)
def test_results_are_saved_later_where_they_were_wanted(
    out: Path, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command can be copied to a shell, and says no more than it has to."""
    monkeypatch.setenv("SAFELIGHT_API", API)
    assert save_later("j1", f"{API}/", out).startswith(told)


@pytest.mark.parametrize(
    ("gone", "known", "job_id", "told"),
    [
        ("finding", None, None, "The file was not sent."),
        ("watching", None, "j1", "The file was sent and is job j1: `safelight jobs save j1 --out web/sub`"),
        ("finding", "j1", "j1", "Not everything of job j1 is saved; `safelight jobs save j1 --out web/sub`"),
        ("watching", "j1", "j1", "Job j1 goes on; `safelight jobs save j1 --out web/sub`"),
        ("saving", "j1", "j1", "Not everything of job j1 is saved; `safelight jobs save j1 --out web/sub`"),
    ],
)
def test_a_server_that_goes_away(
    gone: str, known: str | None, job_id: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sent a file hears whether it has arrived; who only saves results hears nothing of sending."""
    monkeypatch.setenv("SAFELIGHT_API", API)

    def until(step: str) -> None:
        if gone == step:
            raise Unreachable(API)

    def states() -> Iterator[Any]:
        yield SimpleNamespace(status="PROCESSING", stage="drawing", progress=0.5)
        until("watching")
        yield SimpleNamespace(status="COMPLETED", stage=None, progress=1.0)

    def find(_: Any) -> Any:
        until("finding")
        return SimpleNamespace(id="j1", watch=states, save=lambda _: until("saving"))

    with Board("Saving", 2) as board:
        follow = Following(API, board, Path("web"))
        follow(Path("first"), Path(), met())
        result = follow(Path("a.jpg"), Path("sub"), find, known=known)
    assert (result.code, result.job_id) == ("unreachable", job_id)
    assert told in (result.message or "")
    assert ("sent" in (result.message or "")) == (known is None)


def met() -> Callable[[Any], Any]:
    """A job that fails when its server is still there."""

    def save(_: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    return lambda _: SimpleNamespace(id="j0", watch=lambda: (), save=save)
