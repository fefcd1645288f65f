"""`safelight deploy`, `destroy` and `status`: Safelight on AWS, from nothing to nothing."""

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from safelight.entrypoints.cli.terminal import (
    BOLD,
    DIM,
    GREEN,
    RED,
    YELLOW,
    AsJson,
    columns,
    paint,
    say,
    say_json,
)

if TYPE_CHECKING:
    from safelight.entrypoints.deploy.remains import Remain
    from safelight.entrypoints.deploy.stack import Change, Progress

StackName = Annotated[str, Parameter(help="The stack's name in CloudFormation.", negative="")]
Region = Annotated[
    str | None,
    Parameter(help="The region; without it AWS_REGION or your profile's.", negative="", show_default=False),
]
Yes = Annotated[bool, Parameter(help="Ask nothing.", negative="", show_default=False)]

DEFAULT_STACK = "media-processing"


def deploy(
    *,
    stack: StackName = DEFAULT_STACK,
    region: Region = None,
    console: Annotated[bool | None, Parameter(show_default=False)] = None,
    parameter: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put Safelight on AWS, or bring it up to date.

    Builds the functions, shows what would change, and changes it when you agree.

    Parameters
    ----------
    console
        Put the console, and public outputs, behind a CloudFront distribution; --no-console removes it again. Without a
        word it stays as it is.
    parameter
        NAME=VALUE, as often as you like: docs/how-to/aws.md has them all. What was given before is kept.
    """
    from safelight.entrypoints.deploy import deployment, parameters
    from safelight.entrypoints.deploy.account import Account

    given = parameters.parse(parameter)
    if console is not None:
        given["Console"] = "yes" if console else "no"
    done = deployment.deploy(Account(region), stack, given, Terminal(yes=yes))
    key = _first_key(stack, region) if done.outputs.get("AuthMode") == "apikey" else None
    if as_json:
        made = {"key": key} if key else {}
        say_json({"stack": stack, "changed": done.changed, "outputs": done.outputs, **made})
        return
    say(
        paint(
            f"{stack} is up to date." if done.changed else f"{stack} was up to date; nothing has changed.",
            GREEN,
        )
    )
    for line in columns([[name, value] for name, value in sorted(done.outputs.items())]):
        say(line)
    if key:
        say(f"The first API key, shown this one time: {key}")


def _first_key(stack: str, region: str | None) -> str | None:
    """A key for a stack that has none, so that whoever deployed it can use it. It sees the jobs that were made while
    nobody was asked for a key."""
    from safelight import bootstrap, config
    from safelight.callers import NOBODY_ELSE
    from safelight.entrypoints.cli.worker import of_stack

    with bootstrap.open_keys(config.load(backend="aws", **of_stack(stack, region))) as keys:
        return None if keys.all() else keys.create(name="first", owner=NOBODY_ELSE.owner)[1]


def destroy(
    *,
    stack: StackName = DEFAULT_STACK,
    region: Region = None,
    keep_data: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Remove Safelight from AWS, and look whether anything is left.

    Parameters
    ----------
    keep_data
        Leave buckets and tables; the next deploy takes them in.
    """
    from safelight.entrypoints.deploy import deployment, remains
    from safelight.entrypoints.deploy.account import Account

    left = deployment.destroy(Account(region), stack, Terminal(yes=yes), keep_data=keep_data)
    if as_json:
        say_json({"stack": stack, "left": [each._asdict() for each in left]})
        return 1 if left else 0
    if not left:
        say(paint(f"Nothing of {stack} is left{' but its data' if keep_data else ''}.", GREEN))
        say(f"Looked for: {', '.join(remains.kinds())}.")
        return 0
    say(paint(f"{len(left)} things of {stack} are left; run the command again, or remove them by hand:", RED))
    for each in left:
        say(f"  {each.kind} {each.name}")
    return 1


def status(*, stack: StackName = DEFAULT_STACK, region: Region = None, as_json: AsJson = False) -> int:
    """Show how Safelight on AWS is doing. The exit code is 0 if it runs and nothing alarms."""
    from safelight.entrypoints.deploy.account import Account
    from safelight.entrypoints.deploy.condition import condition

    found = condition(Account(region), stack)
    if as_json:
        say_json(found.document())
    else:
        for line in columns([[paint(name, BOLD), value] for name, value in found.lines()]):
            say(line)
    return 0 if found.well else 1


class Terminal:
    """Follows a deployment on standard error, so that results have standard output to themselves."""

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes

    def say(self, line: str) -> None:
        """Print a line."""
        sys.stderr.write(f"{line}\n")

    def tell(self, progress: "Progress") -> None:
        """One line for each resource that is done, or that failed."""
        if progress.status.endswith("_IN_PROGRESS"):
            return
        if progress.status == "DELETE_SKIPPED":  # it is kept, or goes with another resource
            return
        good = progress.status.endswith("_COMPLETE")
        mark = paint("✓", GREEN, sys.stderr) if good else paint("✗", RED, sys.stderr)
        what = progress.status.removesuffix("_COMPLETE").replace("_", " ").lower()
        reason = "" if good or not progress.reason else f": {progress.reason}"
        kind = paint(progress.kind, DIM, sys.stderr)
        self.say(f"  {mark} {progress.resource}  {kind}  {what}{reason}")

    def agrees_to(self, changes: "list[Change]") -> bool:
        """Show the change set and ask."""
        colours = {"Add": GREEN, "Import": GREEN, "Modify": YELLOW, "Remove": RED}
        self.say(f"{len(changes)} changes:")
        for line in columns(
            [
                [
                    "",
                    change.action.lower(),
                    change.resource,
                    change.kind,
                    "replaced" if change.replaced else "",
                ]
                for change in changes
            ]
        ):
            action = line.split()[0].capitalize()
            self.say(paint(line, colours.get(action, YELLOW), sys.stderr))
        return self._asked("Carry them out?")

    def agrees_to_lose(self, found: "list[Remain]", kept: "list[Remain]") -> bool:
        """Show what goes, and what stays, and ask."""
        self.say("These go:")
        for line in columns([["", each.kind, each.name] for each in found]):
            self.say(paint(line, RED, sys.stderr))
        if kept:
            self.say("These stay:")
            for line in columns([["", each.kind, each.name] for each in kept]):
                self.say(line)
        return self._asked("Remove them for ever?")

    def _asked(self, question: str) -> bool:
        if self._yes:
            return True
        if not sys.stdin.isatty():
            self.say(f"{question} There is nobody to ask; --yes says yes.")
            return False
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")
