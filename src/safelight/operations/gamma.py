"""Lighten or darken the middle tones."""

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from safelight.operations import Operation, Size
from safelight.pixels import full, on_colours

if TYPE_CHECKING:
    import pyvips


class Gamma(Operation, frozen=True):
    """Lighten or darken the middle tones; black and white stay."""

    exponent: Annotated[float, Meta(ge=0.1, le=10)] = 1.5
    """1 is as it was; more is lighter, less is darker: values from 0 to 1 are raised to the power of 1 / `exponent`."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Look each value up."""
        import pyvips

        top = full(picture)
        curve = (pyvips.Image.identity(ushort=top > 255) / top) ** (1 / self.exponent) * top
        table = curve.rint().cast(picture.format)
        return on_colours(picture, lambda colours: colours.maplut(table))
