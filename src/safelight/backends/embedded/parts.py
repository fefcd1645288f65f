"""Objects in parts, below `{data}/parts`, until they are complete.

    parts/uploads/{job}/{name}/{upload}/{number}-{etag}      one file for each part

A part is written to `{data}/tmp` and brought to the disk before it gets its name; a lock on the folder makes parts and
completion take turns. To complete copies the parts into one file: by reference where the file system shares blocks
(XFS, Btrfs), inside the kernel elsewhere; no byte of it passes through this process. ETags are MD5 sums, as on S3.
"""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

from safelight import faults
from safelight.backends.embedded import keys
from safelight.backends.embedded.files import Files
from safelight.backends.embedded.links import Links
from safelight.backends.embedded.writing import Temporary, storage_errors, sync_folder
from safelight.errors import EntityTooSmall, InvalidPart, InvalidPartOrder, InvalidRequest, PartsGone
from safelight.ports import LEAST_PART, MOST_PARTS, BlobInfo, Clock, Part, PartGrant, UploadLink

STALE_SECONDS: Final = 86_400.0
"""An upload to which nothing came for a day is given up."""

_NAME: Final = re.compile(r"(\d{5})-([0-9a-f]{32})")
_UPLOAD: Final = re.compile(r"[0-9a-f]{32}")


