"""Put a picture on a background."""

from typing import TYPE_CHECKING

from safelight.operations import Operation, Size
from safelight.parameters import Ink
from safelight.pixels import fit_for, ink

if TYPE_CHECKING:
    import pyvips


class Flatten(Operation, frozen=True):
    """Put the picture on a background: afterwards nothing is transparent. An opaque picture stays as it is.

    Without it, formats that have no transparency get white.
    """

    background: Ink = "white"
    """What shows through, in sRGB; it can not be transparent itself."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Blend by the alpha and drop it."""
        if not picture.hasalpha():
            return picture
        picture = fit_for(picture, self.background)
        return picture.flatten(background=ink(picture, self.background)[:-1])
