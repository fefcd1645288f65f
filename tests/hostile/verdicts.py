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
