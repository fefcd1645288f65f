"""`safelight jobs`: what became of the jobs of a Safelight, and what can still be done about them."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from safelight.entrypoints.cli.files import DEFAULT_OUT, check_out
from safelight.entrypoints.cli.following import AT_ONCE, Following
from safelight.entrypoints.cli.known import known
from safelight.entrypoints.cli.progress import Bar, Board
from safelight.entrypoints.cli.results import Result, report, summary
from safelight.entrypoints.cli.terminal import (
    COLOURS,
    DEFAULT_API,
    DIM,
    Api,
    AsJson,
    AsJsonLines,
    Key,
    columns,
    in_bytes,
    note,
    paint,
    say,
    say_json,
)
from safelight.errors import JobNotFound
from safelight.threads import side_by_side

if TYPE_CHECKING:
    from safelight.client import Client, Job, Status

State = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "EXPIRED", "CANCELED"]

WAITS_FOR_ITS_FILE: Final = (
    "It waits for its file, at the uploadUrl given with it. If that has run out, upload the file anew."
)

JobId = Annotated[str, Parameter(help="The job's id, as `jobs ls` and `upload --no-wait` tell it.")]

jobs = App(name="jobs", help="Look at jobs, wait for them, save their results, end them.")


@jobs.command(name="ls")
def list_(
    *,
    status: State | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 50,
    api: Api = DEFAULT_API,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Parameters
    ----------
    status
        Only jobs in this state.
    limit
        At most so many.
    """
    from safelight.client import Client

    with Client(api, key=key) as client:
        found = list(client.jobs(status=status, limit=limit + 1))
    found, more = found[:limit], len(found) > limit
    if as_json:
        say_json([job.document for job in found])
        return
    if not found:
        say("No jobs.")
        return
    rows = [["JOB", "STATUS", "ERROR", "UPDATED", "FILE"]]
    for job in found:
        said = job.status
        code = said.error.code if said.error and said.status == "FAILED" else ""
        name = (said.source and said.source.filename) or ""
        rows.append([job.id, said.status.value, code, (said.updated_at or "")[:19] + "Z", name])
    if not any(row[2] for row in rows[1:]):
        rows = [[*row[:2], *row[3:]] for row in rows]  # nothing went wrong, so there is nothing to tell of it
    for line in columns(rows):
        say(line)
    if more:
        note(f"These are the newest {limit}; --limit shows more.")


@jobs.command
def get(job_id: JobId, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False) -> None:
    """Show one job."""
    from safelight.client import Client

    with Client(api, key=key) as client, _known(job_id):
        job = client.job(job_id)
    _show(job.document, job.status, as_json=as_json)


@jobs.command
def watch(job_id: JobId, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJsonLines = False) -> int:
    """Show each state of a job as it comes, to its end. The exit code is 0 if it is COMPLETED, 1 otherwise."""
    from safelight.client import Client

    with Client(api, key=key) as client, _known(job_id):
        job = client.job(job_id)
        if not as_json:
            _hint(job.status)
        for status in job.watch():
            if as_json:
                say_json(_brief(status), whole=False)
            else:
                moment = (status.updated_at or "")[11:23]
                state = paint(status.status.ljust(10), COLOURS.get(status.status, DIM))
                reason = f"  {status.complaint}" if status.status == "FAILED" else ""
                say(f"{moment}  {state}  {status.stage or ''}{reason}")
    return 0 if job.status.status == "COMPLETED" else 1


@jobs.command
def save(
    job_ids: Annotated[list[str], Parameter(name="JOB-IDS", negative="")],
    /,
    *,
    out: Path = DEFAULT_OUT,
    api: Api = DEFAULT_API,
    key: Key = None,
    as_json: AsJsonLines = False,
) -> int:
    """Wait for jobs, and save their results, as `upload` does for those of the files that it sends.

    The exit code is 0 if all are COMPLETED and saved, 1 otherwise.

    Parameters
    ----------
    job_ids
        The jobs' ids, as `jobs ls` and `upload --no-wait` tell them.
    out
        The folder to save results in.
    """
    from safelight.client import Client

    check_out(out)
    todo = list(dict.fromkeys(job_ids))
    results = []
    with Client(api, key=key) as client, Board("Saving", len(todo)) as board:
        task = _SaveTask(client, board, out)
        for result in side_by_side(task, todo, AT_ONCE):
            report(board, result, as_json=as_json)
            results.append(result)
    return summary(results)


