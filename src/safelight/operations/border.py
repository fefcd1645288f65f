"""Draw a border around a picture."""

from typing import TYPE_CHECKING

from safelight.operations import Operation, Size
from safelight.parameters import Colour, Length, pixels
from safelight.pixels import fit_for, ink

if TYPE_CHECKING:
    import pyvips


class Border(Operation, frozen=True):
    """Draw a border around the picture, which becomes larger by it: nothing is covered."""

    width: Length = "2%"
    """How wide: pixels, or a percentage of the picture's shorter side (then at least a pixel)."""

    colour: Colour = "black"
    """The border's colour in sRGB."""

    def size(self, before: Size) -> Size:
        """The picture and the border on both sides."""
        width = self._width(before)
        return Size(before.width + 2 * width, before.height + 2 * width, before.orientation)

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Put it on a plate of the colour."""
        width, after = self._width(before), self.size(before)
        picture = fit_for(picture, self.colour)
        colour = ink(picture, self.colour)
        return picture.embed(width, width, after.width, after.height, extend="background", background=colour)

    def _width(self, before: Size) -> int:
        return max(1, round(pixels(self.width, min(before.width, before.height))))
