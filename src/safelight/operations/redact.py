"""Black out what nobody may see."""

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from safelight.edits import MOST, area
from safelight.operations import Edit, Layer, Mark, Operation, Region, Size
from safelight.parameters import Area, Ink, rgba
from safelight.pixels import fit_for, ink

if TYPE_CHECKING:
    import pyvips

Areas = Annotated[
    tuple[Area, ...],
    Meta(
        min_length=1,
        max_length=100,
        title="1 to 100 areas such as {left: 10%, top: 5%, width: 120, height: 40}",
    ),
]


class Redact(Operation, frozen=True):
    """Cover areas with one colour. Nothing of what was there is left, whatever the format.

    Areas are rounded outwards, and clipped where they reach over the edge.
    """

    regions: Areas
    """What is covered: `left`, `top`, `width` and `height` of each area, in pixels or in percentages of the picture's
    width and height."""

    colour: Ink = "black"
    """What they are covered with; it can not be transparent."""

    def touches(self, before: Size) -> tuple[Region, ...]:
        """The areas."""
        found = (area.within(before.width, before.height) for area in self.regions)
        return tuple(Region(*one) for one in found if one)

    def edits(self, before: Size) -> tuple[Edit, ...] | None:
        """Marks that let nothing through, unless that were so many pixels that covering them by rows takes less."""
        regions = self.touches(before)
        if area(regions) > MOST:
            return None
        red, green, blue, _ = rgba(self.colour)
        return tuple(
            Mark(where, (Layer((red, green, blue), b"\xff" * (where.width * where.height)),))
            for where in regions
        )

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Put rectangles of the colour in place of the pixels, their alpha included."""
        picture = fit_for(picture, self.colour)
        colour = ink(picture, self.colour)
        for where in self.touches(before):
            plate = picture.new_from_image(colour).crop(0, 0, where.width, where.height)
            picture = picture.insert(plate.cast(picture.format), where.left, where.top)
        return picture
