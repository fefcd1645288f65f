"""`safelight serve`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number


def serve(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8000,
    data: Path | None = None,
    workers: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    insecure: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Run Safelight on this machine, until Ctrl-C.

    One line tells when it is ready. Every setting comes from the environment; `safelight settings` lists them.

    Parameters
    ----------
    host
        The address to listen on; 0.0.0.0 is every address of this machine.
    port
        The port to listen on; 0 is any free one, and the line that tells so names it.
    data
        The folder of jobs and files, instead of SAFELIGHT_DATA.
    workers
        How many processes render, instead of SAFELIGHT_WORKERS; 0 is one a core.
    insecure
        Let other machines reach a Safelight that asks nobody for a key. Without, SAFELIGHT_AUTH=none listens on a
        loopback address only.
    """
    from safelight import config
    from safelight.entrypoints import server

    settings = config.load(data=None if data is None else str(data), workers=workers)
    return server.serve(settings, host, port, insecure=insecure)
