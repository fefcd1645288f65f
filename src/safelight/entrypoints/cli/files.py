"""Which files a command works on."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from safelight.entrypoints.cli.terminal import UsageError

SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff", ".heic", ".heif"}
)
"""Of all that a Safelight can be set to take: one that does not take a file says why."""

DEFAULT_OUT: Final = Path("safelight-out")
"""Where results are saved, if nothing else is said."""


class Picture(NamedTuple):
    """A file to work on, and the folder, below that of all outputs, where its own belong."""

    path: Path
    below: Path


def pictures(paths: Sequence[Path], out: Path) -> list[Picture]:
    """The files as given, and the images of the folders as given, all the way down, in order.

    Folders of outputs look like the folders of originals: what lies in one is told apart from what lies in another by
    the folder's name, unless it was given alone. Hidden files are passed over, and so is `out` itself: what was made is
    not made again.
    """
    if missing := [str(path) for path in paths if not path.exists()]:
        # A path has lost the second stroke of https://.
        if url := next(filter(None, (re.match(r"(https?):/+(.+)", each) for each in missing)), None):
            raise UsageError(
                f"{url[1]}://{url[2]} is a URL, and files of this machine are taken; download it first."
            )
        raise UsageError(f"There is no file {', '.join(missing)}.")
    found: dict[Path, Picture] = {}
    for path in paths:
        top = Path(path.resolve().name) if len(paths) > 1 else Path()
        for file in _images(path, out.resolve()) if path.is_dir() else (path,):
            below = top / file.parent.relative_to(path) if path.is_dir() else Path()
            found.setdefault(file.resolve(), Picture(file, below))
    if not found:
        where = ", ".join(str(path) for path in paths)
        raise UsageError(f"There is no image in {where}; these are taken: {' '.join(sorted(SUFFIXES))}")
    return list(found.values())


def in_folder(folder: Path, out: Path) -> list[Picture]:
    """The images of a folder, all the way down, in order; there may be none."""
    return [Picture(file, file.parent.relative_to(folder)) for file in _images(folder, out.resolve())]


def _images(folder: Path, out: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.resolve() == out:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _images(path, out)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def check_out(out: Path) -> None:
    """Raise UsageError if results can not be saved in `out`; nothing is made before there is a result."""
    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise UsageError(f"The output folder --out {out} can not be used: {place} is a file, not a folder.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(f"The output folder --out {out} can not be written: Permission denied.")


def reason(error: OSError, file: Path) -> str:
    """What the system says, naming the file only if it is another one than everybody knows it is about."""
    other = error.filename is not None and str(error.filename) != str(file)
    return f"{error.strerror}: {error.filename}." if other else f"{error.strerror}."
