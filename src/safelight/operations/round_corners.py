"""Round a picture's corners."""

from typing import TYPE_CHECKING

from safelight.operations import Operation, Size
from safelight.parameters import Length, pixels
from safelight.pixels import restored, with_alpha

if TYPE_CHECKING:
    import pyvips


class RoundCorners(Operation, frozen=True):
    """Round the corners: what is cut off becomes transparent, or white where the format has no transparency.

    With a `flatten` behind it, it becomes any colour.
    """

    radius: Length = "10%"
    """The corners' radius: pixels, or a percentage of the picture's shorter side. Half of that side, which `50%` is,
    makes a circle of a square, and it is not more."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Multiply the alpha by how much of each pixel is inside."""
        shorter = min(before.width, before.height)
        radius = min(pixels(self.radius, shorter), shorter / 2)
        picture = with_alpha(picture)
        alpha = restored(picture[-1] * _inside(before.width, before.height, radius), picture[-1])
        return picture[:-1].bandjoin(alpha).copy(interpretation=picture.interpretation)


def _inside(width: int, height: int, radius: float) -> "pyvips.Image":
    """How much of each pixel lies inside, 0 to 1: by its distance from the middle of the nearest corner's circle."""
    import pyvips

    place = pyvips.Image.xyz(width, height) + 0.5
    # How far beyond the circles' middles a pixel lies, across and down; negative is between them.
    beyond = (place - [width / 2, height / 2]).abs() - [width / 2 - radius, height / 2 - radius]
    beyond = (beyond > 0).ifthenelse(beyond, 0)
    distance = (beyond[0] ** 2 + beyond[1] ** 2) ** 0.5
    inside = distance * -1 + (radius + 0.5)
    inside = (inside > 1).ifthenelse(1, inside)
    return (inside > 0).ifthenelse(inside, 0)
