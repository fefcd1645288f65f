"""A Safelight of one's own, for as long as a `with` block runs: the real server, as a process."""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from safelight.errors import SafelightError

START_WITHIN: Final = 60.0
END_WITHIN: Final = 15.0

_NOT_FOR_IT: Final = frozenset({"SAFELIGHT_PUBLIC_URL", "SAFELIGHT_DATA", "SAFELIGHT_AUTH"})
"""Settings of a server that lasts: this one is on a loopback address, with a folder of its own, for one caller."""


class OwnServer:
    """`safelight serve` on a free port with a new data folder and one worker; `url` is where it listens.

    It ends with the block, whatever ends that: an error, Ctrl-C, or a signal that asks this process to end.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.url = ""
        self._data = tempfile.TemporaryDirectory(prefix="safelight-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _end)
        command = [sys.executable, "-m", "safelight", "serve", "--port", "0"]
        environ = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_IT}
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    [*command, "--data", self._data.name, "--workers", "1"],
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    process_group=0,  # Ctrl-C is for us; the server is told in its turn
                )
            self.url = self._ready(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _ready(self, process: "subprocess.Popen[bytes]") -> str:
        """Wait for the line that says where the server listens."""
        assert process.stdout is not None
        end = time.monotonic() + START_WITHIN
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(process.stdout.fileno(), 4096) if readable else b""
            if not piece:
                last = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise SafelightError(
                    f"The server did not start: {last or 'it said nothing'} (see {self.log})"
                )
            line += piece
        found = re.search(rb"https?://\S+", line)
        assert found is not None
        return found[0].decode()

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()  # and with it all the processes it supervises
                self._process.wait()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._data.cleanup()


def _end(number: int, _frame: FrameType | None) -> None:
    # An exception, so that the block is left in order. A second signal ends at once.
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)
