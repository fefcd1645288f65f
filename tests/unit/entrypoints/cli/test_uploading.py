"""What `safelight upload` says when the server goes away."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from safelight.client import Unreachable
from safelight.entrypoints.cli.files import Picture
from safelight.entrypoints.cli.results import Result

upload = import_module("safelight.entrypoints.cli.upload")  # the package gives its name to the function

API = "http://127.0.0.1:9"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Pictures that are sent one after the other: in their names stands what becomes of them."""

    class Task:
        def __init__(
            self, _client: Any, _board: Any, _recipe: Any, _out: Any, under_way: Any, **_: Any
        ) -> None:
            self.under_way = under_way

        def __call__(self, picture: Picture) -> Result:
            if "sent" in picture.path.name:
                self.under_way[picture.path] = "j1"
            if "done" not in picture.path.name:
                raise Unreachable(API)
            return Result(picture.path, "COMPLETED", 0.1, "j0")

    monkeypatch.setattr(upload, "UploadTask", Task)
    monkeypatch.setattr(upload, "AT_ONCE", 1)
    made = [tmp_path / name for name in ("1-done.jpg", "2-sent.jpg", "3.jpg", "4.jpg")]
    for file in made:
        file.write_bytes(b"a picture")
    return made


def test_what_was_sent_and_what_was_not_is_told(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job of what was sent, and how many are left: they can be named again."""
    with pytest.raises(Unreachable):
        upload.upload(files, api=API, out=tmp_path / "out")
    first, second = capsys.readouterr().err.splitlines()
    assert "2-sent.jpg: sent, and goes on as job j1; `safelight jobs save j1" in first
    assert second == "safelight: 2 of 4 files were not sent; name them again to send them."


def test_where_nobody_was_nothing_is_counted(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one sentence about the address says it all."""
    with pytest.raises(Unreachable):
        upload.upload(files[2:], api=API, out=tmp_path / "out")
    assert capsys.readouterr().err == ""
