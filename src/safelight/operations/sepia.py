"""Give a picture the brown of old prints."""

from typing import TYPE_CHECKING, Final

from safelight.operations import Operation, Size
from safelight.parameters import Part
from safelight.pixels import mixed

if TYPE_CHECKING:
    import pyvips

BROWN: Final = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
"""Filter Effects Module Level 1, 13.1.2."""


class Sepia(Operation, frozen=True):
    """Give the picture the brown of old prints, as CSS does."""

    amount: Part = 1.0
    """From 0, as it was, to 1, brown altogether."""

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Mix the channels."""
        return mixed(
            picture,
            [
                [
                    self.amount * value + (1 - self.amount) * (row == column)
                    for column, value in enumerate(brown)
                ]
                for row, brown in enumerate(BROWN)
            ],
        )
