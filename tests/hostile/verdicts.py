"""How a hostile file may end: COMPLETED with a clean output, or FAILED with one of these codes."""

from collections.abc import Callable
from typing import Final

DONE: Final = "COMPLETED"

BROKEN: Final = frozenset({"truncated", "unprocessable"})
"""Damage: which of the two is said depends on the decoder."""


class File:
    """A hostile file, made when it is needed, and all the ways in which its job may end."""

    def __init__(self, make: Callable[[], bytes], *ends: str) -> None:
        self.make = make
        self.ends = frozenset(ends)


CODES = {
    "truncated",
    "unprocessable",
    "type_not_allowed",
    "too_many_pixels",
    "too_many_frames",
    "too_many_scans",
    "too_much_metadata",
}
"""What a broken file may be refused with."""

NOT_PROVED = {"render_timed_out", "render_crashed", "output_too_large"}
"""Nothing proves the file guilty, and it is tried once more: an exhausted memory, say. A few may."""
