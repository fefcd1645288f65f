"""The embedded backend: everything in one folder of one machine.

    {data}/safelight.db     jobs, notices, queue, records (database.py)
    {data}/files            originals and renditions (files.py)
    {data}/parts            uploads in parts that are not complete (parts.py)
    {data}/tmp              what is being written (writing.py)
    {data}/signing.key      the secret of the signed URLs (links.py)
    {data}/doorbell         wakes workers (doorbell.py)
    {data}/courier          wakes who delivers webhooks (doorbell.py)
    {data}/changes          tells the server what changed (doorbell.py)
    {data}/lock             held by the one supervisor that serves the folder

Every process opens an `Embedded` of its own, after it was forked. The folder is for one machine and a local disk.
"""

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from safelight import faults
from safelight.backends.embedded import backup
from safelight.backends.embedded.database import NAME as DATABASE
from safelight.backends.embedded.database import Database
from safelight.backends.embedded.doorbell import Announcer, ChangeReader, Doorbell
from safelight.backends.embedded.files import Files
from safelight.backends.embedded.jobs import Jobs, Notices
from safelight.backends.embedded.links import DOWNLOAD_SECONDS, PUBLIC_PATH, Links, signing_key
from safelight.backends.embedded.links import PATH as STORAGE_PATH
from safelight.backends.embedded.parts import Multiparts
from safelight.backends.embedded.queue import Messages
from safelight.backends.embedded.records import Records
from safelight.backends.embedded.storage import Storage
from safelight.backends.embedded.watch import Watch
from safelight.errors import ConfigurationError, SafelightError
from safelight.ports import Clock

__all__ = ["PUBLIC_PATH", "STORAGE_PATH", "ChangeReader", "Embedded"]

_LEAST_FREE_BYTES: Final = 100_000_000
_PURGES: Final = 20
_PURGED_AT_ONCE: Final = 1000
"""Records go in short writes, in which nobody waits, and as many at every sweep as a busy minute leaves."""


class Embedded:
    """The backend of one process: the ports, and what a supervisor needs."""

    def __init__(
        self,
        data: str | Path,
        *,
        base_url: str | Callable[[], str] = "",
        clock: Clock = time.time,
        download_seconds: int = DOWNLOAD_SECONDS,
        publishes: bool = True,
    ) -> None:
        self.data = Path(data)
        self._clock = clock
        self._lock: int | None = None
        self._closed = False
        self._storages: list[Storage] = []
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = f"can not be made: {error.strerror}"
            if isinstance(error, FileExistsError):
                reason = "is a file, not a folder"
            raise ConfigurationError(f"The data folder {self.data} {reason}.") from error
        self.blobs = Files(self.data, clock=clock)
        self.links = Links(
            signing_key(self.data),
            base_url=base_url,
            clock=clock,
            download_seconds=download_seconds,
            publishes=publishes,
        )
        self.multiparts = Multiparts(self.blobs, self.links, clock=clock)
        self._doorbell = Doorbell(self.data / "doorbell")
        self.courier_bell = Doorbell(self.data / "courier")
        self._announcer = Announcer(self.data / "changes")
        self._database = Database(self.data)
        self.jobs = Jobs(self._database, clock=clock, changed=self._announcer, noticed=self.courier_bell.ring)
        self.notices = Notices(self._database)
        self.records = Records(self._database, clock=clock)
        self.watch = Watch(self._database, clock=clock)
        self.queue = self.inbox = self.dead_letters = Messages(self._database, self._doorbell, clock=clock)

    @staticmethod
    def lives_in(data: str | Path) -> bool:
        """Whether the folder is one of this backend's."""
        return Path(data, DATABASE).is_file()

    def close(self) -> None:
        """Close everything. Nothing of this backend may be in use."""
        if self._closed:
            return
        self._closed = True
        for storage in self._storages:
            storage.close()  # uploads in the hands of its threads still go into the store
        self._database.close()
        self._doorbell.close()
        self.courier_bell.close()
        self._announcer.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def together(self) -> AbstractContextManager[None]:
        """What this thread writes inside the block is one commit."""
        return self._database.together()

    def backup(self, target: Path) -> tuple[int, int]:
        """Copy everything to the new folder `target`, while others work; how many objects and bytes it has. Raise
        ConfigurationError, StorageUnavailable."""
        return backup.copy(self.data, self._database, target)

    def wake_courier(self) -> None:
        """Wake who delivers webhooks, once what this thread writes is there for others to see."""
        self._database.afterwards(self.courier_bell.ring)

    # --- the server ---

    def storage(
        self, created: Callable[[str, str, int], None], *, cors_origins: Sequence[str] = ("*",)
    ) -> Storage:
        """The ASGI application below `/files/` and `/public/`. `created(key, version, bytes)` is told of uploads."""
        storage = Storage(
            self.blobs,
            self.links,
            self.multiparts,
            created=created,
            clock=self._clock,
            cors_origins=cors_origins,
        )
        self._storages.append(storage)
        return storage

    def changes(self) -> ChangeReader:
        """The ids of jobs as they are written, by whichever process. One reader at a time: the server."""
        return ChangeReader(self.data / "changes")

    # --- the supervisor ---

    def lock(self) -> None:
        """Become the one that serves this folder, until `close` or the end of the process. Raise ConfigurationError
        if somebody else does."""
        try:
            descriptor = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self.data} can not be used: {error.strerror}."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            who = f"process {holder}" if holder else "another process"
            raise ConfigurationError(
                f"The data folder {self.data} is already being served by {who}; "
                "stop it, or choose another folder with SAFELIGHT_DATA."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def recover(self) -> None:
        """After `lock` and before any worker: what was in flight when the last process tree ended goes on at once,
        instead of when its time runs out."""
        self.jobs.recover()
        faults.reached("recover.claims")
        self.queue.recover()
        faults.reached("recover.messages")
        self.blobs.recover()

    def recover_worker(self, name: str) -> None:
        """A worker has died: what it had claimed goes on at once."""
        self.queue.recover(self.jobs.recover(name))

    def checkpoint(self) -> None:
        """Fold the database's log back. One process calls this, about once a second; it is cheap when idle."""
        self._database.checkpoint()

    def clean(self, now: float) -> None:
        """Remove what has expired or was left behind: a part of every sweep. Bounded; the rest waits."""
        for _ in range(_PURGES):
            if self.records.purge(now, limit=_PURGED_AT_ONCE) < _PURGED_AT_ONCE:
                break
        self.blobs.clean(now)
        self.multiparts.clean(now)

    def health(self) -> dict[str, str]:
        """Each part and `ok`, or what is wrong with it in a few words."""
        report = {"database": "ok", "files": "ok"}
        try:
            self.queue.depth()
        except SafelightError:
            report["database"] = "does not answer"
        try:
            disk = os.statvfs(self.data)
            if disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES:
                report["files"] = "the disk is almost full"
        except OSError:
            report["files"] = "does not answer"
        return report
