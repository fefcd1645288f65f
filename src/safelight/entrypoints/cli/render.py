"""`safelight render`: the engine alone, on all cores, without a server."""

import os
import queue
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from safelight.entrypoints.cli.files import DEFAULT_OUT, Picture, check_out, pictures, reason
from safelight.entrypoints.cli.progress import Board
from safelight.entrypoints.cli.recipe import canonical
from safelight.entrypoints.cli.results import Result, Saved, report, summary
from safelight.entrypoints.cli.terminal import AsJsonLines, columns, in_bytes, note
from safelight.errors import EmptyFile, FileError, SafelightError, TooLarge
from safelight.threads import cores, side_by_side

if TYPE_CHECKING:
    from safelight.config import Settings
    from safelight.imaging import SandboxedRenderer
    from safelight.imaging.watching import Trace
    from safelight.ports import Rendered


def render(
    files: Annotated[list[Path], Parameter(negative="", allow_leading_hyphen=True)],
    /,
    *,
    out: Path = DEFAULT_OUT,
    recipe: str | None = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJsonLines = False,
) -> int:
    """Render pictures on this machine, on all cores, without a server.

    It is what a worker does, with the same limits. Results are named as by `safelight upload`.

    Parameters
    ----------
    files
        Files, and folders: all images in them, all the way down. `-` alone reads one picture from standard input and
        writes its primary output to standard output.
    out
        The folder to save results in.
    recipe
        The name of a recipe, or a recipe file. Without: the default.
    explain
        Tell which way each picture took and why, and what each step took. Slower: no step is done in passing.
    """
    from safelight import config
    from safelight.imaging import SandboxedRenderer

    settings = config.load()
    if files == [Path("-")]:
        try:
            return _through(settings, canonical(recipe))
        except FileError as error:
            error.message = _without_upload(error.message)
            raise
    todo, left_out = pictures(files, out)
    check_out(out)
    plan = canonical(recipe)
    for line in () if as_json else left_out:
        note(line)
    count = min(settings.workers or cores(), len(todo))
    with ExitStack() as stack:
        engines: queue.SimpleQueue[SandboxedRenderer] = queue.SimpleQueue()
        for _ in range(count):
            engine = SandboxedRenderer(settings)
            stack.callback(engine.close)
            engines.put(engine)
        board = stack.enter_context(Board("Rendering", len(todo)))
        task = _Task(engines, board, settings, plan, out, explain=explain)
        results = []
        for result in side_by_side(task, todo, count):
            report(board, result, as_json=as_json)
            results.append(result)
    return summary(results)


_WAYS: Final = {
    "pixels": "by pixels",
    "marked in place": "by pixels, with the marks drawn into the decoded JPEG itself",
    "spliced (copied)": "by splicing: what is beside the edits was copied bit by bit",
    "spliced (grown)": "by splicing: what is beside the edits was copied bit by bit, the code tables got longer",
    "spliced (recoded)": "by splicing: what is beside the edits keeps its values, some in other codes",
}
"""The ways of `Trace`, in words."""


def explained(trace: "Trace") -> Iterator[str]:
    """A trace as lines: the way and why, then each step with its time and its memory."""
    reasons = f" ({'; '.join(trace.reasons)})" if trace.reasons else ""
    yield f"  {_WAYS[trace.way]}{reasons}; {in_bytes(trace.peak)} at most"
    rows = [
        [
            f"  {node.name}",
            node.does,
            f"of {node.of}" if node.of else "",
            f"{node.width} × {node.height}",
            f"{1000 * node.seconds:.1f} ms",
            in_bytes(node.bytes),
        ]
        for node in trace.nodes
    ]
    yield from columns(rows)


def _through(settings: "Settings", recipe: bytes) -> int:
    """Render standard input to standard output: the primary output, and nothing else."""
    import shutil
    import sys
    import tempfile

    from safelight.imaging import SandboxedRenderer
    from safelight.model import Source

    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        # One byte more than is allowed shows that there are too many, however many come.
        left = settings.max_bytes + 1
        while left and (piece := sys.stdin.buffer.read(min(left, 2**20))):
            file.write(piece)
            left -= len(piece)
        if not left:
            raise TooLarge
        if not file.tell():
            raise EmptyFile
        size = file.tell()
        file.flush()
        file.seek(0)
        engine = SandboxedRenderer(settings)
        stack.callback(engine.close)
        rendering = engine.render(file, Source(key="-", version="1", bytes=size), recipe)
        stack.callback(rendering.close)
        primary = next((each for each in rendering.outputs if each.primary), rendering.outputs[0])
        shutil.copyfileobj(primary.file, sys.stdout.buffer, 2**20)
        sys.stdout.buffer.flush()
    return 0


def _without_upload(message: str) -> str:
    """What is wrong with a file, without the advice for one that was uploaded: here none was."""
    return re.sub(r"(;| and) upload it again\.$", ".", message)


class _Task:
    """What is done with each file, by whichever engine is free."""

    def __init__(
        self,
        engines: "queue.SimpleQueue[SandboxedRenderer]",
        board: Board,
        settings: "Settings",
        recipe: bytes,
        out: Path,
        *,
        explain: bool,
    ) -> None:
        self._explain = explain
        self._engines = engines
        self._board = board
        self._settings = settings
        self._recipe = recipe
        self._out = out

    def __call__(self, picture: Picture) -> Result:
        engine = self._engines.get()
        bar = self._board.bar(picture.path.name)
        start = time.monotonic()
        try:
            saved, told = self._render(engine, picture)
            seconds = time.monotonic() - start
            return Result(picture.path, "COMPLETED", seconds, saved=saved, explained=told)
        except SafelightError as error:
            code, message = error.code, _without_upload(error.message)
        except OSError as error:
            code, message = "unreadable", reason(error, picture.path)
        finally:
            bar.close()
            self._engines.put(engine)
        return Result(picture.path, "FAILED", time.monotonic() - start, code=code, message=message)

    def _render(
        self, engine: "SandboxedRenderer", picture: Picture
    ) -> tuple[tuple[Saved, ...], tuple[str, ...]]:
        from safelight.model import Source

        with picture.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise EmptyFile
            if size > self._settings.max_bytes:
                raise TooLarge
            told: tuple[str, ...] = ()
            source = Source(key=picture.path.name, version="1", bytes=size)
            if self._explain:
                rendering, trace = engine.explain(file, source, self._recipe)
                told = tuple(explained(trace))
            else:
                rendering = engine.render(file, source, self._recipe)
        try:
            return tuple(self._save(picture, rendered) for rendered in rendering.outputs), told
        finally:
            rendering.close()

    def _save(self, picture: Picture, rendered: "Rendered") -> Saved:
        import shutil

        from safelight.client.saving import settle, unfinished

        folder = self._out / picture.below
        with unfinished(folder) as file:
            shutil.copyfileobj(rendered.file, file, 2**20)
            wanted = folder / f"{picture.path.stem}-{rendered.name}.{rendered.extension}"
            path = settle(file, wanted, rendered.sha256)
        return Saved(rendered.name, path, rendered.bytes, rendered.width, rendered.height)
