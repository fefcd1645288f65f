"""Put space around a picture."""

from typing import TYPE_CHECKING

from safelight.operations import Operation, Size
from safelight.parameters import Colour, Room, pixels
from safelight.pixels import fit_for, ink

if TYPE_CHECKING:
    import pyvips


class Pad(Operation, frozen=True):
    """Put space around the picture; percentages are of its shorter side."""

    space: Room = "5%"
    """How much on each side that is not named: pixels, or a percentage of the picture's shorter side."""

    top: Room | None = None
    """How much above, if not `space`."""

    right: Room | None = None
    """How much on the right, if not `space`."""

    bottom: Room | None = None
    """How much below, if not `space`."""

    left: Room | None = None
    """How much on the left, if not `space`."""

    background: Colour = "transparent"
    """What the space is filled with; transparent is white where the format has no transparency."""

    def size(self, before: Size) -> Size:
        """The picture and the space."""
        top, right, bottom, left = self._sides(before)
        return Size(before.width + left + right, before.height + top + bottom, before.orientation)

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Put it in the middle of something larger."""
        after = self.size(before)
        if after == before:
            return picture
        top, _, _, left = self._sides(before)
        picture = fit_for(picture, self.background)
        colour = ink(picture, self.background)
        return picture.embed(left, top, after.width, after.height, extend="background", background=colour)

    def _sides(self, before: Size) -> list[int]:
        shorter = min(before.width, before.height)
        given = (self.top, self.right, self.bottom, self.left)
        return [round(pixels(self.space if side is None else side, shorter)) for side in given]
