"""Use the whole range from black to white."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, structs

from safelight.operations import Operation, Size
from safelight.pixels import full, luma, on_colours

if TYPE_CHECKING:
    import pyvips


class Normalize(Operation, frozen=True):
    """Stretch the tones so that the darkest become black and the lightest white. Hues stay: all channels are stretched
    alike, and all frames of an animation."""

    clip: Annotated[float, Meta(ge=0, le=49, extra={"unit": "%"})] = 1.0
    """How many of the darkest pixels, and as many of the lightest, may lose their differences."""

    def looks(self, before: Size) -> bool:
        """How dark and light it is, only the pixels can tell."""
        return True

    def settled(self, frames: "Sequence[pyvips.Image]", before: Size) -> "Operation":
        """The values that are to become black and white."""
        lights = [luma(frame[:-1] if frame.hasalpha() else frame).cast(frame.format) for frame in frames]
        counts = lights[0].hist_find()
        for light in lights[1:]:
            counts = counts + light.hist_find()
        running = counts.hist_cum()
        total = running(running.width - 1, 0)[0]
        low = (running > total * self.clip / 100).profile()[1](0, 0)[0]
        high = (running >= total * (1 - self.clip / 100)).profile()[1](0, 0)[0]
        said = structs.asdict(self)
        return _Stretch(**said, low=low, high=high)

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Stretch one picture by itself."""
        picture = picture.copy_memory()
        return self.settled([picture], before).draw(picture, before)


class _Stretch(Normalize, frozen=True, kw_only=True):
    """A decided `Normalize`: no operation of recipes, so not in the catalogue."""

    low: float
    """The value that becomes black."""

    high: float
    """The value that becomes white."""

    def looks(self, before: Size) -> bool:
        return False

    def settled(self, frames: "Sequence[pyvips.Image]", before: Size) -> "Operation":
        return self

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        if self.high <= self.low:
            return picture  # one tone all over has no range to be stretched
        slope = full(picture) / (self.high - self.low)
        return on_colours(picture, lambda colours: (colours - self.low) * slope)
