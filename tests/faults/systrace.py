"""What a program asks of the kernel, in order: a small `strace`, so that the tests need none.

    python -m tests.faults.systrace FOLDER COMMAND…

runs the command, follows its threads and children, and prints the calls that write, make durable, name or make
something below FOLDER, one JSON line each. Linux on x86-64 and ARM64, from 5.3 on. Nothing may forbid ptrace.
"""

import ctypes
import json
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

_TRACEME, _CONT_SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
# Marks stops at calls, follows fork, vfork, clone and exec, and kills what is traced if the tracer dies.
_OPTIONS: Final = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000
_ENTRY, _EXIT = 1, 2
_WALL: Final = 0x40000000
_CREATE: Final = os.O_CREAT

_NUMBERS: Final = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 40: "sendfile", 326: "copy_file_range", 74: "fsync",
        75: "fdatasync", 82: "rename", 264: "renameat", 316: "renameat2", 86: "link", 265: "linkat", 83: "mkdir",
        258: "mkdirat", 257: "openat",
    },
    "aarch64": {
        64: "write", 68: "pwrite64", 66: "writev", 71: "sendfile", 285: "copy_file_range", 82: "fsync",
        83: "fdatasync", 38: "renameat", 276: "renameat2", 37: "linkat", 34: "mkdirat", 56: "openat",
    },
}  # fmt: skip

_WRITES: Final = {"write": 0, "pwrite64": 0, "writev": 0, "sendfile": 0, "copy_file_range": 2}
_SYNCS: Final = frozenset({"fsync", "fdatasync"})
_NAMES: Final = {
    "rename": (None, 0, None, 1),
    "renameat": (0, 1, 2, 3),
    "renameat2": (0, 1, 2, 3),
    "link": (None, 0, None, 1),
    "linkat": (0, 1, 2, 3),
}
"""Which arguments are the old folder, the old name, the new folder, the new name."""


class Call(NamedTuple):
    """One call that was carried out."""

    call: str
    """`write`, `sync`, `name` (a link or a rename), `make` (a file or a folder)."""
    path: str
    old: str = ""
    """The other name, of a link or a rename."""
    text: str = ""
    """The beginning of what was written, where it is text."""


class _Info(ctypes.Structure):
    _fields_ = [
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("values", ctypes.c_uint64 * 8),
    ]


_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def possible() -> str:
    """Why this machine can not trace; empty if it can."""
    if sys.platform != "linux" or platform.machine() not in _NUMBERS:
        return "system calls are traced on Linux, on x86-64 and ARM64"
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _libc.ptrace(_TRACEME, 0, None, None) == 0 else 1)
    _, status = os.waitpid(pid, 0)
    return "" if os.waitstatus_to_exitcode(status) == 0 else "this machine forbids ptrace"


class _Tracer:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names = _NUMBERS[platform.machine()]
        self._pending: dict[int, Call | None] = {}

    def run(self, command: list[str]) -> int:
        child = os.fork()
        if child == 0:
            _start(command)
        os.waitpid(child, 0)
        _libc.ptrace(_SETOPTIONS, child, None, ctypes.c_void_p(_OPTIONS))
        self._go_on(child, 0)
        while True:
            try:
                pid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return 1
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if pid == child:
                    return os.waitstatus_to_exitcode(status)
                continue
            stopped_by = os.WSTOPSIG(status)
            if stopped_by == signal.SIGTRAP | 0x80:
                self._look(pid)
                self._go_on(pid, 0)
            elif stopped_by in (signal.SIGTRAP, signal.SIGSTOP):  # events, and the first stop of what is new
                self._go_on(pid, 0)
            else:
                self._go_on(pid, stopped_by)

    def _go_on(self, pid: int, number: int) -> None:
        _libc.ptrace(_CONT_SYSCALL, pid, None, ctypes.c_void_p(number))

    def _look(self, pid: int) -> None:
        info = _Info()
        _libc.ptrace(_GET_SYSCALL_INFO, pid, ctypes.c_void_p(ctypes.sizeof(info)), ctypes.addressof(info))
        if info.op == _ENTRY:
            name = self._names.get(info.values[0])
            self._pending[pid] = name and self._call(pid, name, list(info.values)[1:7])  # type: ignore[assignment]
        elif info.op == _EXIT:
            call = self._pending.pop(pid, None)
            if call and ctypes.c_int64(info.values[0]).value >= 0:
                sys.stdout.write(json.dumps(call) + "\n")

    def _call(self, pid: int, name: str, arguments: list[int]) -> Call | None:
        old = text = ""
        if name in _WRITES:
            path, kind = self._file(pid, arguments[_WRITES[name]]), "write"
            if name == "write" and path.endswith(".told"):
                text = self._text(pid, arguments[1], min(arguments[2], 300))
        elif name in _SYNCS:
            path, kind = self._file(pid, arguments[0]), "sync"
        elif name in _NAMES:
            old_folder, old_name, new_folder, new_name = _NAMES[name]
            old, path = (
                self._path(pid, None if at is None else arguments[at], arguments[of])
                for at, of in ((old_folder, old_name), (new_folder, new_name))
            )
            kind = "name"
        else:
            if name == "openat" and not arguments[2] & _CREATE:
                return None
            at = None if name == "mkdir" else arguments[0]
            path, kind = self._path(pid, at, arguments[0 if name == "mkdir" else 1]), "make"
            if Path(path).exists():
                return None
        return Call(kind, path, old, text) if path.startswith(self._folder) else None

    def _file(self, pid: int, descriptor: int) -> str:
        try:
            return str(Path(f"/proc/{pid}/fd/{ctypes.c_int32(descriptor & 0xFFFFFFFF).value}").readlink())
        except OSError:
            return ""

    def _path(self, pid: int, folder: int | None, address: int) -> str:
        name = self._text(pid, address, 4096).split("\0")[0]
        number = -100 if folder is None else ctypes.c_int32(folder & 0xFFFFFFFF).value
        base = str(Path(f"/proc/{pid}/cwd").readlink()) if number == -100 else self._file(pid, number)
        return os.path.normpath(os.path.join(base, name))  # noqa: PTH118 - a text of another process

    def _text(self, pid: int, address: int, size: int) -> str:
        found = b""
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:  # noqa: PTH123 - not buffered
            while len(found) < size:
                at = address + len(found)
                try:
                    memory.seek(at)
                    piece = memory.read(min(size - len(found), 4096 - at % 4096))
                except OSError:
                    break
                found += piece
                if not piece or b"\0" in piece:
                    break
        return found.decode(errors="replace")


def _start(command: list[str]) -> NoReturn:
    _libc.ptrace(_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    os.execvp(command[0], command)


def read(lines: str) -> list[Call]:
    """The calls that this program printed."""
    return [Call(*fields) for line in lines.splitlines() if (fields := _fields(line))]


def _fields(line: str) -> Any:
    return json.loads(line)


if __name__ == "__main__":
    sys.exit(_Tracer(sys.argv[1]).run(sys.argv[2:]))
