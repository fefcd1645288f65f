"""What a renderer's jobs have in common: from those that came before, a child for the next can be got ready."""

from functools import cached_property
from typing import Final

from safelight.config import Settings
from safelight.imaging import wire
from safelight.imaging.drawing import Drawing
from safelight.recipes import Book, canonical

SEEN: Final = 64
"""How many pairs of recipe and size a renderer remembers."""


class Habits:
    """What jobs have in common: from one that came before, the next can be got ready."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[wire.Ahead, None] = {}

    def after(self, recipe: bytes, drawing: Drawing) -> wire.Ahead | None:
        """What to expect after a job: the same, if that has come twice, and the recipe is one of the operator's.

        A caller's own recipe is not kept where others' children are forked from.
        """
        ahead = wire.Ahead(recipe, drawing.source.width, drawing.source.height)
        if ahead not in self._seen:
            if recipe in self._named:
                self._seen[ahead] = None
                if len(self._seen) > SEEN:
                    del self._seen[next(iter(self._seen))]
            return None
        return ahead

    @cached_property
    def _named(self) -> frozenset[bytes]:
        book = Book(self._settings)
        return frozenset(canonical(book.get(name)) for name in book.names())
