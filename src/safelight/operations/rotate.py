"""Turn a picture by any angle."""

import math
from typing import TYPE_CHECKING, Final

from safelight.operations import Edit, Operation, Size, Turn
from safelight.parameters import Colour, Degrees
from safelight.pixels import fit_for, full, ink, restored

if TYPE_CHECKING:
    import pyvips

QUARTERS: Final = {90: Turn(6), 180: Turn(3), 270: Turn(8)}
"""What a camera held that way is set upright by is the same turn."""


class Rotate(Operation, frozen=True):
    """Turn the picture clockwise.

    By multiples of 90 degrees not a pixel is changed; by any other angle the picture grows until all of it is in.
    """

    angle: Degrees
    """How far, clockwise; negative is the other way."""

    background: Colour = "transparent"
    """What fills the corners; transparent is white where the format has no transparency."""

    def size(self, before: Size) -> Size:
        """The upright rectangle that holds all of the turned picture."""
        turned = self._turned()
        if turned % 90 == 0:
            sides = (before.width, before.height) if turned in (0, 180) else (before.height, before.width)
            return Size(*sides, before.orientation)
        sine, cosine = abs(math.sin(math.radians(turned))), abs(math.cos(math.radians(turned)))
        width = before.width * cosine + before.height * sine
        height = before.width * sine + before.height * cosine
        return Size(math.ceil(width - 1e-6), math.ceil(height - 1e-6), before.orientation)

    def edits(self, before: Size) -> tuple[Edit, ...] | None:
        """Quarter turns are turns."""
        turned = self._turned()
        if turned == 0:
            return ()
        return (QUARTERS[int(turned)],) if turned % 90 == 0 else None

    def _turned(self) -> float:
        return self.angle % 360 % 360  # what is just below 0 is 360.0 after the first

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Turn it."""
        if self.edits(before) is not None:
            return super().draw(picture, before)
        import pyvips

        after = self.size(before)
        sine, cosine = math.sin(math.radians(self.angle)), math.cos(math.radians(self.angle))
        picture = fit_for(picture.copy_memory(), self.background)
        colour = ink(picture, self.background)
        if picture.hasalpha():
            colour = [*(value * colour[-1] / full(picture) for value in colour[:-1]), colour[-1]]
        # Pixels turn around the middle: between the centres of the outermost.
        turned = (picture.premultiply() if picture.hasalpha() else picture).affine(
            [cosine, -sine, sine, cosine],
            interpolate=pyvips.Interpolate.new("bicubic"),
            idx=-(before.width - 1) / 2,
            idy=-(before.height - 1) / 2,
            odx=(after.width - 1) / 2,
            ody=(after.height - 1) / 2,
            oarea=[0, 0, after.width, after.height],
            extend="background",
            background=colour,
            premultiplied=True,
        )
        return restored(turned.unpremultiply() if picture.hasalpha() else turned, picture)
