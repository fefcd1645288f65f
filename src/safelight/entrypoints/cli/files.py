"""Which files a command works on."""

import re
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from safelight.entrypoints.cli.terminal import UsageError, named

SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff", ".heic", ".heif"}
)
"""Of all that a Safelight can be set to take: one that does not take a file says why."""

DEFAULT_OUT: Final = Path("safelight-out")
"""Where results are saved, if nothing else is said."""

NAMED: Final = 2
"""So many of the files that are left out are named."""

NO_PICTURES: Final = "as no pictures by their names"
LEAD_NOWHERE: Final = "as links that lead nowhere"
TO_FOLDERS: Final = "as links to folders"
"""Why a file is left out of a folder. What is hidden nobody misses."""


class Picture(NamedTuple):
    """A file to work on, and the folder, below that of all outputs, where its own belong."""

    path: Path
    below: Path


class Found(NamedTuple):
    """The pictures, and a line for each reason why something else in their folders is left out."""

    pictures: list[Picture]
    left_out: list[str]


def pictures(paths: Sequence[Path], out: Path) -> Found:
    """The files as given, and the images of the folders as given, all the way down, in order.

    Folders of outputs look like the folders of originals, those of several folders below the name of each. Hidden files
    are passed over, and so is `out` itself: what was made is not made again. Raise UsageError if there is none.
    """
    _refuse_missing(paths)
    tops = _told_apart({path.resolve() for path in paths if path.is_dir()})
    found: dict[Path, Picture] = {}
    left: dict[Path, tuple[Path, str]] = {}
    for path in paths:
        top = tops.get(path.resolve())
        if top is None:
            found.setdefault(path.resolve(), Picture(path, Path()))
            continue
        for file, why in _files(path, out.resolve()):
            # A link that leads nowhere is told from others by its own place.
            place = file.parent.resolve() / file.name if why == LEAD_NOWHERE else file.resolve()
            if why:
                left.setdefault(place, (file, why))
            else:
                found.setdefault(place, Picture(file, top / file.parent.relative_to(path)))
    told = _told([each for place, each in left.items() if place not in found and place not in tops])
    if not found:
        where = ", ".join(str(path) for path in paths)
        taken = f"There is no image in {where}; these are taken: {' '.join(sorted(SUFFIXES))}."
        raise UsageError(" ".join((taken, *told)))
    return Found(list(found.values()), told)


def in_folder(folder: Path, out: Path) -> Found:
    """The images of a folder, all the way down, in order; there may be none."""
    files = list(_files(folder, out.resolve()))
    taken = [Picture(file, file.parent.relative_to(folder)) for file, why in files if not why]
    return Found(taken, _told([each for each in files if each[1]]))


def _refuse_missing(paths: Sequence[Path]) -> None:
    if missing := [str(path) for path in paths if not path.exists()]:
        # A path has lost the second stroke of https://.
        if url := next(filter(None, (re.match(r"(https?):/+(.+)", each) for each in missing)), None):
            raise UsageError(
                f"{url[1]}://{url[2]} is a URL, and files of this machine are taken; download it first."
            )
        raise UsageError(f"There is no file {', '.join(missing)}.")


def _told(left: Sequence[tuple[Path, str]]) -> list[str]:
    """A line for each reason, which names the first of the files that it is about."""
    lines = []
    for because in (NO_PICTURES, LEAD_NOWHERE, TO_FOLDERS):
        if names := [named(file) for file, why in left if why == because]:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            lines.append(f"Left out, {because}: {', '.join(names[:NAMED])}{more}.")
    return lines


def _told_apart(folders: Set[Path]) -> dict[Path, Path]:
    """A name for each folder: none for a single one, its own, or as much of its path as tells it from the others."""
    if len(folders) < 2:
        return dict.fromkeys(folders, Path())
    length = 1
    while True:
        names = {folder: Path(*folder.relative_to(folder.anchor).parts[-length:]) for folder in folders}
        if len({*names.values()}) == len(folders):  # as the whole paths are at the latest
            return names
        length += 1


def _files(folder: Path, out: Path) -> Iterator[tuple[Path, str]]:
    """What lies in a folder, all the way down, and why it is left out; nothing is said of images."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_file():
            yield path, "" if path.suffix.lower() in SUFFIXES else NO_PICTURES
        elif path.is_dir():
            if path.resolve() == out:
                continue
            if path.is_symlink():
                yield path, TO_FOLDERS
            else:
                yield from _files(path, out)
        elif path.is_symlink() and not path.exists():
            yield path, LEAD_NOWHERE


def check_out(out: Path) -> None:
    """Raise UsageError if results can not be saved in `out`; nothing is made before there is a result."""
    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise UsageError(f"The output folder --out {out} can not be used: {place} is a file, not a folder.")
    try:
        # Tried, since not all that keeps it from being written is a permission: mounts, quotas, disks that are full.
        TemporaryDirectory(prefix=".safelight-", dir=place).cleanup()
    except OSError as error:
        raise UsageError(f"The output folder --out {out} can not be written: {error.strerror}.") from None


def reason(error: OSError, file: Path) -> str:
    """What the system says, naming the file only if it is another one than everybody knows it is about."""
    other = error.filename is not None and str(error.filename) != str(file)
    return f"{error.strerror}: {error.filename}." if other else f"{error.strerror}."
