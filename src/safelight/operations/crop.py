"""Cut a part out of a picture."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, structs

from safelight.operations import Operation, Size
from safelight.parameters import SOUGHT, Interest, Length, Percent, Room, pixels, place
from safelight.pixels import sought

if TYPE_CHECKING:
    import pyvips

Aspect = Annotated[
    str, Meta(pattern=r"^[1-9][0-9]{0,3}:[1-9][0-9]{0,3}$", title="proportions such as '16:9', in quotes")
]


class Crop(Operation, frozen=True):
    """Cut out a part and keep its pixels as they are.

    How much: `width` and `height`, or one of them and an `aspect`, or the most that has that `aspect`. Where: `left`
    and `top`, or a point (`x`, `y`) to keep in the middle, or a `gravity`. What reaches over the edge is moved inside.
    """

    width: Length | None = None
    """The width: pixels, or a percentage of the picture's width."""

    height: Length | None = None
    """The height: pixels, or a percentage of the picture's height."""

    aspect: Aspect | None = None
    """Width to height, such as `16:9`."""

    gravity: Interest = "center"
    """Which part is kept: a side or corner, what draws the eye (`attention`), or the most detail (`entropy`)."""

    x: Percent | None = None
    """The point to keep in the middle as far as that goes: a percentage of the picture's width, from the left."""

    y: Percent | None = None
    """The same of its height, from the top."""

    left: Room | None = None
    """Where the part begins: pixels, or a percentage of the picture's width."""

    top: Room | None = None
    """Where the part begins: pixels, or a percentage of the picture's height."""

    def faults(self) -> Iterator[tuple[str, str]]:
        """Too little or too much said about how much, and about where."""
        if self.width is None and self.height is None and self.aspect is None:
            yield "width", "expected a width, a height or an aspect, and none is given"
        if self.width is not None and self.height is not None and self.aspect is not None:
            yield "aspect", "width and height are both given, which leaves nothing for an aspect to say"
        for one, other in (("x", "y"), ("left", "top")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                missing = one if getattr(self, one) is None else other
                yield missing, f"{one} and {other} go together, and this one is missing"
        if self.x is not None and self.left is not None:
            yield "left", "expected either left and top or x and y, and both are given"
        if self.gravity != "center" and (self.x is not None or self.left is not None):
            yield "gravity", "expected one way to say where: left and top, x and y, or a gravity"

    def size(self, before: Size) -> Size:
        """The part's size, never more than the picture's."""
        return Size(*self._sides(before), before.orientation)

    def looks(self, before: Size) -> bool:
        """Which part draws the eye, only the pixels can tell."""
        return self.gravity in SOUGHT and self._sides(before) != (before.width, before.height)

    def settled(self, frames: "Sequence[pyvips.Image]", before: Size) -> "Crop":
        """The part is chosen in the first frame and kept in all others, so that an animation stands still."""
        if not self.looks(before):
            return self
        left, top = sought(frames[0], *self._sides(before), self.gravity)
        return structs.replace(self, gravity="center", left=left, top=top)

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Cut it out."""
        if self.looks(before):
            picture = picture.copy_memory()
            return self.settled([picture], before).draw(picture, before)
        sides = self._sides(before)
        return picture.crop(*self._corner(before, sides), *sides)

    def _sides(self, before: Size) -> tuple[int, int]:
        width = before.width if self.width is None else pixels(self.width, before.width)
        height = before.height if self.height is None else pixels(self.height, before.height)
        if self.aspect is not None:
            across, down = (int(side) for side in self.aspect.split(":"))
            room = (min(width, before.width), min(height, before.height))
            factor = min(room[0] / across, room[1] / down)
            width, height = across * factor, down * factor
        return min(before.width, max(1, round(width))), min(before.height, max(1, round(height)))

    def _corner(self, before: Size, sides: tuple[int, int]) -> tuple[int, int]:
        if self.left is not None and self.top is not None:
            left, top = pixels(self.left, before.width), pixels(self.top, before.height)
        elif self.x is not None and self.y is not None:
            left = pixels(self.x, before.width) - sides[0] / 2
            top = pixels(self.y, before.height) - sides[1] / 2
        else:
            left, top = place(self.gravity, (before.width, before.height), sides)
        return (
            max(0, min(round(left), before.width - sides[0])),
            max(0, min(round(top), before.height - sides[1])),
        )
