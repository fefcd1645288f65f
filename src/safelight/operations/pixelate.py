"""Turn a picture, or parts of it, into coarse blocks."""

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from safelight.operations import Operation, Region, Size
from safelight.parameters import Area, Percent, pixels
from safelight.pixels import on_premultiplied

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

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Shrink each area to a pixel a block and magnify that again, from its own corner."""
        side = max(SMALLEST, round(pixels(self.block, min(before.width, before.height))))
        picture = picture.copy_memory()  # a block is read whole before its first row is written
        for where in self.touches(before):
            part = picture.crop(where.left, where.top, where.width, where.height)
            picture = picture.insert(_coarse(part, side), where.left, where.top)
        return picture


def _coarse(part: "pyvips.Image", side: int) -> "pyvips.Image":
    columns, rows = -(-part.width // side), -(-part.height // side)
    whole = part.embed(0, 0, columns * side, rows * side, extend="copy")
    small = on_premultiplied(whole, lambda pixels: pixels.shrink(side, side))
    return small.zoom(side, side).crop(0, 0, part.width, part.height)