@jobs.command
def cancel(job_id: JobId, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False) -> None:
    """Give up a job that has not ended yet."""
    from safelight.client import Client

    with Client(api, key=key) as client, _known(job_id):
        job = client.job(job_id).cancel()
    _show(job.document, job.status, as_json=as_json)


@jobs.command
def retry(job_id: JobId, /, *, api: Api = DEFAULT_API, key: Key = None, as_json: AsJson = False) -> None:
    """Start a failed or canceled job again, on the original that is kept."""
    from safelight.client import Client

    with Client(api, key=key) as client, _known(job_id):
        job = client.job(job_id).retry()
    _show(job.document, job.status, as_json=as_json)


@jobs.command
def rm(
    job_ids: Annotated[list[str], Parameter(name="JOB-IDS", negative="")],
    /,
    *,
    api: Api = DEFAULT_API,
    key: Key = None,
    as_json: AsJsonLines = False,
) -> None:
    """Erase jobs, their originals and their outputs. Those after one that is not there stay.

    Parameters
    ----------
    job_ids
        The jobs' ids, as `jobs ls` and `upload --no-wait` tell them.
    """
    from safelight.client import Client

    with Client(api, key=key) as client:
        for job_id in dict.fromkeys(job_ids):
            with _known(job_id):
                # The server takes a second DELETE for the first one, repeated; a person wants to know that nothing was
                # there.
                client.job(job_id).delete()
            if as_json:
                say_json({"jobId": job_id, "deleted": True}, whole=False)
            else:
                say(f"{job_id} and all its files are erased.")


class _SaveTask:
    """What is done with each job that is saved."""

    def __init__(self, client: "Client", board: Board, out: Path) -> None:
        self._client = client
        self._board = board
        self._follow = Following(client.api, board, out)

    def __call__(self, job_id: str) -> Result:
        file = Path()  # nobody knows it, until the job is found

        def find(_: Bar) -> "Job":
            nonlocal file
            with _known(job_id):
                job = self._client.job(job_id)
            file = Path((job.status.source and job.status.source.filename) or "")
            if job.status.stage == "awaiting_upload":
                self._board.complain(f"job {job_id}: {WAITS_FOR_ITS_FILE}")
            return job

        result = self._follow(Path(job_id), Path(), find, known=job_id)
        return result._replace(file=file, name=f"job {job_id}")


def _known(job_id: str) -> AbstractContextManager[None]:
    return known("job", job_id, JobNotFound, "jobs ls")


def _show(document: dict[str, Any], status: "Status", *, as_json: bool) -> None:
    if as_json:
        say_json(document)
        return
    rows = [
        ["job", status.job_id],
        ["status", paint(status.status, COLOURS.get(status.status, DIM))],
        ["stage", status.stage or ""],
        ["file", (status.source and status.source.filename) or ""],
        ["created", status.created_at or ""],
        ["updated", status.updated_at or ""],
    ]
    if status.status == "FAILED":
        rows.append(["error", f"{status.complaint} [{status.error.code if status.error else 'failed'}]"])
    for output in status.outputs:
        what = f"{output.content_type}, {output.width} × {output.height}, {in_bytes(output.bytes)}"
        rows += [["output", f"{output.name}: {what}"], ["", output.url]]
    for line in columns([row for row in rows if row[1]]):
        say(line)
    _hint(status)


def _hint(status: "Status") -> None:
    """What a job waits for, if that is for its client to do."""
    if status.stage == "awaiting_upload":
        note(WAITS_FOR_ITS_FILE)


def _brief(status: "Status") -> dict[str, Any]:
    return {
        "jobId": status.job_id,
        "status": status.status,
        "stage": status.stage,
        "progress": status.progress,
        "updatedAt": status.updated_at,
        "errorMessage": status.error_message,
    }
