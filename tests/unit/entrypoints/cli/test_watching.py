"""What `safelight watch` does with the ends of jobs."""

import json
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


class Done:
    """What is done with each file: nothing, and some of it fails."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, picture: Picture) -> Result:
        done = Result(picture.path, "COMPLETED", 0.1, "j1")
        if not picture.path.name.startswith("bad"):
            return done
        return done._replace(status="FAILED", code="truncated", message="A part is missing.", ended=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to watch, whose pictures are done at once."""
    monkeypatch.setattr(watch, "UploadTask", Done)
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    return Path("in")


def once(folder: Path, *, as_json: bool = False) -> int:
    code: int = watch.watch(folder, once=True, out=Path("out"), every=0.01, as_json=as_json)
    return code


def test_once_waits_for_what_still_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told once, and what was done before counts when it ends."""
    (folder / "bad.jpg").write_bytes(b"x")
    (folder / "slow.jpg").write_bytes(b"x")
    looks = 0

    def pause(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks < 4:
            with (folder / "slow.jpg").open("ab") as file:
                file.write(b"x")
        if looks == 2:
            (folder / "late.jpg").write_bytes(b"x")

    monkeypatch.setattr("time.sleep", pause)
    assert once(folder) == 1
    said = capsys.readouterr()
    assert looks == 4
    assert [line.split()[1] for line in said.out.splitlines()] == ["in/late.jpg", "in/slow.jpg"]
    assert said.err.splitlines() == [
        "safelight: in/bad.jpg: A part is missing. [truncated]",
        "Waiting until in/slow.jpg has stopped changing.",
        "safelight: 1 of 3 files failed.",
    ]


@pytest.mark.parametrize(("every", "looks"), [(7.0, 11), (100.0, 3)])
def test_once_gives_up_what_never_stops_changing(
    every: float,
    looks: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After a minute of waiting, in which others are done; it has failed, and is done when it is whole."""
    (folder / "a.jpg").write_bytes(b"x")
    (folder / "endless.jpg").write_bytes(b"x")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert len(pauses) < looks
        with (folder / "endless.jpg").open("ab") as file:
            file.write(b"x")

    monkeypatch.setattr("time.sleep", pause)
    told = "It was still changing after 60 seconds; run this again when it is whole."
    assert watch.watch(folder, once=True, out=Path("out"), every=every) == 1
    assert pauses == [every] * (looks - 1)
    said = capsys.readouterr()
    assert [line.split()[1] for line in said.out.splitlines()] == ["in/a.jpg"]
    assert said.err.splitlines() == [
        "Waiting until in/endless.jpg has stopped changing.",
        f"safelight: in/endless.jpg: {told} [still_changing]",
        "safelight: 1 of 2 files failed.",
    ]
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert once(folder, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "in/endless.jpg"


def test_only_waiting_counts_against_a_picture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what it took to process others: nobody looked meanwhile."""
    (folder / "a.jpg").write_bytes(b"x")
    (folder / "b.jpg").write_bytes(b"x")
    looks, now = 0, 0.0
    done = Done.__call__

    def slow(task: Done, picture: Picture) -> Result:
        nonlocal now
        now += 1000
        return done(task, picture)

    def pause(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks < 3:
            (folder / "b.jpg").write_bytes(b"x" * looks * 10)

    monkeypatch.setattr(Done, "__call__", slow)
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("time.sleep", pause)
    assert once(folder) == 0
    assert (looks, now) == (3, 2000)


def test_once_ends_while_pictures_go_on_coming(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for those alone that were there at first."""
    (folder / "a.jpg").write_bytes(b"x")
    looks = 0

    def pause(_: float) -> None:
        nonlocal looks
        looks += 1
        assert looks < 5
        (folder / f"{looks}.jpg").write_bytes(b"x")

    monkeypatch.setattr("time.sleep", pause)
    assert once(folder) == 0
    assert looks == 1


def test_what_comes_too_late_was_not_done_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is left to the next time, and nothing is said of it."""
    monkeypatch.setattr("time.sleep", lambda _: (folder / "late.jpg").write_bytes(b"x"))
    assert once(folder) == 0
    assert capsys.readouterr().err == "There was no picture in in.\n"


def test_what_is_left_out_at_the_start_is_named_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people; not what comes later."""
    (folder / "a.jpg").write_bytes(b"x")
    (folder / "notes.txt").touch()
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    monkeypatch.setattr("time.sleep", lambda _: (folder / "later.txt").touch())
    assert once(folder) == 0
    assert capsys.readouterr().err.splitlines() == [
        "Left out, as no pictures by their names: in/notes.txt.",
        "Left out, as links that lead nowhere: in/gone.jpg.",
    ]
    assert once(folder, as_json=True) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "There was no picture in in."),
        (("a.jpg",), "Nothing new in in: 1 picture was done before."),
        (("bad.jpg",), "Nothing new in in: 1 picture was done before, and failed."),
        (("a.jpg", "b.jpg"), "Nothing new in in: 2 pictures were done before."),
        (("a.jpg", "b.jpg", "bad.jpg"), "Nothing new in in: 3 pictures were done before, 1 of them failed."),
    ],
)
def test_once_says_why_there_was_nothing_to_do(
    names: tuple[str, ...], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people, and with what the memory knows of how it went."""
    for name in names:
        (folder / name).write_bytes(b"x")
    if names:
        once(folder)
        capsys.readouterr()
    assert once(folder) == 0
    assert tuple(capsys.readouterr()) == ("", f"{told}\n")
    assert once(folder, as_json=True) == 0
    assert tuple(capsys.readouterr()) == ("", "")


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
