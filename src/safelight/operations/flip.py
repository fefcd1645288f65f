"""Mirror a picture."""

from typing import Literal

from safelight.operations import Edit, Operation, Size, Turn


class Flip(Operation, frozen=True):
    """Mirror the picture. Not a pixel is changed."""

    direction: Literal["horizontal", "vertical"] = "horizontal"
    """`horizontal` changes left and right, `vertical` top and bottom."""

    def edits(self, before: Size) -> tuple[Edit, ...]:
        """One turn, as a mirrored photo is set upright."""
        return (Turn(2 if self.direction == "horizontal" else 4),)
