"""Turn a picture, or parts of it, into coarse blocks."""

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from safelight.edits import MOST, area
from safelight.operations import Coarse, Edit, Operation, Region, Size
from safelight.parameters import Area, Percent, pixels

if TYPE_CHECKING:
    import pyvips

SMALLEST: Final = 2
"""The smallest block: one of a single pixel would hide nothing."""


class Pixelate(Operation, frozen=True):
    """Make the picture, or parts of it, unrecognisable: each block gets its mean colour and nothing else of it is left.

    Blocks still show light and shade, from which short texts can be guessed: number plates and names belong under
    `redact`.
    """

    regions: Annotated[
        tuple[Area, ...],
        Meta(max_length=100, title="up to 100 areas such as {left: 10%, top: 5%, width: 120, height: 40}"),
    ] = ()
    """Which parts: `left`, `top`, `width` and `height` of each, in pixels or in percentages of the picture's width and
    height, rounded outwards; all of the picture if none is given."""

    block: Annotated[int, Meta(ge=SMALLEST, le=1000, extra={"unit": "px"})] | Percent = "5%"
    """The side of a block: pixels, or a percentage of the picture's shorter side (then at least 2 pixels)."""

    def touches(self, before: Size) -> tuple[Region, ...]:
        """The areas, or all of the picture."""
        if not self.regions:
            return (Region(0, 0, before.width, before.height),)
        found = (area.within(before.width, before.height) for area in self.regions)
        return tuple(Region(*one) for one in found if one)

    def edits(self, before: Size) -> tuple[Edit, ...] | None:
        """The areas in blocks, unless they are so large that decoding all of the picture is not much more."""
        if area(self.touches(before)) > min(MOST, before.width * before.height // 2):
            return None
        return self._coarse(before)

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Put blocks in place of the areas, one area after the other."""
        picture = picture.copy_memory()
        for edit in self._coarse(before):
            picture = edit.draw(picture)
        return picture

    def _coarse(self, before: Size) -> tuple[Coarse, ...]:
        side = max(SMALLEST, round(pixels(self.block, min(before.width, before.height))))
        return tuple(Coarse(where, side) for where in self.touches(before))
