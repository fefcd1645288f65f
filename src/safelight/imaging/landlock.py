"""Landlock: a process gives up every file, TCP port and signal for good, whatever its system calls could still reach.

The second fence behind the filter of `confine`: a call that slips through the filter finds a kernel that opens nothing
for it. It also ends reading other processes' `/proc` and tracing them, even for root. Descriptors that are open stay
of use. In Linux from 5.13 on; the kernel says which of its versions it has, and each one gives up a little more.
"""

import ctypes
import os
import struct
import sys
from functools import cache
from typing import Final

_CREATE_RULESET: Final = 444  # the same numbers on every machine
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1

_FILES: Final = {1: 13, 2: 14, 3: 15, 5: 16}
"""Version → how many rights over files it knows, each a bit: reading, writing, making, removing, renaming ..."""

_PORTS: Final = 0b11
"""Binding and connecting TCP, from version 4 on."""

_SCOPES: Final = 0b11
"""Abstract sockets and signals beyond this process, from version 6 on."""


def version() -> int:
    """Which Landlock this kernel has; 0 where there is none, or it is switched off."""
    return max(0, _call(_CREATE_RULESET, None, 0, _VERSION)) if sys.platform == "linux" else 0


@cache
def rights() -> bytes:
    """All that this kernel's Landlock can take away: `struct landlock_ruleset_attr`; empty where there is none."""
    known = version()
    if known < 1:
        return b""
    files = (1 << max(count for since, count in _FILES.items() if since <= known)) - 1
    attributes = [files] + [_PORTS] * (known >= 4) + [_SCOPES] * (known >= 6)
    return struct.pack(f"{len(attributes)}Q", *attributes)


def give_up() -> bool:
    """Give up all of `rights` for this thread and its future ones. Return whether that holds. Needs no_new_privs."""
    taken = rights()
    if not taken:
        return False
    rules = _call(_CREATE_RULESET, taken, len(taken), 0)  # without one rule: there are no exceptions
    if rules < 0:
        return False
    try:
        return _call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def _call(number: int, *arguments: bytes | int | None) -> int:
    words = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments]
    return int(ctypes.CDLL(None).syscall(ctypes.c_long(number), *words))
