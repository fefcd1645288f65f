"""What can be done to a picture. One file in this folder is one operation, found by itself: there is no list to edit.

An operation is a frozen struct of its parameters and says what it does before any pixel is read:

    size(before)      the size of the picture that comes out
    shrink(before)    how much smaller the picture may come, if the details would be lost anyway
    edits(before)     the same as turns, marks and blocks, if that is all: then no path has to decode more than it must
    touches(before)   the regions that change, or None for all of the picture
    draw(picture)     the doing

Some have to see the picture first: where its margins end, what draws the eye. `looks` says so, and `settled` gives the
same operation with all of that decided, once for all frames.

What their parameters have in common is in `safelight.parameters`, and what their drawing has, in `safelight.pixels`.
Importing this package loads neither pyvips nor Pillow; drawing does.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, Self

import msgspec

from safelight.edits import Coarse, Edit, Layer, Mark, Region, Size, Turn

if TYPE_CHECKING:
    import pyvips

ORIGINAL: Final = "original"
"""What `use` names when it means the picture as it was uploaded."""

__all__ = [
    "ORIGINAL",
    "Coarse",
    "Edit",
    "Layer",
    "Mark",
    "Operation",
    "Region",
    "Size",
    "StepName",
    "Turn",
    "catalogue",
]

StepName = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$", title="a name of a-z, 0-9, - and _, 40 at most")
]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Operation(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag=_snake_case
):
    """The base of every operation. `op` in a recipe is the class's name in snake_case."""

    use: StepName = ORIGINAL
    """The step whose result this one works on; `original` is the picture as it was uploaded."""

    def size(self, before: Size) -> Size:
        """The size of the result."""
        return before

    def edits(self, before: Size) -> tuple[Edit, ...] | None:
        """All that is done, as turns, marks and blocks; None if it is more than that."""
        return None

    def looks(self, before: Size) -> bool:
        """Whether only the pixels can tell what is to be done. Then `size` is the most that can come of it."""
        return False

    def settled(self, frames: "Sequence[pyvips.Image]", before: Size) -> "Operation":
        """The same with that decided, for all frames alike. It reads them, so they must not be read once only."""
        return self

    def touches(self, before: Size) -> tuple[Region, ...] | None:
        """The regions whose pixels change; None if that is all of them."""
        edits = self.edits(before)
        if edits is None:
            return None
        regions = tuple(edit.region for edit in edits if not isinstance(edit, Turn))
        return regions if len(regions) == len(edits) else None

    def shrink(self, before: Size) -> float:
        """How many times smaller than `before` the picture may come in without a visible loss: 4 for a fourth.

        Whoever answers more than 1 must be able to draw a picture that is smaller than `before`, if its result is the
        size that it declares for `before`.
        """
        return 1.0

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Do it to one frame. An operation that is more than its edits does it here."""
        edits = self.edits(before)
        if edits is None:
            raise NotImplementedError
        for edit in edits:
            picture = edit.draw(picture)
        return picture

    def faults(self) -> Iterator[tuple[str, str]]:
        """What is wrong with the parameters that their types can not say: field, as recipes call it, and complaint."""
        yield from ()

    def anticipate(self, before: Size) -> None:
        """Compute and keep what `edits` will need for pictures of this size, if that is little memory and time."""

    @classmethod
    def prepare(cls) -> None:
        """Load whatever drawing needs: where pictures are rendered, no file can be opened any more."""

    @classmethod
    def name(cls) -> str:
        """What a recipe calls it."""
        return str(cls.__struct_config__.tag)

    def using(self, step: str) -> Self:
        """The same, working on another step's result."""
        return msgspec.structs.replace(self, use=step)


@cache
def catalogue() -> dict[str, type[Operation]]:
    """Every operation by its name, in alphabetical order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {cls.name(): cls for cls in sorted(Operation.__subclasses__(), key=lambda cls: cls.name())}
