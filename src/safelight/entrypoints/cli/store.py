"""Commands for the operator: they open the store itself, on this machine or on AWS, whether a server runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from safelight.entrypoints.cli.terminal import UsageError

if TYPE_CHECKING:
    from safelight.bootstrap import System
    from safelight.config import Settings

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


def chosen(data: Path | None, stack: str | None, region: str | None) -> "Settings":
    """The settings of the store that the options name, or else the environment. Raise UsageError or
    ConfigurationError."""
    from safelight import config
    from safelight.entrypoints.cli.worker import of_stack

    if data is not None and (stack is not None or region is not None):
        raise UsageError(
            "--data is a folder of this machine; --stack and --region are for AWS: give one or the other."
        )
    if stack is not None:
        return config.load(backend="aws", **of_stack(stack, region))
    if data is not None:
        return config.load(backend="embedded", data=str(data))
    return config.load(region=region)


@contextmanager
def opened(data: Path | None, stack: str | None, region: str | None) -> "Iterator[System]":
    """The store that the options name, or else the environment."""
    from safelight import bootstrap

    with bootstrap.open_store(chosen(data, stack, region)) as system:
        yield system
