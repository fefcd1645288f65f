"""An entry for the sandbox that misbehaves on demand: the recipe's watermark text says how.

It stands where `safelight.imaging.renderer` stands in the product, behind the same locks.
"""

import contextlib
import ctypes
import fcntl
import mmap
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from safelight.config import Settings
from safelight.imaging.drawing import Drawing, Look
from safelight.imaging.renderer import anticipate, prepare, rehearse  # noqa: F401 - the zygote calls them here
from safelight.recipes import parse


def draw(file: IO[bytes], recipe: bytes, settings: Settings, files: Sequence[IO[bytes]], **_: Any) -> Drawing:
    """Do what the recipe's text names, and write what came of it as the output."""
    (step,) = parse(recipe).steps.values()
    result = DEEDS[step.text](file)  # type: ignore[attr-defined]
    files[0].write(result.encode())
    files[0].flush()
    return Drawing(Look("jpeg", 1, 1), (Look("jpeg", 1, 1),))


def errors(*attempts: Callable[[], object]) -> str:
    """The error of each attempt, by name; `done` if there was none."""
    found = []
    for attempt in attempts:
        try:
            attempt()
            found.append("done")
        except BaseException as error:
            found.append(type(error).__name__)
    return " ".join(found)


def spin(_: IO[bytes]) -> NoReturn:
    """Use CPU for ever."""
    while True:
        pass


def wait(_: IO[bytes]) -> NoReturn:
    """Use time for ever."""
    while True:
        time.sleep(1000)


def network(_: IO[bytes]) -> str:
    """Try to talk to somebody."""
    return errors(socket.socket, socket.socketpair, os.pipe)


def files_of_others(_: IO[bytes]) -> str:
    """Try to open files, in several ways."""
    return errors(
        lambda: Path("/etc/passwd").read_text(),
        lambda: Path("/proc/1/environ").read_bytes(),
        lambda: os.open("/tmp/planted", os.O_CREAT | os.O_WRONLY),
        lambda: list(Path("/").iterdir()),
        Path("/tmp/planted").unlink,
        lambda: os.memfd_create("hoard"),
    )


def processes(_: IO[bytes]) -> str:
    """Try to make processes and to harm those there are."""
    return errors(
        os.fork,
        lambda: subprocess.run(["/bin/true"]),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: os.kill(1, 0),  # signal 0 asks for the permission alone
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    )


def signals(file: IO[bytes]) -> str:
    """Try to have the kernel send signals to others, and to change what is shared with them."""
    return errors(
        lambda: fcntl.fcntl(file, fcntl.F_SETOWN, 1),
        lambda: fcntl.fcntl(file, fcntl.F_SETSIG, 9),
        lambda: fcntl.fcntl(file, 15, struct.pack("ii", 1, 1)),  # F_SETOWN_EX
        lambda: fcntl.fcntl(2, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC),
    )


def environment(_: IO[bytes]) -> str:
    """Tell the environment, as libc has it: Python keeps a copy of its own."""
    names = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    found: list[str] = []
    while bool(names) and names[len(found)] is not None:
        found.append(str(names[len(found)]))
    return f"{dict(os.environ)} {found}"


def hoard(_: IO[bytes]) -> str:
    """Take memory without end."""
    taken = []
    while True:
        taken.append(bytearray(50_000_000))


def hoard_and_abort(_: IO[bytes]) -> NoReturn:
    """Take memory without end as a C library does: when there is none, abort."""
    with contextlib.suppress(MemoryError):
        hoard(_)
    os.abort()


def crash(_: IO[bytes]) -> str:
    """Read from address 0."""
    return ctypes.string_at(0).decode()


def lie(_: IO[bytes]) -> str:
    """Tell of an output that nobody asked for."""
    raise KeyError("private words of a library")


def flood(_: IO[bytes]) -> str:
    """Write without end."""
    return "x" * 2_000_000


def identity(_: IO[bytes]) -> str:
    """Tell who this is."""
    return str(os.getpid())


def copy(file: IO[bytes]) -> str:
    """Behave."""
    return os.pread(file.fileno(), 1000, 0).decode()


DEEDS: dict[str, Callable[[IO[bytes]], str]] = {
    deed.__name__: deed
    for deed in (
        spin,
        wait,
        network,
        files_of_others,
        processes,
        signals,
        environment,
        hoard,
        hoard_and_abort,
        crash,
        lie,
        flood,
        identity,
        copy,
    )
}
