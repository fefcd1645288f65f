"""The embedded backend's one database: `{data}/safelight.db`, with its `-wal` and `-shm` beside it.

It holds the jobs, the outbox of notices, the queue and the records. Every commit is on the disk when it returns
(write-ahead log, synchronous=FULL). Any number of processes and threads may use it at once, on one machine and on a
local disk: SQLite's locks do not hold on network file systems. `copy_to` copies it while it is in use.

The log is folded back into the database only by `checkpoint()`. One process calls it, about once a second: the others
never wait for it.
"""

import fcntl
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import apsw

from safelight.backends.embedded.schema import MIGRATIONS
from safelight.backends.embedded.writers import WORLD, Writers, commit
from safelight.errors import ConfigurationError, InvalidRequest, StorageUnavailable

logger = logging.getLogger(__name__)

NAME: Final = "safelight.db"
BUSY_SECONDS: Final = 10.0
LOG_LIMIT: Final = 64 * 2**20
"""With a larger log than this, a checkpoint makes writers wait for a moment so that the log can start anew."""
RESTART_SECONDS: Final = 0.25
OLDEST_SQLITE: Final = 3_051_003

Row = tuple[Any, ...]


class Database:
    """Connections to the file, and the only place that knows SQLite's errors.

    Connections are pooled: as many are open as were ever in use at one moment. They do not survive a fork; the child
    opens its own. (One that was forked while another thread of its parent was writing can not write at all: SQLite
    takes that writer for its own.)
    """

    def __init__(self, data: Path) -> None:
        self.path = data / NAME
        self._idle: deque[apsw.Connection] = deque()
        self._idle_careless: deque[apsw.Connection] = deque()
        self._own = _Own()
        # Threads of one process take turns here, without the sleeping that SQLite's own lock between processes needs.
        self._turn = threading.Lock()
        self._writers = self._new_writers()
        self._pid = os.getpid()
        self._closed = False
        self._inherited: list[object] = []
        if apsw.SQLITE_VERSION_NUMBER < OLDEST_SQLITE:
            raise ConfigurationError(
                f"SQLite {apsw.sqlite_lib_version()} can corrupt a database that several processes write to; "
                "install apsw 3.51.3 or newer."
            )
        self._prepare(data)

    def close(self) -> None:
        """Close every connection that is not in use, and open no other: what still comes raises StorageUnavailable."""
        self._closed = True
        for idle in (self._idle, self._idle_careless):
            while idle:
                idle.pop().close()

    # --- reading and writing ---

    def rows(self, sql: str, arguments: Sequence[object] = ()) -> list[Row]:
        """All rows that a query gives; within `together`, what this thread wrote is seen."""
        if (transaction := self._own.transaction) is not None:
            return transaction.rows(sql, arguments)
        with self._connection() as connection:
            return connection.execute(sql, arguments).fetchall()

    def row(self, sql: str, arguments: Sequence[object] = ()) -> Row | None:
        """The first row that a query gives."""
        rows = self.rows(sql, arguments)
        return rows[0] if rows else None

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator["Transaction"]:
        """One atomic write. It is durable when the block has ended; nothing of it is there if the block raises.

        Threads that write at the same moment share one commit, and so one fsync. Within `together` it is a part of
        that write. Without `durable` it survives the end of every process, but a power failure may undo it: for what
        is harmless to do again, at the price of no fsync.
        """
        if (transaction := self._own.transaction) is not None:
            yield transaction
            return
        if self._pid != os.getpid():  # before any lock: another thread of the parent may have held it
            self._after_fork()
        if durable:
            with self._writers.write() as connection:
                yield Transaction(connection)
            return
        with self._turn, self._connection(durable=False) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
                commit(connection)
            except BaseException:
                # SQLite has rolled back by itself after some errors.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make the writes of this thread inside the block one write, with one commit at its end."""
        later: list[Callable[[], None]] = []
        with self.writing() as transaction:
            self._own.transaction, self._own.later = transaction, later
            try:
                yield
            finally:
                self._own.transaction = None
        for call in later:
            call()

    def afterwards(self, call: Callable[[], None]) -> None:
        """Tell others what was written: now, or within `together` once it is."""
        if self._own.transaction is not None:
            self._own.later.append(call)
        else:
            call()

    def copy_to(self, path: Path) -> None:
        """Write the database as it is at this moment to a new file, while others go on writing. Raise
        StorageUnavailable."""
        with self._connection() as connection:
            path.touch(mode=0o600)
            copy = apsw.Connection(str(path))
            try:
                with copy.backup("main", connection, "main") as backup:
                    backup.step()
                # One file, whole by itself: the copy is taken from one snapshot, and it has no log of its own.
                copy.pragma("journal_mode", "delete")
            finally:
                copy.close()

    def checkpoint(self) -> None:
        """Fold the log back into the database, as far as readers allow. Never fails because others are at work."""
        with self._connection() as connection:
            try:
                pages, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.BusyError:  # somebody else is at it
                return
            if pages * 4096 <= LOG_LIMIT:
                return
            # Somebody is always reading. Hold writers back for a moment, so that the log can begin again. It keeps
            # its size up to the limit: writing into a file that need not grow is several times as fast.
            end = time.monotonic() + RESTART_SECONDS
            connection.set_busy_handler(lambda calls: _wait_for_lock(calls) and time.monotonic() < end)
            try:
                with suppress(apsw.BusyError):
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            finally:
                connection.set_busy_handler(_wait_for_lock)

    # --- connections ---

    @contextmanager
    def _connection(self, *, durable: bool = True) -> Iterator[apsw.Connection]:
        if self._pid != os.getpid():
            self._after_fork()
        idle = self._idle if durable else self._idle_careless
        connection = self._take(durable=durable)
        try:
            yield connection
        except WORLD as error:
            raise self._away(connection, error) from error
        except UnicodeEncodeError:
            idle.append(connection)
            raise InvalidRequest("The text holds characters that are not valid Unicode.") from None
        except BaseException:
            idle.append(connection)
            raise
        idle.append(connection)

    def _take(self, *, durable: bool = True) -> apsw.Connection:
        idle = self._idle if durable else self._idle_careless
        try:
            return idle.pop() if idle else self._connect(durable=durable)
        except IndexError:  # another thread was faster
            return self._connect(durable=durable)

    def _away(self, connection: apsw.Connection, error: Exception) -> StorageUnavailable:
        """What the machine did, in our words. The connection is not used again."""
        logger.error("database %s: %s", self.path, error)
        with suppress(apsw.Error):
            connection.close()
        return StorageUnavailable()

    def _connect(self, *, durable: bool = True) -> apsw.Connection:
        try:
            return self._open(durable=durable)
        except WORLD as error:
            logger.error("database %s: %s", self.path, error)
            raise StorageUnavailable from error

    def _open(self, *, durable: bool = True) -> apsw.Connection:
        if self._closed:
            raise StorageUnavailable("Safelight is stopping; ask again in a moment.")
        connection = apsw.Connection(str(self.path))
        connection.set_busy_handler(_wait_for_lock)
        for pragma, value in (
            ("synchronous", "FULL" if durable else "NORMAL"),
            ("wal_autocheckpoint", 0),
            ("journal_size_limit", LOG_LIMIT),
            ("cache_size", -16_000),
            ("trusted_schema", False),
        ):
            connection.pragma(pragma, value)
        return connection

    def _after_fork(self) -> None:
        # Closing a parent's connection in the child could drop the parent's locks, so they are only kept from harm.
        self._inherited += (*self._idle, *self._idle_careless, self._writers)
        self._idle, self._idle_careless = deque(), deque()
        self._own, self._turn = _Own(), threading.Lock()
        self._writers = self._new_writers()
        self._pid = os.getpid()

    def _new_writers(self) -> Writers:
        return Writers(self._turn, self._take, self._idle.append, self._away)

    def _prepare(self, data: Path) -> None:
        """Make the file and bring its schema up to date, one process at a time."""
        try:
            folder = os.open(data, os.O_RDONLY)
        except OSError as error:
            raise ConfigurationError(f"The data folder {data} can not be used: {error.strerror}.") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            # Made here, and so for its owner only: SQLite gives `-wal` and `-shm` the same rights.
            if not self.path.exists():
                self.path.touch(mode=0o600)
            connection = self._open()
            if connection.pragma("journal_mode", "wal") != "wal":
                raise ConfigurationError(f"{self.path}: the file system does not allow a write-ahead log.")
            self._migrate(connection)
            self._idle.append(connection)
        except (*WORLD, StorageUnavailable) as error:
            cause = error.__cause__ or error
            reason = cause.strerror if isinstance(cause, OSError) else cause
            raise ConfigurationError(f"{self.path} can not be opened and written: {reason}.") from error
        finally:
            os.close(folder)

    def _migrate(self, connection: apsw.Connection) -> None:
        version = connection.pragma("user_version")
        if version > len(MIGRATIONS):
            raise ConfigurationError(
                f"{self.path} was written by a newer Safelight (schema {version}, known here: {len(MIGRATIONS)}); "
                "upgrade Safelight, or restore the copy that was made before."
            )
        # Even when there is nothing to do: only a write shows that the file can be written.
        connection.execute("BEGIN EXCLUSIVE")
        with connection:
            for migration in MIGRATIONS[version:]:
                connection.execute(migration)
            connection.pragma("user_version", len(MIGRATIONS))
        connection.execute("COMMIT")


class _Own(threading.local):
    """What a thread is in the middle of."""

    transaction: "Transaction | None" = None
    later: list[Callable[[], None]]


class Transaction:
    """The inside of a write."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, arguments: Sequence[object] = ()) -> list[Row]:
        """Run a statement; all rows that it gives."""
        return self._connection.execute(sql, arguments).fetchall()

    def row(self, sql: str, arguments: Sequence[object] = ()) -> Row | None:
        """Run a statement; the first row that it gives."""
        rows = self.rows(sql, arguments)
        return rows[0] if rows else None

    def run(self, sql: str, arguments: Sequence[object] = ()) -> int:
        """Run a statement; how many rows it changed."""
        self._connection.execute(sql, arguments).fetchall()
        return self._connection.changes()


def _wait_for_lock(calls: int) -> bool:
    """Wait for another process's write. A commit takes well under a millisecond, and SQLite's own waits grow to a
    tenth of a second: short random ones hand the lock on sooner and to everyone in turn."""
    pause = random.uniform(0.0002, 0.001) if calls < 200 else random.uniform(0.002, 0.01)
    time.sleep(pause)
    return calls < 200 or calls * 0.006 < BUSY_SECONDS
