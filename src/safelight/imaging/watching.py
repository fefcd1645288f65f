"""What a drawing took, step by step, for people who want to know: see `safelight render --explain`.

Unwatched, pictures stream through several steps at once, and no step has a time of its own. Watched, each step's
picture is computed whole and kept, so that its time and its memory can be told; the outputs are the same. Loads no
codec.
"""

import resource
import sys
from typing import Final

import msgspec

UNIT: Final = 1 if sys.platform == "darwin" else 1024
"""What the system counts memory in: bytes on macOS, kilobytes elsewhere."""


class Node(msgspec.Struct, frozen=True):
    """One thing that was done: a decoding, a step, a file. `bytes` is what its pixels, or its file, take."""

    name: str
    does: str
    of: str | None
    width: int
    height: int
    seconds: float
    bytes: int


class Trace(msgspec.Struct, frozen=True):
    """The way a drawing took, why not a shorter one, what was done, and the most memory that the process held."""

    way: str
    reasons: tuple[str, ...]
    nodes: tuple[Node, ...]
    peak: int


class Watch:
    """Takes notes of one drawing."""

    def __init__(self) -> None:
        self.way = "pixels"
        self.reasons: list[str] = []
        self.nodes: list[Node] = []

    def trace(self) -> Trace:
        """What was noted."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
        return Trace(self.way, tuple(self.reasons), tuple(self.nodes), peak)
