"""Take the colour out of a picture."""

from typing import TYPE_CHECKING

from safelight.operations import Operation, Size
from safelight.pixels import LUMA, mixed

if TYPE_CHECKING:
    import pyvips


class Grayscale(Operation, frozen=True):
    """Take the colour out and keep how light things look (Rec. 709), as CSS does.

    The file stays one of colours, so that its colour profile keeps fitting.
    """

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Give each channel the same."""
        return picture if picture.bands < 3 else mixed(picture, [LUMA] * 3)