class Multiparts:
    """The `Multiparts` port, and `writer` for a part that arrives."""

    def __init__(self, files: Files, links: Links, *, clock: Clock) -> None:
        self._files = files
        self._root = files.parts
        self._links = links
        self._clock = clock

    def begin(self, key: str, *, content_type: str | None = None) -> str:  # noqa: ARG002 - the port has it
        """Begin an object. Its type is not kept: downloads carry a signed one."""
        if not keys.check(key).startswith(keys.UPLOADS):
            raise InvalidRequest("Only what lies below uploads/ comes in parts.")
        upload = secrets.token_hex(16)
        with storage_errors():
            folder = self._root / key / upload
            folder.mkdir(mode=0o700, parents=True)
            self._touch(folder)
            for each in (folder, *folder.parents):
                if each == self._root:
                    break
                sync_folder(each.parent)
        return upload

    def link(self, grant: PartGrant) -> UploadLink:
        """A URL that takes one part."""
        return self._links.part(grant)

    def parts(self, key: str, upload: str, *, after: int = 0, limit: int = 1000) -> tuple[Part, ...]:
        """The parts that are there, in order."""
        found = self._parts(self._folder(key, upload))
        return tuple(part for number, (part, _) in sorted(found.items()) if number > after)[:limit]

    def complete(self, key: str, upload: str, parts: Sequence[Part], *, overwrite: bool = True) -> BlobInfo:
        """Make one object of these parts."""
        with storage_errors(), self._locked(key, upload) as folder:
            paths = _chosen(self._parts(folder), parts)
            with self._files.writer(key, overwrite=overwrite) as writer:
                for path in paths:
                    with path.open("rb") as file:
                        writer.copy(file)
                faults.reached("parts.joined")
                info = writer.commit()
            faults.reached("parts.placed")
            self._remove(folder)
        return info

    def abort(self, key: str, upload: str) -> None:
        """Forget the upload and its parts."""
        with suppress(PartsGone), storage_errors(), self._locked(key, upload) as folder:
            self._remove(folder)

    def writer(self, key: str, upload: str, number: int) -> "PartWriter":
        """Store a part that arrives in pieces. Raise PartsGone."""
        self._folder(key, upload)
        if not 1 <= number <= MOST_PARTS:
            raise InvalidPart(f"A part is numbered from 1 to {MOST_PARTS}.")
        return PartWriter(self, self._files.temporary(key), key, upload, number)

    def place(self, temporary: Path, key: str, upload: str, name: str) -> None:
        """Give a finished file its name among the parts, instead of the part that had this number before."""
        with storage_errors(), self._locked(key, upload) as folder:
            before = [path for path in folder.iterdir() if path.name[:6] == name[:6] and path.name != name]
            temporary.replace(folder / name)
            faults.reached("part.placed")
            for path in before:
                path.unlink(missing_ok=True)
            self._touch(folder)
            sync_folder(folder)

    def clean(self, now: float) -> int:
        """Give up the uploads to which nothing came for a day; how many there were."""
        gone = 0
        with storage_errors():
            for folder in self._root.glob("uploads/*/*/*"):
                with suppress(FileNotFoundError):
                    if folder.stat().st_mtime < now - STALE_SECONDS:
                        self._remove(folder)
                        gone += 1
        return gone

    def _touch(self, folder: Path) -> None:
        now = self._clock()
        os.utime(folder, (now, now))

    def _folder(self, key: str, upload: str) -> Path:
        if not (keys.is_possible(key) and _UPLOAD.fullmatch(upload)):
            raise PartsGone
        folder = self._root / key / upload
        with storage_errors():
            if not folder.is_dir():
                raise PartsGone
        return folder

    @contextmanager
    def _locked(self, key: str, upload: str) -> Iterator[Path]:
        """The upload's folder, while nobody else writes to it. Raise PartsGone."""
        folder = self._folder(key, upload)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise PartsGone from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink == 0 or not folder.is_dir():
                raise PartsGone  # whoever had the lock before has ended it
            yield folder
        finally:
            os.close(descriptor)

    def _parts(self, folder: Path) -> dict[int, tuple[Part, Path]]:
        """The parts in a folder, and where each is. Of two with one number, the newer: the other's end was cut off."""
        found: dict[int, tuple[Part, Path, int]] = {}
        with storage_errors():
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                raise PartsGone from None
            for entry in entries:
                if match := _NAME.fullmatch(entry.name):
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        number, at = int(match[1]), status.st_mtime_ns
                        if number not in found or found[number][2] < at:
                            part = Part(number=number, etag=match[2], bytes=status.st_size)
                            found[number] = (part, Path(entry.path), at)
        return {number: (part, path) for number, (part, path, _) in found.items()}

    def _remove(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        for above in folder.parents:
            if above == self._root:
                break
            with suppress(OSError):  # somebody has put something there
                above.rmdir()


class PartWriter:
    """A part in the making: like a `Writer`, and it gets its name by what is in it."""

    def __init__(self, parts: Multiparts, temporary: Temporary, key: str, upload: str, number: int) -> None:
        self._parts = parts
        self._temporary = temporary
        self._where = key, upload
        self._number = number
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, *pieces: bytes | bytearray | memoryview) -> None:
        """Append pieces."""
        for piece in pieces:
            self._md5.update(piece)
        self._temporary.write(*pieces)

    def commit(self) -> Part:
        """Make the part one of its upload. Raise PartsGone."""
        etag = self._md5.hexdigest()
        self._temporary.sync()
        self._parts.place(self._temporary.path, *self._where, f"{self._number:05}-{etag}")
        self._temporary.close()
        return Part(number=self._number, etag=etag, bytes=self._temporary.bytes)

    def abort(self) -> None:
        """Forget what was written. After a commit, nothing happens."""
        self._temporary.abort()


def _chosen(found: dict[int, tuple[Part, Path]], parts: Sequence[Part]) -> list[Path]:
    """Where the parts of the object are, in order. Raise what S3 would."""
    if not parts:
        raise InvalidPart("An object needs a part.")
    numbers = [part.number for part in parts]
    if any(second <= first for first, second in pairwise(numbers)):
        raise InvalidPartOrder
    for part in parts:
        if part.number not in found or found[part.number][0].etag != part.etag:
            raise InvalidPart
    if any(found[number][0].bytes < LEAST_PART for number in numbers[:-1]):
        raise EntityTooSmall
    return [found[number][1] for number in numbers]
