"""The system that a function works on: made by the first call, kept for all that follow."""

from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING

from safelight import bootstrap, config

if TYPE_CHECKING:
    from safelight.webhooks.courier import Courier

_open = ExitStack()
"""Never closed: Lambda ends the process, and until then the next call uses the same connections."""


@cache
def system() -> bootstrap.OnAws:
    """Safelight as this function sees it. Raise ConfigurationError."""
    return _open.enter_context(bootstrap.build_on_aws(config.load()))


@cache
def courier() -> "Courier":
    """Who delivers webhooks for this function."""
    from safelight.entrypoints.payloads import body_of  # the dispatcher and the worker tell nobody

    return system().courier(partial(body_of, system().service))
