"""Change the contrast."""

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from safelight.operations import Operation, Size
from safelight.pixels import full, on_colours

if TYPE_CHECKING:
    import pyvips


class Contrast(Operation, frozen=True):
    """Spread the values around the middle grey, or draw them together, as CSS does."""

    amount: Annotated[float, Meta(ge=0, le=10, extra={"unit": "×"})] = 1.2
    """How much: 0 is grey all over, 1 as it was, 2 twice the contrast."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """A line through the middle."""
        middle = full(picture) / 2
        return on_colours(picture, lambda colours: colours * self.amount + middle * (1 - self.amount))
