"""Blur a picture."""

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from safelight.operations import Operation, Size
from safelight.pixels import on_premultiplied

if TYPE_CHECKING:
    import pyvips


class Blur(Operation, frozen=True):
    """Blur the picture with a Gaussian. What is blurred can often be guessed: to hide something, use `redact`."""

    sigma: Annotated[float, Meta(ge=0.3, le=100, extra={"unit": "px"})] = 3.0
    """How far: the Gaussian's standard deviation."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Blur it."""
        return on_premultiplied(picture, lambda pixels: pixels.gaussblur(self.sigma, min_ampl=0.05))
