"""Messages between worker, zygote and child: a length, then MessagePack; descriptors ride along (SCM_RIGHTS)."""

import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from safelight.config import Settings
from safelight.decoding import known
from safelight.imaging.drawing import Drawing

MAX_BYTES: Final = 1_000_000
MAX_FILES: Final = 64
"""More descriptors than a recipe can have outputs; Linux carries 253 at once."""

LOOK_SECONDS: Final = 0.1
"""How often a waiting worker looks after what it waits for."""

_LENGTH: Final = struct.Struct("<I")


class Start(msgspec.Struct, frozen=True):
    """Worker to zygote, first of all: what holds for every job."""

    settings: Settings
    entry: str
    """The module that draws: it has `prepare`, `anticipate`, `rehearse` and `draw`; see `renderer`."""


class Ahead(msgspec.Struct, frozen=True):
    """What the next job will probably be: a recipe of the operator's, and the size of the picture as displayed."""

    recipe: bytes
    width: int
    height: int


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Worker to zygote: fork a child, with what can be computed ahead, and for a job that may use so many threads.
    Answered by Forked."""

    ahead: Ahead | None = None
    threads: int = 1


class End(msgspec.Struct, frozen=True, tag=True):
    """Worker to zygote: kill this child, if it lives, and bury it. Answered by Ended."""

    pid: int


class Forked(msgspec.Struct, frozen=True, tag=True):
    """Zygote to worker, with the socket to the child: it is there."""

    pid: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Zygote to worker: how the child ended, as `os.waitstatus_to_exitcode` has it, and what it took."""

    code: int
    cpu_seconds: float
    peak_bytes: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Child to worker: locked in and waiting. `layers` names the locks that hold here."""

    layers: tuple[str, ...]


class Work(msgspec.Struct, frozen=True, tag=True):
    """Worker to child, with the descriptors of the original and of one empty file for each output."""

    recipe: bytes
    threads: int = 1
    """How many may draw."""
    explain: bool = False
    """Whether the drawing is to tell what it took."""


class Drawn(msgspec.Struct, frozen=True, tag=True):
    """Child to worker: the outputs are written."""

    drawing: Drawing


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Child to worker: an error of ours by its code and message; `detail` is for the log alone."""

    code: str
    message: str
    detail: str = ""


def send(channel: socket.socket, message: msgspec.Struct, files: Sequence[int] = ()) -> None:
    """Send a message and copies of some descriptors. Raise OSError if nobody is there."""
    body = msgspec.msgpack.encode(message)
    frame = _LENGTH.pack(len(body)) + body
    sent = socket.send_fds(channel, [frame], files) if files else channel.send(frame)
    if sent < len(frame):  # sending nothing, too, raises once the other end has answered and gone
        channel.sendall(frame[sent:])


def receive(
    channel: socket.socket,
    kind: Any,
    files: list[int] | None = None,
    *,
    deadline: float | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Any:
    """The next message of this kind. Its descriptors are added to `files`, and are the caller's to close.

    With a deadline (of `time.monotonic`), `meanwhile` is called every LOOK_SECONDS, and what it raises passes through.
    Raise EOFError if the other end is gone, TimeoutError at the deadline, OSError, or ValueError if it talks nonsense.
    """
    if deadline is not None:
        _await(channel, deadline, meanwhile)
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size, files, deadline))
    if length > MAX_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return msgspec.msgpack.decode(_exactly(channel, length, files, deadline), type=known(kind))


def _await(channel: socket.socket, deadline: float, meanwhile: Callable[[], object]) -> None:
    """Return when there is something to receive, or at the deadline."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(1000 * min(left, LOOK_SECONDS)):
            return
        meanwhile()


def _exactly(channel: socket.socket, length: int, files: list[int] | None, deadline: float | None) -> bytes:
    got = bytearray()
    while len(got) < length:
        if deadline is not None:
            channel.settimeout(max(deadline - time.monotonic(), 0.001))
        if files is None:
            part = channel.recv(
                length - len(got)
            )  # descriptors that nobody asked for are dropped by the kernel
        else:
            part, new, _, _ = socket.recv_fds(channel, length - len(got), MAX_FILES)
            files += new
        if not part:
            raise EOFError
        got += part
    return bytes(got)
