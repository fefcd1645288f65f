"""One commit for all threads of a process that write at the same moment.

A commit waits for the disk, a thousand times as long as the write itself takes. So a writer that is done while others
wait for their turn leaves its transaction open for the next one, and whoever finds nobody behind commits for all:

    first     BEGIN · write ─┐ waits …………………………… goes on
    second                   └─▶ write ─┐ waits …… goes on
    third                               └─▶ write · COMMIT

Each one's write is whole or undone by itself: it has a savepoint of its own. Nobody goes on before the
commit that holds its write, not even one that failed: what it saw may have been another's write.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import apsw

from safelight import faults
from safelight.errors import InvalidRequest, StorageUnavailable

WORLD: Final = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
)
"""What the machine did to us. Every other error of SQLite is a mistake of ours and passes through."""

LARGEST: Final = 64
"""So many writers share a commit at most: other processes wait for its end."""

LOST_SECONDS: Final = 0.5
"""After this long a writer looks whether whoever was to commit for it has given up, as after Ctrl-C."""


class Batch:
    """Writes that will be committed together."""

    __slots__ = ("connection", "done", "error", "writes")

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.writes = 0
        self.done = threading.Event()
        self.error: BaseException | None = None


class Writers:
    """The durable writers of one process.

    `turn` is held while a batch is open, so that no other transaction of this process waits for the database's lock
    meanwhile. `take` gives a connection, `give_back` has it back; `away` closes it after an error of the machine and
    says what to raise.
    """

    def __init__(
        self,
        turn: threading.Lock,
        take: Callable[[], apsw.Connection],
        give_back: Callable[[apsw.Connection], None],
        away: Callable[[apsw.Connection, Exception], StorageUnavailable],
    ) -> None:
        self._turn, self._take, self._give_back, self._away = turn, take, give_back, away
        self._lane = threading.Lock()
        self._waiting: deque[None] = deque()  # its operations are atomic; only its length matters
        self._batch: Batch | None = None

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """Write inside the block; it is committed when the block has ended, and undone if it raises."""
        self._waiting.append(None)
        try:
            self._lane.acquire()
        finally:
            self._waiting.pop()
        try:
            batch = self._batch or self._begin()
            with self._last_commits(batch), _undone_if_it_raises(batch):
                yield batch.connection
        except UnicodeEncodeError:
            raise InvalidRequest("The text holds characters that are not valid Unicode.") from None
        except WORLD as error:
            raise StorageUnavailable from error

    def _begin(self) -> Batch:
        """Open a batch; on failure the lane is free again."""
        self._turn.acquire()
        connection = None
        try:
            connection = self._take()
            connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._turn.release()
            self._lane.release()
            if isinstance(error, WORLD) and connection is not None:
                raise self._away(connection, error) from error
            raise
        self._batch = Batch(connection)
        return self._batch

    @contextmanager
    def _last_commits(self, batch: Batch) -> Iterator[None]:
        """Leave the batch to the next writer, or commit it; then wait until it is committed."""
        try:
            yield
        finally:
            try:
                if batch.error is not None or not self._waiting or batch.writes >= LARGEST:
                    self._finish(batch)
            finally:
                self._lane.release()
            self._await(batch)
        if batch.error is not None:
            raise StorageUnavailable from batch.error

    def _await(self, batch: Batch) -> None:
        while not batch.done.wait(LOST_SECONDS):
            if self._lane.acquire(blocking=False):
                try:
                    if self._batch is batch:
                        self._finish(batch)
                finally:
                    self._lane.release()

    def _finish(self, batch: Batch) -> None:
        """Commit. Whatever happens, the batch is over then and everybody in it knows."""
        connection, self._batch = batch.connection, None
        try:
            if batch.error is None:
                commit(connection)
        except BaseException as error:
            batch.error = error
            raise
        finally:
            self._put_away(connection, batch.error)
            self._turn.release()
            batch.done.set()

    def _put_away(self, connection: apsw.Connection, error: BaseException | None) -> None:
        if isinstance(error, WORLD):
            self._away(connection, error)
            return
        # SQLite has rolled back by itself after some errors.
        with suppress(apsw.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        self._give_back(connection)


def commit(connection: apsw.Connection) -> None:
    """End the transaction that is open."""
    faults.reached("store.committing")
    connection.execute("COMMIT")
    faults.reached("store.committed")


@contextmanager
def _undone_if_it_raises(batch: Batch) -> Iterator[None]:
    """Undo what the block wrote if it raises, and nothing that others wrote. If that can not be done, or the machine
    is at fault, the whole batch has failed."""
    connection = batch.connection
    try:
        connection.execute("SAVEPOINT writer")
        yield
        connection.execute("RELEASE writer")
        batch.writes += 1
    except BaseException as error:
        if isinstance(error, WORLD) or not connection.in_transaction:
            batch.error = error
            raise
        try:
            connection.execute("ROLLBACK TO writer")
            connection.execute("RELEASE writer")
        except apsw.Error as failure:
            batch.error = failure
        raise
