"""Sharpen a picture."""

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from safelight.operations import Operation, Size
from safelight.pixels import on_colours, on_premultiplied

if TYPE_CHECKING:
    import pyvips


class Sharpen(Operation, frozen=True):
    """Sharpen the picture with an unsharp mask: what a blurred copy lacks is added once more."""

    sigma: Annotated[float, Meta(ge=0.3, le=10, extra={"unit": "px"})] = 1.0
    """How wide the edges are that become sharper: the standard deviation of the blurred copy's Gaussian."""

    amount: Annotated[float, Meta(ge=0, le=5, extra={"unit": "×"})] = 0.8
    """How much is added."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Add the difference to the blurred copy. The picture is read twice."""
        picture = picture.copy_memory()
        soft = on_premultiplied(picture, lambda pixels: pixels.gaussblur(self.sigma, min_ampl=0.05))
        if picture.hasalpha():
            soft = soft[:-1]
        return on_colours(picture, lambda colours: colours * (1 + self.amount) - soft * self.amount)
