"""Change brightness, saturation and hue."""

import math
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from safelight.operations import Operation, Size
from safelight.parameters import Degrees
from safelight.pixels import mixed

if TYPE_CHECKING:
    import pyvips

Factor = Annotated[float, Meta(ge=0, le=10, extra={"unit": "×"})]


class Modulate(Operation, frozen=True):
    """Change brightness, saturation and hue, as the CSS filters of these names do."""

    brightness: Factor = 1.0
    """How bright: 0 is black, 1 as it was, 2 twice the values."""

    saturation: Factor = 1.0
    """How colourful: 0 is grey, 1 as it was."""

    hue: Degrees = 0.0
    """How far all colours are moved around the colour wheel."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """All three are one matrix. Grey has neither saturation nor hue."""
        if picture.bands < 3 and self.saturation == 1 and self.hue == 0:
            grey = picture.linear([self.brightness] + [1] * (picture.bands - 1), [0] * picture.bands)
            return grey.rint().cast(picture.format).copy(interpretation=picture.interpretation)
        turned = _times(_hue(self.hue), _saturation(self.saturation))
        return mixed(picture, [[value * self.brightness for value in row] for row in turned])


def _saturation(amount: float) -> list[list[float]]:
    """Filter Effects Module Level 1, 9.6: feColorMatrix, saturate."""
    light = (0.213, 0.715, 0.072)
    return [
        [(1 - amount) * weight + amount * (row == column) for column, weight in enumerate(light)]
        for row in range(3)
    ]


def _hue(degrees: float) -> list[list[float]]:
    """Filter Effects Module Level 1, 9.6: feColorMatrix, hueRotate."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    light = (0.213, 0.715, 0.072)
    across = ((-0.213, -0.715, 0.928), (0.143, 0.140, -0.283), (-0.787, 0.715, 0.072))
    return [
        [
            weight + cosine * ((row == column) - weight) + sine * across[row][column]
            for column, weight in enumerate(light)
        ]
        for row in range(3)
    ]


def _times(left: list[list[float]], right: list[list[float]]) -> list[list[float]]:
    return [
        [sum(left[row][at] * right[at][column] for at in range(3)) for column in range(3)] for row in range(3)
    ]
