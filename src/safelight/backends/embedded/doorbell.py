"""Waking other processes without polling: three named pipes in the data folder.

`{data}/doorbell` wakes workers that wait for a message, `{data}/courier` who delivers webhooks; `{data}/changes` tells
the server which jobs were written. All carry hints only: what they say is always read from the database, and a hint
may be lost when its process is killed or a pipe is full. Nothing is kept in them, and they may be deleted while
Safelight is not running.
"""

import errno
import os
import select
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from safelight.errors import ConfigurationError

_FULL: Final = 2**16


def _pipe_at(path: Path) -> Path:
    try:
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        if stat.S_ISFIFO(path.stat().st_mode):
            return path
    except OSError as error:
        raise ConfigurationError(f"The named pipe {path} can not be made: {error.strerror}.") from error
    raise ConfigurationError(f"{path} is in the way: Safelight keeps a named pipe there.")


class Doorbell:
    """Wakes those who sleep on it, in this process and in others.

    The pipe is shared by all sleepers, so one of them may take a ring that was meant for several. That loses nothing
    if everybody keeps to this: drain, then look for work, then sleep; and ring again after taking work when there is
    more of it.
    """

    def __init__(self, path: Path) -> None:
        # Opened for both, the pipe never reports an end and never refuses a ring for want of a listener.
        self._pipe = os.open(_pipe_at(path), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._stop_reader, self._stop_writer = os.pipe()
        os.set_blocking(self._stop_writer, False)
        self.stopped = False
        # A thread may outlive `close`, and the numbers of closed pipes are soon those of other files: of the database,
        # if that thread opens it once more.
        self._turn = threading.Lock()
        self._closed = False

    def ring(self) -> None:
        """Wake the sleepers. After `close`, nothing happens."""
        with self._turn, suppress(BlockingIOError):  # full of rings already
            if not self._closed:
                os.write(self._pipe, b"!")

    def drain(self) -> None:
        """Forget past rings; look for work after this, not before."""
        with self._turn, suppress(BlockingIOError):
            if not self._closed:
                os.read(self._pipe, _FULL)

    def sleep(self, seconds: float) -> None:
        """Sleep until a ring, `stop`, or the end of the time."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        poll.register(self._stop_reader, select.POLLIN)
        poll.poll(seconds * 1000)

    def stop(self) -> None:
        """Wake this process's sleepers for good. Safe in a signal handler: it sets a flag and writes one byte."""
        self.stopped = True
        # Without the lock, which the thread that the signal interrupts may hold. That thread is also the one that
        # closes: it can not have closed anything between this look and this write.
        if not self._closed:
            with suppress(BlockingIOError):
                os.write(self._stop_writer, b"!")

    def close(self) -> None:
        """Close the pipes, and let every sleeper go."""
        self.stop()
        with self._turn:
            self._closed = True
        for descriptor in (self._pipe, self._stop_reader, self._stop_writer):
            os.close(descriptor)


class Announcer:
    """Writes the ids of changed jobs for a `ChangeReader`; without one, does nothing."""

    def __init__(self, path: Path) -> None:
        self._path = _pipe_at(path)
        self._pipe: int | None = None
        # Not two threads at once: one must not write to a number that the other has just closed, and that is by now
        # the number of some other file.
        self._turn = threading.Lock()

    def __call__(self, job_id: str) -> None:
        """Announce that the job was written."""
        with self._turn:
            self._announce(job_id.encode() + b"\n")

    def _announce(self, line: bytes) -> None:
        # The second try is for a server that was started again.
        for _ in range(2):
            try:
                if self._pipe is None:
                    self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                # A line is shorter than PIPE_BUF, so lines of several writers never mix.
                os.write(self._pipe, line)
            except BlockingIOError:
                return
            except OSError as error:
                self.close()
                if error.errno != errno.EPIPE:  # ENXIO: nobody reads
                    return
            else:
                return

    def close(self) -> None:
        """Close the pipe."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)


class ChangeReader:
    """Reads the ids of changed jobs, for `loop.add_reader(changes, …)`. One process may read: the server."""

    def __init__(self, path: Path) -> None:
        # Opened for both, the pipe does not look readable for ever once the last writer has gone.
        self._pipe = os.open(_pipe_at(path), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._pipe

    def read(self) -> list[str]:
        """The jobs written since the last call, each once; empty if there are none. Never blocks."""
        data = self._rest
        with suppress(BlockingIOError):
            while chunk := os.read(self._pipe, _FULL):
                data += chunk
        *lines, self._rest = data.split(b"\n")
        return list(dict.fromkeys(line.decode(errors="replace") for line in lines))

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._pipe)
