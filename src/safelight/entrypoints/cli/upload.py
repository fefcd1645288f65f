"""`safelight upload`: send files to a Safelight, wait, and save what became of them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from safelight.entrypoints.cli.files import Picture, check_out, pictures, reason
from safelight.entrypoints.cli.progress import Bar, Board
from safelight.entrypoints.cli.recipe import for_request
from safelight.entrypoints.cli.results import Result, Saved, report, summary
from safelight.entrypoints.cli.terminal import DEFAULT_API, Api, AsJsonLines, Key, complain
from safelight.errors import EmptyFile, SafelightError
from safelight.threads import side_by_side

if TYPE_CHECKING:
    from safelight.client import Client

AT_ONCE: Final = 16
"""Files under way at once: enough to keep every worker busy while others are sent and fetched."""


def upload(
    files: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    api: Api = DEFAULT_API,
    key: Key = None,
    recipe: str | None = None,
    out: Path = Path("safelight-out"),
    wait: bool = True,
    dedupe: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJsonLines = False,
) -> int:
    """Send pictures to a Safelight, wait, and save the results.

    Each output is saved as `{name}-{output}.{type}`. Nothing that is there already is ever replaced: a result that
    is there is left alone, and another file of the same name makes the next one `{name}-{output} (2)`.

    Parameters
    ----------
    files
        Files, and folders: all images in them, all the way down.
    recipe
        The name of a recipe that the server knows, or a recipe file. Without: the server's default.
    out
        The folder to save results in.
    wait
        Wait for the results and save them; without, only say which job each file became.
    dedupe
        Send nothing that was processed before, sent with this option, by the same recipe: its job is taken.
    """
    from safelight.client import Client

    todo = pictures(files, out)
    if wait:
        check_out(out)
    choice = for_request(recipe)
    results: list[Result] = []
    under_way: dict[Path, str] = {}
    try:
        with Client(api, key=key) as client, Board("Uploading", len(todo)) as board:
            task = UploadTask(client, board, choice, out if wait else None, under_way, dedupe=dedupe)
            for result in side_by_side(task, todo, AT_ONCE):
                report(board, result, as_json=as_json)
                results.append(result)
                under_way.pop(result.file, None)
    except KeyboardInterrupt:
        for file, job_id in list(under_way.items()):
            complain(f"{file}: sent, and goes on as job {job_id}")
        raise
    return summary(results)


class UploadTask:
    """What is done with each file."""

    def __init__(
        self,
        client: "Client",
        board: Board,
        recipe: str | dict[str, Any] | None,
        out: Path | None,
        under_way: dict[Path, str],
        *,
        dedupe: bool = False,
        name_of: Callable[[Path], str] | None = None,
    ) -> None:
        """`name_of` gives each upload a name of its own: another with the same name is the same job."""
        self._name_of = name_of
        self._dedupe = dedupe
        self._client = client
        self._board = board
        self._recipe = recipe
        self._out = out
        self._under_way = under_way
        self._met = False

    def __call__(self, picture: Picture) -> Result:
        bar = self._board.bar(picture.path.name)
        start = time.monotonic()
        try:
            return self._carry_out(picture, bar, start)
        finally:
            bar.close()

    def _carry_out(self, picture: Picture, bar: Bar, start: float) -> Result:
        from safelight.client import NotCompleted, Unreachable

        job_id = None
        state = "FAILED"
        try:
            if picture.path.stat().st_size == 0:
                raise EmptyFile("The file is empty (0 bytes).")
            job = self._client.upload(
                picture.path,
                recipe=self._recipe,
                dedupe=self._dedupe,
                idempotency_key=self._name_of(picture.path) if self._name_of else None,
                progress=lambda sent, size: bar.at(0.4 * sent / max(size, 1), "sending"),
            )
            job_id, self._met = job.id, True
            self._under_way[picture.path] = job.id
            if self._out is None:
                return Result(picture.path, "PENDING", time.monotonic() - start, job_id)
            state = "PENDING"
            for status in job.watch():
                state = status.status
                bar.at(0.4 + 0.4 * status.progress, status.stage or status.status.lower())
            bar.at(0.9, "saving")
            paths = job.save(self._out / picture.below)
        except Unreachable as error:
            if not self._met:
                raise  # there never was a server: the other files would fare no better
            sent = f" The file was sent and is job {job_id}." if job_id else " The file was not sent."
            return Result(
                picture.path,
                state,
                time.monotonic() - start,
                job_id,
                code=error.code,
                message=error.message + sent,
            )
        except NotCompleted as error:
            failed = self._failed(picture, start, job_id, error.code, error.message)
            return failed._replace(ended=True)
        except SafelightError as error:
            return self._failed(picture, start, job_id, error.code, error.message)
        except OSError as error:
            return self._failed(picture, start, job_id, "unreadable", reason(error, picture.path))
        saved = tuple(
            Saved(output.name, path, output.bytes, output.width, output.height)
            for output, path in zip(job.status.outputs, paths, strict=True)
        )
        return Result(picture.path, job.status.status, time.monotonic() - start, job_id, saved)

    def _failed(self, picture: Picture, start: float, job_id: str | None, code: str, message: str) -> Result:
        return Result(picture.path, "FAILED", time.monotonic() - start, job_id, code=code, message=message)
