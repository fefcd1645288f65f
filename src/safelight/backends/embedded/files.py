"""Objects as files, below `{data}/files`. `keys.py` says where each lies, `writing.py` how it gets there.

Folders and files are readable by the user who runs Safelight and nobody else. What was deleted is unlinked, not
overwritten.
"""

import heapq
import os
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from safelight.backends.embedded import keys
from safelight.backends.embedded.writing import (
    Place,
    Temporary,
    Writer,
    newest_version,
    storage_errors,
    sync_folder,
    unfinished,
)
from safelight.cursors import pack, unpack
from safelight.errors import BlobNotFound, ConfigurationError
from safelight.ports import BlobInfo, Clock, Page

UNFINISHED_SECONDS: Final = 86_400.0
"""No upload takes a day: what is older in `{data}/tmp` was left behind by a crash."""


class Files:
    """The `Blobs` port, and `writer` for objects that arrive in pieces."""

    def __init__(self, data: Path, *, clock: Clock) -> None:
        self._root = data / "files"
        self._temporary = data / "tmp"
        self.parts = data / "parts"
        """Where objects wait whose parts have not all come (parts.py)."""
        self._place = Place(self._root, self._temporary, clock)
        try:
            for folder in (self._root, self._temporary, self.parts):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(data)
            self._prove()
        except OSError as error:
            raise ConfigurationError(f"The data folder {data} can not be used: {error.strerror}.") from error

    def head(self, key: str, version: str | None = None) -> BlobInfo | None:
        """The newest version, or the one asked for."""
        found = self._find(key, version)
        if found is None:
            return None
        path, version = found
        with storage_errors(), suppress(FileNotFoundError):
            return _info(key, version, path.stat())
        return None

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """A readable, seekable file with a descriptor of its own."""
        found = self._find(key, version)
        if found is not None:
            with storage_errors(), suppress(FileNotFoundError):
                return found[0].open("rb")
        raise BlobNotFound

    def put(self, key: str, file: IO[bytes], *, content_type: str) -> BlobInfo:  # noqa: ARG002 - the port has it
        """Store `file` from its beginning to its end. Its type is not kept: downloads carry a signed one."""
        with self.writer(key) as writer:
            writer.copy(file)
            return writer.commit()

    def writer(self, key: str, *, overwrite: bool = True) -> Writer:
        """Store what arrives in pieces. With `overwrite=False` the commit raises BlobExists if there is one."""
        return Writer(self._place, key, overwrite=overwrite)

    def temporary(self, key: str) -> Temporary:
        """A file for what will be a part of this object."""
        return Temporary(self._place.temporary_name(key))

    def delete(self, *prefixes: str) -> int:
        """Erase every version of every object below each prefix, or of the one object that is called so."""
        for prefix in prefixes:
            keys.check_prefix(prefix)
        with storage_errors():
            # The unfinished first: what is not in its place by now never gets there.
            begun = tuple(unfinished(prefix) for prefix in prefixes if prefix.endswith("/"))
            for entry in list(os.scandir(self._temporary)):
                if entry.name.startswith(begun):
                    Path(entry.path).unlink(missing_ok=True)
            gone, changed = 0, set()
            for prefix in prefixes:
                gone += self._erase(prefix)
                changed.add(self._prune(self._root / prefix))
            for folder in changed:
                with suppress(FileNotFoundError):
                    sync_folder(folder)
        return gone

    def _erase(self, prefix: str) -> int:
        if not prefix.endswith("/"):
            return self._erase_object(prefix)
        shutil.rmtree(self.parts / prefix, ignore_errors=True)
        return _erase_below(self._root / prefix, prefix)

    def drop(self, key: str, version: str) -> None:
        """Erase one version of an upload."""
        if key.startswith(keys.UPLOADS) and (found := self._find(key, version)):
            with storage_errors():
                found[0].unlink(missing_ok=True)

    def list(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[BlobInfo]:
        """The newest versions of the objects below `prefix`, ordered by key."""
        keys.check_prefix(prefix)
        after = unpack(cursor, str)[0] if cursor is not None else ""
        items: list[BlobInfo] = []
        with storage_errors():
            top = prefix[: prefix.index("/") + 1]
            for item in _walk(self._root / top, top, prefix, after):
                if len(items) == limit:
                    return Page(items=tuple(items), cursor=pack(items[-1].key))
                items.append(item)
        return Page(items=tuple(items))

    def folders(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """The names directly below `prefix` that are folders, in order. A folder may have become empty just now."""
        keys.check_prefix(prefix)
        after = unpack(cursor, str)[0] if cursor is not None else ""
        names: list[str] = []
        with storage_errors(), suppress(FileNotFoundError), os.scandir(self._root / prefix) as entries:
            below = (f"{entry.name}/" for entry in entries if entry.is_dir(follow_symlinks=False))
            found = heapq.nsmallest(limit + 1, (name for name in below if name > f"{after}/"))
            names = [name[:-1] for name in found]
        return Page(items=tuple(names[:limit]), cursor=pack(names[limit - 1]) if len(names) > limit else None)

    def clean(self, now: float) -> int:
        """Remove what crashed writers left behind a day ago; how many files it were."""
        return self._remove_temporary(now - UNFINISHED_SECONDS)

    def recover(self) -> int:
        """Remove everything unfinished. Only for when nobody can be writing."""
        return self._remove_temporary(float("inf"))

    def _remove_temporary(self, before: float) -> int:
        gone = 0
        with storage_errors():
            for entry in list(os.scandir(self._temporary)):
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < before:
                        Path(entry.path).unlink()
                        gone += 1
        return gone

    def _find(self, key: str, version: str | None) -> tuple[Path, str] | None:
        """The file of a version, and which version it is."""
        if not keys.is_possible(key):
            return None
        path = self._root / key
        with storage_errors():
            if key.startswith(keys.PROCESSED):
                here = version in (None, keys.ONLY_VERSION) and path.is_file()
                return (path, keys.ONLY_VERSION) if here else None
            if version is None:
                version = newest_version(_names(path.parent), path.name)
            if version is None or not keys.is_version(version):
                return None
            path = path.with_name(f"{version}-{path.name}")
            return (path, version) if path.is_file() else None

    def _erase_object(self, key: str) -> int:
        path = self._root / key
        if key.startswith(keys.PROCESSED):
            files = [path] if path.is_file() else []
        else:
            versions = ((name, keys.split_version(name)) for name in _names(path.parent))
            files = [path.with_name(name) for name, split in versions if split and split[1] == path.name]
        for file in files:
            file.unlink(missing_ok=True)
        return 1 if files else 0

    def _prune(self, path: Path) -> Path:
        """Remove folders that became empty; the folder whose names have to be brought to the disk then."""
        path = path if path.is_dir() else path.parent
        while path != self._root and path.parent != self._root:
            try:
                path.rmdir()
            except FileNotFoundError:
                pass
            except OSError:  # somebody has put something there
                break
            path = path.parent
        return path

    def _prove(self) -> None:
        """Show at start, rather than at the first output, that the file system can do what is needed."""
        probe, link = self._place.temporary_name("probe/probe"), self._root / f".{os.getpid()}.probe"
        try:
            probe.touch()
            link.unlink(missing_ok=True)
            os.link(probe, link)
        finally:
            probe.unlink(missing_ok=True)
            link.unlink(missing_ok=True)


def _info(key: str, version: str, status: os.stat_result) -> BlobInfo:
    return BlobInfo(key=key, version=version, bytes=status.st_size, modified_at=status.st_mtime)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are wanted, and this is on the hot path
    except (FileNotFoundError, NotADirectoryError):
        return []


def _erase_below(folder: Path, prefix: str) -> int:
    """Erase what is in the folder and all below; how many objects it were. Others may be writing or erasing."""
    objects = set()
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return 0
    gone = 0
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            gone += _erase_below(Path(entry.path), prefix)
            with suppress(OSError):
                Path(entry.path).rmdir()
        else:
            Path(entry.path).unlink(missing_ok=True)
            split = keys.split_version(entry.name) if prefix.startswith(keys.UPLOADS) else None
            objects.add(split[1] if split else entry.name)
    return gone + len(objects)


def _walk(folder: Path, at: str, prefix: str, after: str) -> Iterator[BlobInfo]:
    """The objects below `at` that match and come after a key, in the order of their keys."""
    entries: list[tuple[str, str, str]] = []  # the name as it sorts, the version, the file's name
    newest: dict[str, tuple[str, str]] = {}
    try:
        scan = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in scan:
        if entry.is_dir(follow_symlinks=False):
            below = f"{at}{entry.name}/"
            wanted = below.startswith(prefix) or prefix.startswith(below)
            if wanted and (below > after or after.startswith(below)):
                entries.append((f"{entry.name}/", "", entry.name))
        elif not at.startswith(keys.UPLOADS):
            newest[unicodedata.normalize("NFC", entry.name)] = (keys.ONLY_VERSION, entry.name)
        elif split := keys.split_version(entry.name):
            version, name = split
            newest[name] = max(newest.get(name, ("", "")), (version, entry.name))
    entries += [(name, *which) for name, which in newest.items()]
    heapq.heapify(entries)  # not sorted: a page needs only the first of what may be a million
    while entries:
        name, version, file_name = heapq.heappop(entries)
        key = f"{at}{name}"
        if name.endswith("/"):
            yield from _walk(folder / file_name, key, prefix, after)
        elif key > after and (key == prefix or (prefix.endswith("/") and key.startswith(prefix))):
            with suppress(FileNotFoundError):
                yield _info(key, version, (folder / file_name).stat())
