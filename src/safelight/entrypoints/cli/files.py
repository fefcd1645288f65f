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


class Picture(NamedTuple):
    """A file to work on, and the folder, below that of all outputs, where its own belong."""

    path: Path
    below: Path


def pictures(paths: Sequence[Path], out: Path) -> list[Picture]:
    """The files as given, and the images of the folders as given, all the way down, in order.

    Folders of outputs look like the folders of originals, those of several folders below the name of each. Hidden files
    are passed over, and so is `out` itself: what was made is not made again.
    """
    if missing := [str(path) for path in paths if not path.exists()]:
        # A path has lost the second stroke of https://.
        if url := next(filter(None, (re.match(r"(https?):/+(.+)", each) for each in missing)), None):
            raise UsageError(
                f"{url[1]}://{url[2]} is a URL, and files of this machine are taken; download it first."
            )
        raise UsageError(f"There is no file {', '.join(missing)}.")
    tops = _told_apart({path.resolve() for path in paths if path.is_dir()})
    found: dict[Path, Picture] = {}
    for path in paths:
        top = tops.get(path.resolve())
        for file in (path,) if top is None else _images(path, out.resolve()):
            below = Path() if top is None else top / file.parent.relative_to(path)
            found.setdefault(file.resolve(), Picture(file, below))
    if not found:
        where = ", ".join(str(path) for path in paths)
        raise UsageError(f"There is no image in {where}; these are taken: {' '.join(sorted(SUFFIXES))}")
    return list(found.values())


def left_out(paths: Sequence[Path], out: Path) -> str:
    """A line that names the files of folders that are no pictures by their names; nothing if there are none. What is
    hidden nobody misses."""
    given = {path.resolve() for path in paths}
    found = {
        file.resolve(): named(file)
        for path in paths
        if path.is_dir()
        for file in _files(path, out.resolve())
        if not _is_image(file) and file.resolve() not in given
    }
    names = list(found.values())
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"Left out, as no pictures by their names: {', '.join(names[:NAMED])}{more}." if names else ""


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


def in_folder(folder: Path, out: Path) -> list[Picture]:
    """The images of a folder, all the way down, in order; there may be none."""
    return [Picture(file, file.parent.relative_to(folder)) for file in _images(folder, out.resolve())]


def _images(folder: Path, out: Path) -> Iterator[Path]:
    return filter(_is_image, _files(folder, out))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _files(folder: Path, out: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.resolve() == out:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path, out)
        elif path.is_file():
            yield path


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
