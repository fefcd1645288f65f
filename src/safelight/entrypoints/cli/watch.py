"""`safelight watch`: a folder whose pictures are processed as they land."""

import json
import time
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from cyclopts import Parameter

from safelight.entrypoints.cli.files import DEFAULT_OUT, Picture, check_out, in_folder
from safelight.entrypoints.cli.following import AT_ONCE
from safelight.entrypoints.cli.progress import Board
from safelight.entrypoints.cli.recipe import for_request
from safelight.entrypoints.cli.results import Result, report, summary
from safelight.entrypoints.cli.terminal import DEFAULT_API, Api, AsJsonLines, Key, UsageError, complain, note
from safelight.entrypoints.cli.upload import UploadTask
from safelight.errors import UnknownRecipe
from safelight.threads import side_by_side

JOURNAL: Final = ".safelight-watch"
"""The file in `--out` that remembers what was done, one line a picture."""

AGAIN: Final = frozenset(
    {"unreachable", "storage_unreachable", "storage_unavailable", "overloaded", "too_many_requests"}
)
"""Ends that say nothing about the picture: it is tried again with the next look, unless its job has ended so."""

PATIENCE: Final = 60.0
"""Seconds that a watch which is to end waits for a picture to stop changing."""


class State(NamedTuple):
    """A file as it is now: another size or time is another picture."""

    size: int
    modified: int


class Journal:
    """What was done by which recipe, so that it is not done again after a restart."""

    def __init__(self, path: Path, recipe: str) -> None:
        """`recipe` names the one that things are done by now: whatever is the same for the same."""
        self._path = path
        self._recipe = recipe
        self._done: dict[str, tuple[State, str | None]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._read(line)

    def has(self, file: Path, state: State) -> bool:
        """Whether this very state of the file was done by the recipe."""
        done, _ = self._done.get(str(file.resolve()), (None, None))
        return done == state

    def failed(self, file: Path) -> bool:
        """Whether it came to nothing when it was done last."""
        _, status = self._done.get(str(file.resolve()), (None, None))
        return status not in (None, "COMPLETED")

    def add(self, file: Path, state: State, result: Result) -> None:
        """Remember that it is done."""
        said = {"file": str(file.resolve()), "size": state.size, "modified": state.modified}
        said |= {"jobId": result.job_id, "status": result.status, "recipe": self._recipe}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(said) + "\n")
        self._done[str(file.resolve())] = (state, result.status)

    def _read(self, line: str) -> None:
        try:
            said: dict[str, Any] = json.loads(line)
            # Lines without a recipe are older than its being told of: they count, or all would be done again.
            if said.get("recipe", self._recipe) == self._recipe:
                self._done[said["file"]] = (State(said["size"], said["modified"]), said.get("status"))
        except (ValueError, KeyError):
            pass  # its end was cut off: that picture is asked for under its key again, and is the same job


