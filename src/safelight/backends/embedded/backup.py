"""A copy of a data folder, made while Safelight runs.

The database first, in one consistent state, then the files: what the database names was stored before it was named, so
it is there, unless it was erased since. Files are never changed after they were stored, so copying needs no lock.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from safelight.backends.embedded.database import NAME as DATABASE
from safelight.backends.embedded.database import Database
from safelight.backends.embedded.links import KEY_FILE
from safelight.backends.embedded.writing import sync_folder
from safelight.errors import ConfigurationError


def copy(data: Path, database: Database, target: Path) -> tuple[int, int]:
    """Copy the folder `data` to the new folder `target`; return how many objects and how many bytes they have.

    The copy is a data folder like any other. It gets its name when it is whole: what was cut off is
    `{target}.unfinished`. Raise ConfigurationError if there is something of either name, or it can not be written.
    """
    unfinished = target.with_name(f"{target.name}.unfinished")
    if data.resolve() in target.resolve().parents or data.resolve() == target.resolve():
        raise ConfigurationError(f"{target} lies in the data folder itself; choose a place beside it.")
    for path in (target, unfinished):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise ConfigurationError(f"{path} is there already; a backup goes into a new folder.")
    try:
        unfinished.mkdir(mode=0o700, parents=True, exist_ok=True)
        database.copy_to(unfinished / DATABASE)
        _copy_file(data / KEY_FILE, unfinished / KEY_FILE)
        counts = _copy_files(data / "files", unfinished / "files")
        sync_folder(unfinished)
        unfinished.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise ConfigurationError(f"The backup {target} can not be written: {error.strerror}.") from error
    return counts


def _copy_files(source: Path, target: Path) -> tuple[int, int]:
    objects = size = 0
    target.mkdir(mode=0o700, exist_ok=True)
    for folder, _, names in os.walk(source):
        place = target / Path(folder).relative_to(source)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            with suppress(FileNotFoundError):  # erased meanwhile, as its job was
                size += _copy_file(Path(folder, name), place / name)
                objects += 1
        sync_folder(place)
    return objects, size


def _copy_file(source: Path, target: Path) -> int:
    """Copy content, rights and times, and have it on the disk; return how many bytes it has."""
    with source.open("rb") as from_, target.open("xb") as to:
        shutil.copyfileobj(from_, to, 1 << 20)
        to.flush()
        os.fsync(to.fileno())
        size = to.tell()
    shutil.copystat(source, target)
    return size
