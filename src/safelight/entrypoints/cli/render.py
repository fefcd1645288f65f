"""`safelight render`: the engine alone, on all cores, without a server."""

import os
import queue
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from safelight.entrypoints.cli.files import Picture, check_out, pictures, reason
from safelight.entrypoints.cli.progress import Board
from safelight.entrypoints.cli.recipe import canonical
from safelight.entrypoints.cli.results import Result, Saved, report, summary
from safelight.entrypoints.cli.terminal import AsJson
from safelight.errors import EmptyFile, SafelightError, TooLarge
from safelight.threads import side_by_side

if TYPE_CHECKING:
    from safelight.config import Settings
    from safelight.ports import Rendered, Renderer


def render(
    files: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    out: Path = Path("safelight-out"),
    recipe: str | None = None,
    as_json: AsJson = False,
) -> int:
    """Render pictures on this machine, on all cores, without a server.

    It is what a worker does, with the same limits. Results are named as by `safelight upload`.

    Parameters
    ----------
    files
        Files, and folders: all images in them, all the way down.
    out
        The folder to save results in.
    recipe
        The name of a recipe, or a recipe file. Without: the default.
    """
    from safelight import bootstrap, config
    from safelight.imaging import SandboxedRenderer

    settings = config.load()
    todo = pictures(files, out)
    check_out(out)
    plan = canonical(recipe)
    cores = min(settings.workers or bootstrap.cores(), len(todo))
    with ExitStack() as stack:
        engines: queue.SimpleQueue[Renderer] = queue.SimpleQueue()
        for _ in range(cores):
            engine = SandboxedRenderer(settings)
            stack.callback(engine.close)
            engines.put(engine)
        board = stack.enter_context(Board("Rendering", len(todo)))
        task = _Task(engines, board, settings, plan, out)
        results = []
        for result in side_by_side(task, todo, cores):
            report(board, result, as_json=as_json)
            results.append(result)
    return summary(results)


class _Task:
    """What is done with each file, by whichever engine is free."""

    def __init__(
        self,
        engines: "queue.SimpleQueue[Renderer]",
        board: Board,
        settings: "Settings",
        recipe: bytes,
        out: Path,
    ) -> None:
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
            saved = self._render(engine, picture)
            return Result(picture.path, "COMPLETED", time.monotonic() - start, saved=saved)
        except SafelightError as error:
            code, message = error.code, error.message
        except OSError as error:
            code, message = "unreadable", reason(error, picture.path)
        finally:
            bar.close()
            self._engines.put(engine)
        return Result(picture.path, "FAILED", time.monotonic() - start, code=code, message=message)

    def _render(self, engine: "Renderer", picture: Picture) -> tuple[Saved, ...]:
        from safelight.model import Source

        with picture.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise EmptyFile
            if size > self._settings.max_bytes:
                raise TooLarge
            rendering = engine.render(
                file, Source(key=picture.path.name, version="1", bytes=size), self._recipe
            )
        try:
            return tuple(self._save(picture, rendered) for rendered in rendering.outputs)
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
