"""Safelight: a media pipeline that its users own. Importing this package loads nothing else.

`safelight.Client` is loaded when it is first used, and needs nothing of the server.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safelight.client import Client as Client

__all__ = ["Client", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Client":
        from safelight.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
