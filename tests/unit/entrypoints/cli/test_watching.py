"""What `safelight watch` does with the ends of jobs."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from safelight.client import NotCompleted, Refused
from safelight.entrypoints.cli.files import Picture
from safelight.entrypoints.cli.progress import Board
from safelight.entrypoints.cli.results import Result
from safelight.entrypoints.cli.upload import UploadTask

watch = import_module("safelight.entrypoints.cli.watch")  # the package gives its name to the function


@pytest.mark.parametrize(("ended", "times"), [(True, 1), (False, 3)])
def test_a_job_that_failed_for_good_is_reported_once(
    ended: bool,
    times: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever its code: its key would be answered with the same job. What cut off the way to it is tried again."""
    asked: list[Path] = []

    class Task:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __call__(self, picture: Picture) -> Result:
            asked.append(picture.path)
            code = "storage_unavailable"
            return Result(picture.path, "FAILED", 0.1, "j1", code=code, message="It is away.", ended=ended)

    monkeypatch.setattr(watch, "UploadTask", Task)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a picture")
    watcher = watch._Watcher(
        folder, tmp_path / "out", "http://127.0.0.1:9", None, None, once=False, as_json=False
    )
    for _ in range(4):
        watcher.look()
    assert len(asked) == times
    assert capsys.readouterr().err.count("It is away.") == times
    assert len(watcher.results) == (0 if ended else 1)


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (NotCompleted("It failed.", state="FAILED", code="storage_unavailable"), True),
        (Refused("Not now.", status=503, code="storage_unavailable"), False),
    ],
)
def test_only_what_the_job_says_is_its_end(error: Exception, ended: bool, tmp_path: Path) -> None:
    """The same code is no end of the job if the server gave it to a question."""

    def save(_: Path) -> list[Path]:
        raise error

    job = SimpleNamespace(id="j1", watch=lambda: (), save=save)
    client: Any = SimpleNamespace(api="http://127.0.0.1:9", upload=lambda *_, **__: job)
    (tmp_path / "a.jpg").write_bytes(b"a picture")
    with Board("Processing", 1) as board:
        result = UploadTask(client, board, None, tmp_path / "out", {})(Picture(tmp_path / "a.jpg", Path()))
    assert (result.code, result.job_id, result.ended) == ("storage_unavailable", "j1", ended)
