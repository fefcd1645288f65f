"""`safelight dlq`: the messages that the queue gave up on, why, and what to do about them."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from safelight.entrypoints.cli.deploy import Region, Yes
from safelight.entrypoints.cli.store import Data, Stack, opened
from safelight.entrypoints.cli.terminal import AsJson, UsageError, columns, say, say_json
from safelight.errors import SafelightError

if TYPE_CHECKING:
    from safelight.dead_letters import Case

Id = Annotated[str, Parameter(help="The job's id, as `dlq ls` tells it.")]

MEANINGS: Final = {
    "sent": "in the queue again",
    "retried": "the job starts again",
    "over": "the job has ended or is gone, so the letter was removed",
    "kept": "not a job's message: look at it with `dlq show`",
    "nothing": "not a dead letter (any more)",
}

dlq = App(name="dlq", help="Look at the messages that the queue gave up, and send them again.")


@dlq.command(name="ls")
def list_(
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    data: Data = None,
    stack: Stack = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters.

    Parameters
    ----------
    limit
        At most so many.
    """
    with opened(data, stack, region) as system:
        page = system.morgue().cases(limit=limit)
    if as_json:
        say_json([_document(case) for case in page.items])
        return
    if not page.items:
        say("No dead letters.")
        return
    rows = [["JOB", "DIED", "RECEIVED", "STATUS", "REASON"]]
    for case in page.items:
        letter = case.letter
        rows.append(
            [letter.wake.job_id, _time(case)[:19] + "Z", str(letter.received), _status(case), case.reason]
        )
    for line in columns(rows):
        say(line)
    if page.cursor is not None:
        say(f"There are more than {limit}; --limit shows more.")


@dlq.command
def show(
    job_id: Id, /, *, data: Data = None, stack: Stack = None, region: Region = None, as_json: AsJson = False
) -> None:
    """Show one dead letter, and what its job says."""
    with opened(data, stack, region) as system:
        case = system.morgue().case(job_id)
    if case is None:
        raise SafelightError(
            f"There is no dead letter of {job_id}; `safelight dlq ls` lists those there are."
        )
    if as_json:
        say_json(_document(case))
        return
    letter, job = case.letter, case.job
    rows = [
        ["job", letter.wake.job_id],
        ["died", _time(case)],
        ["received", f"{letter.received} times"],
        ["queue says", letter.reason],
        ["status", _status(case)],
        ["reason", case.reason if job else ""],
        ["attempts", str(job.attempt) if job else ""],
        ["owner", letter.wake.group],
        ["original", letter.wake.key],
    ]
    for line in columns([row for row in rows if row[1]]):
        say(line)


@dlq.command
def redrive(
    *job_ids: Id,
    every: Annotated[
        bool, Parameter(name="--all", help="Redrive every dead letter.", negative="", show_default=False)
    ] = False,
    data: Data = None,
    stack: Stack = None,
    region: Region = None,
    as_json: AsJson = False,
) -> int:
    """Send dead letters again. A job that FAILED meanwhile starts again. Twice is the same as once.

    The exit code is 1 if one of the ids is neither a dead letter nor a job.
    """
    if bool(job_ids) is every:
        raise UsageError("Name the jobs to redrive, or say --all.")
    with opened(data, stack, region) as system:
        done = {name: outcome.value for name, outcome in system.morgue().redrive(job_ids or None).items()}
        missing = [name for name in dict.fromkeys(job_ids) if name not in done]
        unknown = sorted(frozenset(missing) - system.service.ports.jobs.known(missing)) if missing else []
    done |= dict.fromkeys(missing, "nothing")
    if as_json:
        say_json([{"jobId": name, "outcome": outcome} for name, outcome in done.items()])
    elif not done:
        say("No dead letters.")
    else:
        for line in columns([[name, outcome, MEANINGS[outcome]] for name, outcome in done.items()]):
            say(line)
    if unknown:
        raise SafelightError(f"There is neither a dead letter nor a job {', '.join(unknown)}.")
    return 0


@dlq.command
def purge(
    *,
    yes: Yes = False,
    data: Data = None,
    stack: Stack = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Throw all dead letters away. Jobs are not touched: one that has not ended gets a new message."""
    with opened(data, stack, region) as system:
        morgue = system.morgue()
        if not yes and not _agreed():
            raise UsageError("Nothing was purged; --yes says yes.")
        count = morgue.purge()
    if as_json:
        say_json({"purged": count})
    else:
        say(f"{count} dead letters are gone." if count != 1 else "1 dead letter is gone.")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Throw all dead letters away for ever? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _time(case: "Case") -> str:
    from safelight.model import timestamp

    return timestamp(case.letter.died_at)


def _status(case: "Case") -> str:
    if case.job is not None:
        return case.job.state.value
    return "gone" if case.letter.wake.key else ""


def _document(case: "Case") -> dict[str, Any]:
    letter, job = case.letter, case.job
    failure = job and (job.failure or job.last_failure)
    return {
        "jobId": letter.wake.job_id,
        "diedAt": _time(case),
        "received": letter.received,
        "reason": case.reason,
        "queueReason": letter.reason,
        "code": failure.code if failure else None,
        "status": job.state.value if job else None,
        "attempt": job.attempt if job else None,
        "owner": letter.wake.group or None,
        "key": letter.wake.key or None,
    }
