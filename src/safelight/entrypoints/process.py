"""What the processes of one tree share: how they start, say that they are ready, log, and end with their parent."""

import contextlib
import ctypes
import logging
import os
import platform
import select
import signal
import sys
import threading
import time
from typing import Final

READY_FD: Final = "SAFELIGHT_PROCESS_READY_FD"
"""The variable that tells a child where to say that it is ready; not a setting."""

BACKLOG: Final = 2048
"""Connections that may wait at the port which the supervisor binds and the front answers at."""

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_PR_SET_PDEATHSIG: Final = 1
_RECORD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class LineFormatter(logging.Formatter):
    """One event, one line: time, level, process, message, then what the event is about as key=value."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = "".join(
            f" {name}={value}" for name, value in vars(record).items() if name not in _RECORD_FIELDS
        )
        line = f"{moment}.{int(record.msecs):03d}Z {record.levelname:7} {self._process:8} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def log_to_stderr(process: str, level: str) -> None:
    """Send this process's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(process))
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)


def end_with_parent() -> None:
    """Die when the parent dies, however it dies: nothing may go on working that nobody supervises."""
    parent = os.getppid()
    if platform.system() == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent or _nobody_waits():  # it died before the kernel was told
            os._exit(1)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="watch parent", daemon=True).start()


def _nobody_waits() -> bool:
    """Whether the supervisor died while this process was still loading its modules: then the parent that it saw first
    was already another, and only the pipe, which nobody reads any more, knows of the real one."""
    if (descriptor := os.environ.get(READY_FD)) is None:
        return False
    poll = select.poll()
    poll.register(int(descriptor), 0)
    return bool(poll.poll(0))


def say_ready() -> None:
    """Tell the supervisor that this process does its work from now on. Without a supervisor, do nothing."""
    if (descriptor := os.environ.pop(READY_FD, None)) is not None:
        with contextlib.suppress(
            BrokenPipeError
        ):  # the supervisor has just died, and this process dies with it
            os.write(int(descriptor), b"!")
        os.close(int(descriptor))
