"""Give a picture one colour."""

from typing import TYPE_CHECKING

from safelight.operations import Operation, Size
from safelight.parameters import Ink, Part, rgba
from safelight.pixels import LUMA, coloured, full, luma, on_colours

if TYPE_CHECKING:
    import pyvips


class Tint(Operation, frozen=True):
    """Give the picture one colour and keep its lights: black stays black, white stays white, what lies between takes on
    the colour."""

    colour: Ink
    """The colour in sRGB."""

    amount: Part = 1.0
    """From 0, as it was, to 1, the one colour altogether."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Lead from black over the colour, at its own lightness, to white."""
        colour = [value / 255 for value in rgba(self.colour)[:3]]
        middle = sum(weight * value for weight, value in zip(LUMA, colour, strict=True))

        def work(colours: "pyvips.Image") -> "pyvips.Image":
            top = full(colours)
            light = luma(colours) / top
            dark = (light < middle).ifthenelse(light / max(middle, 1e-9), 1)
            bright = (light > middle).ifthenelse((light - middle) / max(1 - middle, 1e-9), 0)
            bands = [dark * value + bright * (1 - value) for value in colour]
            toned = bands[0].bandjoin(bands[1:]) * top
            return toned if self.amount == 1 else toned * self.amount + colours * (1 - self.amount)

        return on_colours(coloured(picture), work)
