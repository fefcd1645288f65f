"""Commands for the operator: they open the store itself, on this machine or on AWS, whether a server runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from safelight.entrypoints.cli.terminal import UsageError

if TYPE_CHECKING:
    from safelight.bootstrap import System

Data = Annotated[
    Path | None,
    Parameter(
        help="The folder of jobs and files, instead of SAFELIGHT_DATA.", negative="", show_default=False
    ),
]
Stack = Annotated[
    str | None,
    Parameter(
        help="The stack on AWS to work on, instead of what the environment names.",
        negative="",
        show_default=False,
    ),
]


@contextmanager
def opened(data: Path | None, stack: str | None, region: str | None) -> "Iterator[System]":
    """The store that the options name, or else the environment."""
    from safelight import bootstrap, config
    from safelight.entrypoints.cli.worker import of_stack

    if data is not None and (stack is not None or region is not None):
        raise UsageError(
            "--data is a folder of this machine; --stack and --region are for AWS: give one or the other."
        )
    if stack is not None:
        settings = config.load(backend="aws", **of_stack(stack, region))
    elif data is not None:
        settings = config.load(backend="embedded", data=str(data))
    else:
        settings = config.load(region=region)
    with bootstrap.open_store(settings) as system:
        yield system
