"""`safelight backup`: a copy of the data folder, while Safelight runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from safelight.entrypoints.cli.store import Data, opened
from safelight.entrypoints.cli.terminal import AsJson, in_bytes, say, say_json


def backup(
    to: Annotated[Path, Parameter(negative="")],
    /,
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Copy jobs and files into a new folder, while Safelight runs or not.

    The copy is a data folder like any other: to restore it, start Safelight on it (`serve --data`).

    Parameters
    ----------
    to
        The folder to make. It gets its name when the copy is whole.
    """
    with opened(data, None, None) as system:
        objects, size = system.backup(to)
    if as_json:
        say_json({"folder": str(to), "files": objects, "bytes": size})
    else:
        say(f"{to} has all jobs and {objects} files of {in_bytes(size)}.")
