"""`safelight upload`: send files to a Safelight, wait, and save what became of them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from safelight.entrypoints.cli.files import DEFAULT_OUT, Picture, check_out, pictures
from safelight.entrypoints.cli.following import AT_ONCE, Following, save_later
from safelight.entrypoints.cli.progress import Bar, Board
from safelight.entrypoints.cli.recipe import for_request
from safelight.entrypoints.cli.results import Result, report, summary
from safelight.entrypoints.cli.terminal import DEFAULT_API, Api, AsJsonLines, Key, complain, note
from safelight.threads import side_by_side

if TYPE_CHECKING:
    from safelight.client import Client, Job


def upload(
    files: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    api: Api = DEFAULT_API,
    key: Key = None,
    recipe: str | None = None,
    out: Path = DEFAULT_OUT,
    wait: bool = True,
    dedupe: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJsonLines = False,
) -> int:
    """Send pictures to a Safelight, wait, and save the results.

    Each output is saved as `{name}-{output}.{type}`, where it has several formats as `{name}-{output}-{type}.{type}`.
    Nothing that is there already is ever replaced: a result that is there is left alone, and another file of the same
    name makes the next one `{name}-{output} (2)`.

    Parameters
    ----------
    files
        Files, and folders: all images in them by their names, all the way down.
    recipe
        The name of a recipe that the server knows, or a recipe file. Without: the server's default.
    out
        The folder to save results in.
    wait
        Wait for the results and save them; without, only say which job each file became.
    dedupe
        Send nothing that was processed before, sent with this option, by the same recipe: its job is taken.
    """
    from safelight.client import Client, Unreachable

    todo, left_out = pictures(files, out)
    if wait:
        check_out(out)
    choice = for_request(recipe)
    for line in () if as_json else left_out:
        note(line)
    results: list[Result] = []
    under_way: dict[Path, str] = {}
    try:
        with Client(api, key=key) as client, Board("Uploading", len(todo)) as board:
            task = UploadTask(client, board, choice, out if wait else None, under_way, dedupe=dedupe)
            for result in side_by_side(task, todo, AT_ONCE):
                report(board, result, as_json=as_json)
                results.append(result)
                under_way.pop(result.file, None)
    except (KeyboardInterrupt, Unreachable):
        for file, job_id in list(under_way.items()):
            place = next(out / each.below for each in todo if each.path == file)
            complain(f"{file}: sent, and goes on as job {job_id}; {save_later(job_id, api, place)}")
        left = len(todo) - len(results) - len(under_way)
        if left and (results or under_way):
            complain(f"{left} of {len(todo)} files were not sent; name them again to send them.")
        raise
    if not (wait or as_json) and (made := [result.job_id for result in results if result.job_id]):
        note(save_later(made[0] if len(made) == 1 else "JOB", api, out))
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
        self._recipe = recipe
        self._under_way = under_way
        self._follow = Following(client.api, board, out)

    def __call__(self, picture: Picture) -> Result:
        return self._follow(picture.path, picture.below, partial(self._send, picture.path))

    def _send(self, path: Path, bar: Bar) -> "Job":
        job = self._client.upload(
            path,
            recipe=self._recipe,
            dedupe=self._dedupe,
            idempotency_key=self._name_of(path) if self._name_of else None,
            progress=lambda sent, size: bar.at(0.4 * sent / max(size, 1), "sending"),
        )
        self._under_way[path] = job.id
        return job