def watch(
    folder: Path,
    /,
    *,
    api: Api = DEFAULT_API,
    key: Key = None,
    recipe: str | None = None,
    out: Path = DEFAULT_OUT,
    every: Annotated[float, Parameter(negative="")] = 1.0,
    once: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJsonLines = False,
) -> int:
    """Process the pictures of a folder as they land, until Ctrl-C.

    A file is taken when two looks in a row find it unchanged. What was done is remembered in `--out`, so a restart does
    nothing twice. A file that changes is done anew, and every file if the recipe is another one: by its name, or by the
    content of its file. What was done before recipes were remembered, too, counts for every recipe. Files that are left
    out, such as those that are no pictures by their names, are told of at the start.

    With --once, the exit code is 1 if a picture failed this time. One that failed before is done until it changes. One
    that goes on changing for a minute has failed, too, and is left to the next time.

    Parameters
    ----------
    folder
        The folder to watch, all the way down.
    recipe
        The name of a recipe that the server knows, or a recipe file. Without: the server's default.
    out
        The folder to save results in.
    every
        Seconds between two looks.
    once
        Process what is there, and end: as soon as every picture that was there at the start has been unchanged for
        two looks.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is a file; name the folder that it lies in."
            if folder.exists()
            else f"There is no folder {folder}."
        )
    if out.resolve() == folder.resolve():
        raise UsageError(
            f"{out} is watched itself, and its results would be taken for new pictures; name another --out."
        )
    check_out(out)
    watcher = _Watcher(folder, out, api, key, for_request(recipe), once=once, as_json=as_json)
    if not once:
        note(f"Watching {folder}; results go to {out}. Ctrl-C ends it.")
    watcher.look()
    pause = max(0.05, every)
    while True:
        time.sleep(pause)
        watcher.look(pause)
        if once and not watcher.unsettled():
            return watcher.end()


class _Watcher:
    """Looks at the folder, and does what is ready."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        api: str,
        key: str | None,
        recipe: str | dict[str, Any] | None,
        *,
        once: bool,
        as_json: bool,
    ) -> None:
        self._folder, self._out = folder, out
        self._once = once
        self._api, self._key = api, key
        self._recipe = recipe
        self._as_json = as_json
        self._journal = Journal(out / JOURNAL, _digest(recipe))
        self._seen: dict[Path, State] = {}
        self._changing: dict[Path, float] = {}
        """What was found otherwise than by the look before, and for how long by now, in seconds of waiting."""
        self._there: frozenset[Path] | None = None
        """What the first look found: an end waits for these alone, or pictures that keep coming would put it off."""
        self._away = self._waits = False
        self.results: dict[Path, Result] = {}
        """Of the last look alone, as a watch may go on for months; of all looks if it is to end."""

    def look(self, waited: float = 0.0) -> None:
        """Do what has not changed since the last look and was not done before.

        `waited` is the pause since then alone: a picture that was whole soon is not given up because others took long.
        """
        if not self._once:
            self.results = {}
        ready: dict[Path, tuple[Picture, State]] = {}
        seen: dict[Path, State] = {}
        pictures, left_out = in_folder(self._folder, self._out)
        for picture in pictures:
            try:
                status = picture.path.stat()
            except FileNotFoundError:
                continue
            state = seen[picture.path] = State(status.st_size, status.st_mtime_ns)
            if self._seen.get(picture.path) == state and not self._journal.has(picture.path, state):
                ready[picture.path] = (picture, state)
        if self._there is None:
            self._there = frozenset(seen)
            for line in () if self._as_json else left_out:
                note(line)
        else:
            changing = [path for path in seen if path in self._there and self._seen.get(path) != seen[path]]
            self._changing = {
                path: self._changing[path] + waited if path in self._changing else 0.0 for path in changing
            }
        self._seen = seen
        if ready:
            self._process(ready)

    def unsettled(self) -> bool:
        """Whether a picture has changed since the look before, and is still waited for. The first time, say which."""
        if self._changing and not self._waits:
            others = f" and {len(self._changing) - 1} more" if len(self._changing) > 1 else ""
            note(f"Waiting until {next(iter(self._changing))}{others} has stopped changing.")
            self._waits = True
        return any(waited < PATIENCE for waited in self._changing.values())

    def end(self) -> int:
        """The exit code. What still changes has failed. Where there was nothing to do, say why."""
        if self._changing:
            self._give_up()
        if not self.results and not self._as_json:
            note(self._nothing_new())
        return summary(list(self.results.values()))

    def _give_up(self) -> None:
        message = f"It was still changing after {PATIENCE:.0f} seconds; run this again when it is whole."
        with Board("Processing", len(self._changing)) as board:
            for path, waited in self._changing.items():
                self.results[path] = Result(path, "FAILED", waited, code="still_changing", message=message)
                report(board, self.results[path], as_json=self._as_json)

    def _nothing_new(self) -> str:
        done = [path for path, state in self._seen.items() if self._journal.has(path, state)]
        if not done:
            return f"There was no picture in {self._folder}."
        failed = sum(self._journal.failed(path) for path in done)
        if len(done) == 1:
            return (
                f"Nothing new in {self._folder}: 1 picture was done before{', and failed' if failed else ''}."
            )
        told = f", {failed} of them failed" if failed else ""
        return f"Nothing new in {self._folder}: {len(done)} pictures were done before{told}."

    def _process(self, ready: dict[Path, tuple[Picture, State]]) -> None:
        from safelight.client import Client, Unreachable

        def name_of(path: Path) -> str:
            """The same for the same picture, recipe and state, also after a restart: so it is the same job."""
            return f"watch-{_digest([str(path.resolve()), ready[path][1], self._recipe])}"

        try:
            with Client(self._api, key=self._key) as client, Board("Processing", len(ready)) as board:
                task = UploadTask(client, board, self._recipe, self._out, {}, name_of=name_of)
                for result in side_by_side(task, [picture for picture, _ in ready.values()], AT_ONCE):
                    self._took(board, result, ready[result.file][1])
        except Unreachable as error:
            if self._once:
                raise
            if not self._away:
                complain(f"{error.message} It is tried again until one does.")
            self._away = True

    def _took(self, board: Board, result: Result, state: State) -> None:
        self._away = False
        if result.code == UnknownRecipe.code:  # which is so for every other picture, too
            raise UsageError(result.message)
        report(board, result, as_json=self._as_json)
        self.results[result.file] = result
        if result.ended or result.code not in AGAIN:
            self._journal.add(result.file, state, result)


def _digest(said: Any) -> str:
    """The same for what is the same in JSON."""
    import hashlib

    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
