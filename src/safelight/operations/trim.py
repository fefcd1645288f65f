"""Cut off a picture's plain margins."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, structs

from safelight.operations import Operation, Region, Size
from safelight.parameters import Colour
from safelight.pixels import fit_for, full, ink

if TYPE_CHECKING:
    import pyvips


class Trim(Operation, frozen=True):
    """Cut off the margins that have the background's colour. A picture that is nothing but background stays as it is.

    How much is left, nobody knows before the picture is seen; of an animation, what any frame needs.
    """

    threshold: Annotated[int, Meta(ge=0, le=255)] = 10
    """How far a channel may be from the background's, of 255 levels, to be still background."""

    background: Colour | None = None
    """The margins' colour in sRGB; if none is given, that of the upper left pixel."""

    def looks(self, before: Size) -> bool:
        """Where the margins end, only the pixels can tell."""
        return True

    def settled(self, frames: "Sequence[pyvips.Image]", before: Size) -> "Operation":
        """The rectangle that holds what is not background in any of the frames."""
        found = [self._edges(frame) for frame in frames]
        edges = [one for one in found if one]
        if not edges:
            return _Trimmed(**structs.asdict(self), kept=Region(0, 0, before.width, before.height))
        left, top = min(edge[0] for edge in edges), min(edge[1] for edge in edges)
        right, bottom = max(edge[2] for edge in edges), max(edge[3] for edge in edges)
        return _Trimmed(**structs.asdict(self), kept=Region(left, top, right - left, bottom - top))

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Trim one picture by itself."""
        picture = picture.copy_memory()
        return self.settled([picture], before).draw(picture, before)

    def _edges(self, picture: "pyvips.Image") -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom of what is not background."""
        if self.background is None:
            ground = picture(0, 0)
        else:
            picture = fit_for(picture, self.background)
            ground = ink(picture, self.background)
        if picture.hasalpha():  # colours count as much as they are seen
            ground = [*(value * ground[-1] / full(picture) for value in ground[:-1]), ground[-1]]
            other = (picture.premultiply() - ground).abs()
        else:
            other = (picture - ground).abs()
        across, down = (other > self.threshold * full(picture) / 255).bandor().project()
        columns = [at for at, count in enumerate(across.tolist()[0]) if count]
        rows = [at for at, (count,) in enumerate(down.tolist()) if count]
        return (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if columns else None


class _Trimmed(Trim, frozen=True, kw_only=True):
    """A decided `Trim`: no operation of recipes, so not in the catalogue."""

    kept: Region

    def size(self, before: Size) -> Size:
        return Size(self.kept.width, self.kept.height, before.orientation)

    def looks(self, before: Size) -> bool:
        return False

    def settled(self, frames: "Sequence[pyvips.Image]", before: Size) -> "Operation":
        return self

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        return picture.crop(self.kept.left, self.kept.top, self.kept.width, self.kept.height)
