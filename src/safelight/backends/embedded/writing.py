"""Writing an object so that it is either whole and durable or not there at all.

The bytes go to `{data}/tmp`, in the same file system; then: fsync of the file, one atomic link or rename to its place,
fsync of its folder and of every folder above that is new. A crash leaves at most a file in `{data}/tmp`.
"""

import errno
import fcntl
import io
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

from safelight import faults
from safelight.backends.embedded import keys
from safelight.errors import BlobExists, InvalidRequest, StorageUnavailable
from safelight.ports import BlobInfo, Clock

_CHUNK: Final = 2**20
_CAN_NOT_COPY: Final = (
    errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.ENOTSOCK, errno.EPERM,
)  # fmt: skip
_RACES_WITH_DELETE: Final = 100


class Erased(StorageUnavailable):
    """The object was erased while it was being written."""


class Place:
    """The folders, and which of them are known to be durable."""

    def __init__(self, root: Path, temporary: Path, clock: Clock) -> None:
        self.root = root
        self.temporary = temporary
        self.clock = clock
        self.durable: set[Path] = {root}

    def temporary_name(self, key: str) -> Path:
        """A new name for an unfinished object. It begins with the key's folder, so that `delete` finds it."""
        folder = key.rpartition("/")[0]
        return self.temporary / f"{unfinished(folder + '/')}.{secrets.token_hex(8)}"


def unfinished(prefix: str) -> str:
    """How the temporary names of all unfinished objects below `prefix` begin."""
    return quote(prefix, safe=" ")[:200]


class Temporary:
    """A file that is being written, in `{data}/tmp`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file: int | None = os.open(path, flags, 0o600)
        faults.reached("file.created")
        self.bytes = 0

    def write(self, *pieces: bytes | bytearray | memoryview) -> None:
        """Append pieces, at most 1,000 at once: without joining them first, in one call of the system."""
        size = sum(map(len, pieces))
        with storage_errors():
            done = os.writev(self._descriptor, pieces)
            if done < size:  # rare: interrupted, or a limit was hit that the next call will name
                with memoryview(b"".join(pieces)) as view:
                    while done < size:
                        done += os.write(self._descriptor, view[done:])
        self.bytes += size

    def copy(self, file: IO[bytes]) -> None:
        """Append a whole file, inside the kernel where it has a descriptor and the system can."""
        before = self.bytes
        with storage_errors():
            try:
                source = file.fileno()
            except (io.UnsupportedOperation, AttributeError):
                file.seek(0)
                while chunk := file.read(_CHUNK):
                    self.write(chunk)
                return
            if file.writable():
                file.flush()
            for move in (_copy_range, _send, _read_and_write):
                if move(source, self._descriptor, before):
                    break
            self.bytes = os.fstat(self._descriptor).st_size

    def sync(self) -> None:
        """Bring what was written to the disk."""
        with storage_errors():
            os.fsync(self._descriptor)

    def close(self) -> None:
        """The file has its name: let go of it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def abort(self) -> None:
        """Forget what was written. After `close`, nothing happens."""
        if self._file is not None:
            self.close()
            with storage_errors():
                self.path.unlink(missing_ok=True)

    @property
    def _descriptor(self) -> int:
        assert self._file is not None, "the file is finished"
        return self._file


class Writer(Temporary):
    """An object in the making. Nobody sees any of it before `commit`; leaving the `with` block without a commit
    leaves nothing."""

    def __init__(self, place: Place, key: str, *, overwrite: bool = True) -> None:
        self._place = place
        self._key = keys.check(key)
        self._overwrite = overwrite
        super().__init__(place.temporary_name(key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def commit(self) -> BlobInfo:
        """Put the object into its place. When this returns it is whole, visible and durable."""
        now = self._place.clock()
        faults.reached("file.written")
        with storage_errors():
            os.utime(self._descriptor, (now, now))
            os.fsync(self._descriptor)
            faults.reached("file.synced")
            folder = self._place.root / self._key.rpartition("/")[0]
            for _ in range(_RACES_WITH_DELETE):
                with suppress(FileNotFoundError), self._open(folder) as descriptor:
                    version = self._publish(descriptor, now)
                    self.close()
                    faults.reached("file.placed")
                    os.fsync(descriptor)
                    self._make_durable(folder)
                    faults.reached("file.durable")
                    return BlobInfo(key=self._key, version=version, bytes=self.bytes, modified_at=now)
                if not self.path.exists():
                    raise Erased
        raise StorageUnavailable

    def _publish(self, folder: int, now: float) -> str:
        name = self._key.rpartition("/")[2]
        if self._key.startswith(keys.PROCESSED):
            try:
                # A link, since a rename would replace what is there.
                os.link(self.path, name, dst_dir_fd=folder)
            except FileExistsError:
                raise BlobExists from None
            faults.reached("file.linked")
            self.path.unlink(missing_ok=True)
            return keys.ONLY_VERSION
        # Two uploads of one key take turns: "only if there is none" must hold, and a later version sort later.
        fcntl.flock(folder, fcntl.LOCK_EX)
        newest = newest_version(os.listdir(folder), name)
        if newest is not None and not self._overwrite:
            raise BlobExists
        version = keys.new_version(now, newest)
        os.rename(self.path, f"{version}-{name}", dst_dir_fd=folder)
        return version

    @contextmanager
    def _open(self, folder: Path) -> Iterator[int]:
        """A descriptor of the folder, which is made if it is not there."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._place.durable.difference_update([folder, *folder.parents])
            self._place.durable.add(self._place.root)
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError from None
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _make_durable(self, folder: Path) -> None:
        """Make sure that the folder itself survives a crash: that its name is on disk, and its parents' names."""
        durable = self._place.durable
        if len(durable) > 10_000:
            durable.clear()
            durable.add(self._place.root)
        while folder not in durable:
            sync_folder(folder.parent)
            durable.add(folder)
            folder = folder.parent


def newest_version(names: list[str], name: str) -> str | None:
    """The newest version of the object called `name` among the files of its folder."""
    found = (split for each in names if (split := keys.split_version(each)))
    return max((version for version, of in found if of == name), default=None)


def sync_folder(folder: Path) -> None:
    """Bring the folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Translate what the operating system says. A full disk, a dying one, no descriptors left: all may pass."""
    try:
        yield
    except NotADirectoryError:
        raise InvalidRequest("A key can not lie below another object's key.") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidRequest("The key is too long for this file system.") from None
        raise StorageUnavailable from error


# --- copying a file behind the first `before` bytes: each returns False if the system can not do it this way ---


def _copy_range(source: int, target: int, before: int) -> bool:
    if not hasattr(os, "copy_file_range"):
        return False
    return _move(lambda offset: os.copy_file_range(source, target, 2**30, offset), source, target, before)


def _send(source: int, target: int, before: int) -> bool:
    return _move(lambda offset: os.sendfile(target, source, offset, 2**30), source, target, before)


def _move(step: Callable[[int], int], source: int, target: int, before: int) -> bool:
    """Take steps until the source has no more; go on where an earlier way stopped."""
    offset = os.fstat(target).st_size - before
    try:
        while done := step(offset):
            offset += done
    except OSError as error:
        if error.errno in _CAN_NOT_COPY:
            return False
        raise
    return offset >= os.fstat(source).st_size


def _read_and_write(source: int, target: int, before: int) -> bool:
    offset = os.fstat(target).st_size - before
    while chunk := os.pread(source, _CHUNK, offset):
        with memoryview(chunk) as view:
            done = 0
            while done < len(view):
                done += os.write(target, view[done:])
        offset += done
    return True
