"""`safelight sweep`: what the sweeper does every minute, once and now."""

from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from safelight.entrypoints.cli.deploy import Region
from safelight.entrypoints.cli.store import Data, Stack, opened
from safelight.entrypoints.cli.terminal import AsJson, columns, say, say_json

MEANINGS: Final = {
    "dispatched": "uploads whose event was lost",
    "woken": "jobs whose message or worker was lost",
    "waiting": "jobs that were looked at and left",
    "expired": "jobs whose upload never came",
    "failed": "jobs whose attempts were used up",
    "tidied": "ended jobs without what losing attempts left",
    "erased": "jobs whose retention was over",
    "missing": "ended jobs whose outputs are not there: the log names them",
    "gone": "jobs that were deleted meanwhile",
    "told": "notices delivered",
    "orphans": "jobs' folders without a job, removed",
    "unfinished": "the time was over before everything was looked at",
    "errors": "jobs that could not be swept: the log says why",
}
TROUBLE: Final = ("errors", "missing")


def sweep(
    *,
    orphans: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    seconds: Annotated[float, Parameter(validator=Number(gt=0))] = 300.0,
    data: Data = None,
    stack: Stack = None,
    region: Region = None,
    as_json: AsJson = False,
) -> int:
    """Sweep once, now: repair, expire, tidy and erase what is due. Harmless beside a server that runs.

    The exit code is 1 if something could not be swept.

    Parameters
    ----------
    orphans
        Look at all files, too, and remove those that are older than a day and have no job.
    seconds
        About how long it may take. What is left over is done by the next sweep.
    """
    import time

    from safelight.entrypoints.process import log_to_stderr

    log_to_stderr("sweep", "warning")
    begun = time.monotonic()
    with opened(data, stack, region) as system:
        done = system.sweeper.sweep(budget=seconds)
        if orphans:
            done += system.orphans.pass_over(budget=max(0.0, begun + seconds - time.monotonic()))
        system.clean()
    counts = {name: count for name, count in done.items() if count}
    if as_json:
        say_json(counts)
    elif not counts:
        say("Nothing was due.")
    else:
        for line in columns([[str(count), name, MEANINGS.get(name, "")] for name, count in counts.items()]):
            say(line)
    return 1 if any(name in counts for name in TROUBLE) else 0
