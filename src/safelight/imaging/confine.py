"""The locks that a child puts on itself before it sees a stranger's bytes.

    limits      address space, CPU time, file size, no core dumps         every POSIX system
    orphan      it dies with its parent                                   Linux
    privileges  no program can give it rights that it does not have       Linux
    landlock    no file, TCP port or signal, whatever the filter misses   Linux from 5.13 on
    syscalls    only those that drawing needs: no paths, sockets, forks   Linux on x86-64 and arm64

A lock that the system refuses is left out, and `confine` says which ones hold.
"""

import ctypes
import errno
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from safelight.config import Settings
from safelight.imaging import landlock

# <linux/prctl.h>
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38

_NICENESS: Final = 5
"""A third of the usual share, while others want the processor too."""


def hide() -> None:
    """Close this process's memory and environment to other processes of the same user, where the system can."""
    _prctl(_PR_SET_DUMPABLE, 0)


def step_back() -> None:
    """Let whoever answers clients go first: drawing takes what they leave of the processors.

    Call it before `hide`, after which only root may. Where the system groups processes by session, a group has a
    niceness of its own, and that of the process counts within the group alone.
    """
    with suppress(OSError):
        os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


def prepare() -> None:
    """Make once, before forking, what all children need for their locks."""
    _code()
    _libc()
    landlock.rights()


def confine(settings: Settings, parent: int) -> tuple[str, ...]:
    """Lock this process in for one job and name the locks that hold. `parent` is the process it was forked by."""
    layers = []
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        if os.getppid() != parent:
            os._exit(1)  # the parent died before it could be watched
        layers.append("orphan")
    layers += _limit(settings)
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        layers.append("privileges")
        if landlock.give_up():
            layers.append("landlock")
    if _filter_syscalls():
        layers.append("syscalls")
    return tuple(layers)


def _limit(settings: Settings) -> list[str]:
    cpu = max(1, round(settings.render_cpu_seconds))
    limits = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (cpu, cpu + 1),
        # One byte more than allowed, so that a file cut off here is seen to be too large: Pillow's JPEG writer takes
        # a short write for a whole one.
        resource.RLIMIT_FSIZE: (settings.render_output + 1, settings.render_output + 1),
        resource.RLIMIT_AS: (settings.render_memory, settings.render_memory),
    }
    held = True
    for limit, values in limits.items():
        try:
            resource.setrlimit(limit, values)
        except (ValueError, OSError):
            held = False  # macOS refuses RLIMIT_AS; a lower hard limit may be in force, which is as good
    return ["limits"] if held else []


def _prctl(option: int, value: int, pointer: "ctypes.c_void_p | None" = None) -> bool:
    if sys.platform != "linux":
        return False
    zero = ctypes.c_ulong(0)
    return bool(_libc().prctl(option, ctypes.c_ulong(value), pointer or zero, zero, zero) == 0)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


# --- system calls -----------------------------------------------------------------------------------------

# By name: the numbers on x86-64 and on arm64 (<asm/unistd_64.h>, <asm-generic/unistd.h>); -1: not there.
_ALLOWED: Final = {
    # reading, and writing to the files that are open
    "read": (0, 63),
    "write": (1, 64),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "lseek": (8, 62),
    "close": (3, 57),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "dup": (32, 23),
    "ftruncate": (77, 46),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "poll": (7, -1),
    "ppoll": (271, 73),
    # memory
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    # threads, time and the end
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "getpid": (39, 172),
    "getppid": (110, 173),  # can not fail, says its manual; refused, it would seem to answer -1
    "gettid": (186, 178),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getcwd": (79, 17),  # Pillow compares file names, even where there are none
    "exit": (60, 93),
    "exit_group": (231, 94),
}

_MMAP, _MPROTECT, _CLONE, _CLONE3, _PRCTL = (9, 222), (10, 226), (56, 220), (435, 435), (157, 167)
_FCNTL: Final = (72, 25)
_SCHED_SETAFFINITY: Final = (203, 122)

_FCNTL_ALLOWED: Final = (0, 1, 2, 3, 1030, 1034)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_GET_SEALS (<linux/fcntl.h>)."""

_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column in the table and AUDIT_ARCH of each machine that has one (<linux/audit.h>)."""

_PROT_EXEC: Final = 4
_CLONE_THREAD: Final = 0x10000

# <linux/seccomp.h>, <linux/bpf_common.h>
_MODE_FILTER: Final = 2
_KILL: Final = 0x80000000
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def _filter_syscalls() -> bool:
    program = _code()
    return program is not None and _prctl(
        _PR_SET_SECCOMP, _MODE_FILTER, ctypes.cast(program, ctypes.c_void_p)
    )


@cache
def _code() -> "ctypes.Array[ctypes.c_char] | None":
    """struct sock_fprog for this machine; None where there is no table for it."""
    machine = _MACHINES.get(os.uname().machine) if sys.platform == "linux" else None
    if machine is None:
        return None
    lines = _program(*machine)
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
    program.code = code  # type: ignore[attr-defined]  # keeps alive what it points to
    return program


def _program(column: int, architecture: int) -> list[tuple[int, int, int, int]]:
    """The filter as (code, jump if true, jump if false, operand): what is not allowed fails with EPERM."""

    def when(number: int, *then: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
        return [(_EQUAL, 0, len(then), number), *then] if number >= 0 else []

    def answer(value: int) -> tuple[int, int, int, int]:
        return (_RETURN, 0, 0, value)

    def argument(index: int) -> tuple[int, int, int, int]:
        return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)  # the low half; the machines here are little-endian

    allow, refuse = answer(_ALLOW), answer(_ERRNO | errno.EPERM)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        answer(_KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for numbers in _ALLOWED.values():
        program += when(numbers[column], allow)
    # No new code: pages that can be written never become executable.
    for numbers in (_MMAP, _MPROTECT):
        program += when(numbers[column], argument(2), (_ANY_BIT, 0, 1, _PROT_EXEC), refuse, allow)
    # Threads, but no processes. clone3 hides its flags from filters; told that it is missing, libc takes clone.
    program += when(_CLONE[column], argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), refuse, allow)
    program += when(_CLONE3[column], answer(_ERRNO | errno.ENOSYS))
    # Descriptors may be copied and looked at. F_SETOWN and F_SETSIG would have the kernel send any signal to any
    # process of this user, and flags set on standard error would be the worker's, too.
    copying = [line for command in _FCNTL_ALLOWED for line in ((_EQUAL, 0, 1, command), allow)]
    program += when(_FCNTL[column], argument(1), *copying, refuse)
    # A thread may choose its core, and nobody else's.
    program += when(_SCHED_SETAFFINITY[column], argument(0), (_EQUAL, 1, 0, 0), refuse, allow)
    # Threads may be named.
    program += when(_PRCTL[column], argument(0), (_EQUAL, 1, 0, _PR_SET_NAME), refuse, allow)
    return [*program, refuse]
