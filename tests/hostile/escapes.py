"""An entry for the sandbox that tries to get out: the recipe's watermark text says how, the output what came of it.

It stands where `safelight.imaging.renderer` stands in the product. `prepare` can leave the filter of system calls open,
as if a call had slipped through it, so that what stands behind the filter shows.
"""

import ctypes
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from safelight.config import Settings
from safelight.imaging import confine, renderer
from safelight.imaging.drawing import Drawing, Look
from safelight.recipes import parse

rehearse = renderer.rehearse
anticipate = renderer.anticipate

X32: Final = 0x40000000
PASSED: Final = {335, 336} if os.uname().machine == "x86_64" else set[int]()
"""uretprobe and uprobe: Linux filters neither, and both do nothing but for a debugger's own code."""

LAST_CALL: Final = 600


def prepare() -> None:
    """As the product does."""
    renderer.prepare()


def draw(file: IO[bytes], recipe: bytes, settings: Settings, files: Sequence[IO[bytes]], **_: Any) -> Drawing:
    """Do what the recipe's text names, to the processes that it names, and write what came of it as the output."""
    (step,) = parse(recipe).steps.values()
    name, *pids = step.text.split()  # type: ignore[attr-defined]
    files[0].write(ATTEMPTS[name]([int(pid) for pid in pids]).encode())
    files[0].flush()
    return Drawing(Look("jpeg", 1, 1), (Look("jpeg", 1, 1),))


def outcome(attempt: Callable[[], object]) -> str:
    """The error of an attempt by name, `done` if there was none."""
    try:
        attempt()
    except BaseException as error:
        return type(error).__name__
    return "done"


def calls(_: list[int]) -> str:
    """Make every system call there is, with nonsense, but those that are allowed; tell those that were not refused."""
    column = confine._MACHINES[os.uname().machine][0]
    allowed = {numbers[column] for numbers in confine._ALLOWED.values()}
    sifted = (
        confine._MMAP,
        confine._MPROTECT,
        confine._CLONE,
        confine._CLONE3,
        confine._PRCTL,
        confine._FCNTL,
        confine._SCHED_SETAFFINITY,
    )
    allowed |= {numbers[column] for numbers in sifted}
    others = [number for number in range(LAST_CALL) if number not in allowed | PASSED]
    if column == 0:
        others += [
            X32 | number for number in range(LAST_CALL)
        ]  # the same calls by their numbers of another ABI
    libc = ctypes.CDLL(None, use_errno=True)
    found = []

    def call(number: int, first: int = 0) -> None:
        ctypes.set_errno(0)
        result = libc.syscall(ctypes.c_long(number), ctypes.c_ulong(first), *[ctypes.c_ulong(0)] * 5)
        if result != -1 or ctypes.get_errno() != 1:  # EPERM
            found.append(number)

    for number in others:
        call(number)
    call(confine._SCHED_SETAFFINITY[column], os.getppid())
    os.sched_setaffinity(0, os.sched_getaffinity(0))  # a process's own threads may, see `strips`
    return f"{len(others)} tried, not refused: {found}"


def parents(pids: list[int]) -> str:
    """Read what the kernel shows of other processes, write to it, trace them, and send them signals."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: set[str] = set()
    for pid in pids:
        place = Path(f"/proc/{pid}")
        texts = [place / name for name in ("environ", "mem", "maps", "cmdline", "root/etc/passwd")]
        found |= {outcome(text.read_bytes) for text in texts}
        found |= {outcome(partial(os.listdir, place / name)) for name in ("fd", "task")}
        found.add(outcome(partial(os.kill, pid, 0)))
        found.add("done" if libc.ptrace(16, pid, 0, 0) == 0 else "PermissionError")  # PTRACE_ATTACH
    return " ".join(sorted(found))


def files(_: list[int]) -> str:
    """Open files to read, to write and to list, by absolute and relative paths, and through /proc."""
    attempts: list[Callable[[], object]] = [
        lambda: Path("/etc/passwd").read_bytes(),
        lambda: Path("pyproject.toml").read_bytes(),
        lambda: Path("/proc/self/environ").read_bytes(),
        lambda: Path("/proc/self/maps").read_bytes(),
        lambda: Path("/tmp/escaped").write_bytes(b"x"),
        lambda: Path("/dev/shm/escaped").write_bytes(b"x"),
        lambda: list(Path("/tmp").iterdir()),
        lambda: Path("/tmp/escaped").mkdir(),
        lambda: Path("/tmp/escaped").symlink_to("/etc/passwd"),
        lambda: os.mkfifo("/tmp/escaped"),
    ]
    return " ".join(sorted({outcome(attempt) for attempt in attempts}))


def ports(pids: list[int]) -> str:
    """Connect to a port, wait at one, and connect to the abstract socket that bears the number."""

    def connect() -> None:
        with socket.socket() as channel:
            channel.settimeout(1)
            channel.connect(("127.0.0.1", 9))

    def listen() -> None:
        with socket.socket() as channel:
            channel.bind(("127.0.0.1", 0))

    def abstract() -> None:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(f"\0safelight-test-{pids[0]}")

    return " ".join(sorted({outcome(attempt) for attempt in (connect, listen, abstract)}))


ATTEMPTS: Final = {attempt.__name__: attempt for attempt in (calls, parents, files, ports)}
