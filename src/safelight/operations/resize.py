"""Make a picture smaller, or larger if that is asked for."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import structs

from safelight.operations import Operation, Size
from safelight.parameters import SOUGHT, Colour, Interest, Length, Percent, pixels, place
from safelight.pixels import fit_for, ink, on_premultiplied, restored, sought

if TYPE_CHECKING:
    import pyvips


class Plan(NamedTuple):
    """What a picture is scaled to, and the size of the result: cut out of that, or with space around it."""

    scaled: tuple[int, int]
    result: tuple[int, int]


class Resize(Operation, frozen=True):
    """Resize the picture; with one side given, the other follows.

    Pictures are never enlarged unless `enlarge` says so: those that are smaller stay as they are with `inside` and
    `outside`; `cover` then gives less, in the proportions asked for, and `contain` more space around.
    """

    width: Length | None = None
    """The width: pixels, or a percentage of the picture's width."""

    height: Length | None = None
    """The height: pixels, or a percentage of the picture's height."""

    fit: Literal["inside", "cover", "contain", "fill", "outside"] = "inside"
    """What to do where the proportions differ: stay within both sides, fill both and cut off what is over, fill up with
    the background, distort, or be at least as large as both."""

    enlarge: bool = False
    """Whether a picture may become larger than it is."""

    kernel: Literal["lanczos3", "cubic", "linear", "nearest", "mitchell"] = "lanczos3"
    """How pixels are computed: `lanczos3` is sharpest, `mitchell` softest, `nearest` keeps pixels as they are."""

    gravity: Interest = "center"
    """Which part `cover` keeps, and where `contain` puts the picture; `attention` and `entropy` are for `cover`."""

    x: Percent | None = None
    """The point that `cover` keeps in the middle as far as it can, from the left; instead of a gravity."""

    y: Percent | None = None
    """The same from the top."""

    background: Colour = "transparent"
    """What `contain` fills up with; transparent is white where the format has no transparency."""

    def faults(self) -> Iterator[tuple[str, str]]:
        """No side at all, and what does not belong together."""
        if self.width is None and self.height is None:
            yield "width", "expected a width, a height or both, and neither is given"
        if self.gravity in SOUGHT and self.fit != "cover":
            yield "gravity", f"{self.gravity} is for fit: cover, and this is fit: {self.fit}"
        if (self.x is None) != (self.y is None):
            yield ("y" if self.y is None else "x"), "x and y go together, and this one is missing"
        if self.x is not None and self.fit != "cover":
            yield "x", f"x and y are for fit: cover, and this is fit: {self.fit}"
        if self.x is not None and self.gravity != "center":
            yield "x", f"expected either x and y or a gravity, and gravity is {self.gravity}"

    def size(self, before: Size) -> Size:
        """What the fit makes of the sides given."""
        return Size(*self._plan(before).result, before.orientation)

    def shrink(self, before: Size) -> float:
        """As far as it will be scaled down anyway; not where pixels are to be kept as they are."""
        if self.kernel == "nearest":
            return 1.0
        width, height = self._plan(before).scaled
        return max(1.0, min(before.width / width, before.height / height))

    def looks(self, before: Size) -> bool:
        """Which part draws the eye, only the pixels can tell."""
        plan = self._plan(before)
        return self.gravity in SOUGHT and plan.scaled != plan.result

    def settled(self, frames: "Sequence[pyvips.Image]", before: Size) -> "Resize":
        """The part is chosen in the first frame and kept in all others, so that an animation stands still."""
        if not self.looks(before):
            return self
        scaled, result = self._plan(before)
        left, top = sought(_scaled(frames[0], scaled, self.kernel).copy_memory(), *result, self.gravity)
        x, y = (left + result[0] / 2) / scaled[0], (top + result[1] / 2) / scaled[1]
        return structs.replace(self, gravity="center", x=f"{100 * x:.3f}%", y=f"{100 * y:.3f}%")

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Scale, then cut or fill up. The picture may come smaller than `before`."""
        if self.looks(before):
            picture = picture.copy_memory()
            return self.settled([picture], before).draw(picture, before)
        scaled, result = self._plan(before)
        picture = _scaled(picture, scaled, self.kernel)
        if scaled == result:
            return picture
        if self.fit == "cover":
            return picture.crop(*self._corner(scaled, result), *result)
        picture = fit_for(picture, self.background)
        left, top = place(self.gravity, result, scaled)
        return picture.embed(
            left, top, *result, extend="background", background=ink(picture, self.background)
        )

    def _plan(self, before: Size) -> Plan:
        whole = (before.width, before.height)
        asked = [
            None if length is None else max(1, round(pixels(length, side)))
            for length, side in zip((self.width, self.height), whole, strict=True)
        ]
        factors = [wanted / side for wanted, side in zip(asked, whole, strict=True) if wanted is not None]
        most = float("inf") if self.enlarge else 1.0
        box = (
            _side(asked[0], before.width * factors[0]),
            _side(asked[1], before.height * factors[-1]),
        )
        if None in asked or self.fit in ("inside", "outside"):
            factor = min(most, max(factors) if self.fit == "outside" else min(factors))
            sides = _times(whole, factor)
            return Plan(sides, sides)
        if self.fit == "fill":
            sides = box if self.enlarge else (min(box[0], before.width), min(box[1], before.height))
            return Plan(sides, sides)
        if self.fit == "contain":
            return Plan(_times(whole, min(most, *factors)), box)
        factor = max(factors)
        if factor > most:
            return Plan(whole, _times((box[0], box[1]), most / factor, whole))
        scaled = _times(whole, factor)
        return Plan((max(scaled[0], box[0]), max(scaled[1], box[1])), box)

    def _corner(self, scaled: tuple[int, int], result: tuple[int, int]) -> tuple[int, int]:
        if self.x is None or self.y is None:
            return place(self.gravity, scaled, result)
        left = round(pixels(self.x, scaled[0]) - result[0] / 2)
        top = round(pixels(self.y, scaled[1]) - result[1] / 2)
        return max(0, min(left, scaled[0] - result[0])), max(0, min(top, scaled[1] - result[1]))


def _side(asked: int | None, otherwise: float) -> int:
    return max(1, round(otherwise)) if asked is None else asked


def _times(sides: tuple[int, int], factor: float, most: tuple[int, int] | None = None) -> tuple[int, int]:
    width, height = (max(1, round(side * factor)) for side in sides)
    return (min(width, most[0]), min(height, most[1])) if most else (width, height)


def _scaled(picture: "pyvips.Image", sides: tuple[int, int], kernel: str) -> "pyvips.Image":
    """The picture at exactly this size."""
    across, down = sides[0] / picture.width, sides[1] / picture.height
    if across == down == 1:
        return picture

    def resized(pixels: "pyvips.Image") -> "pyvips.Image":
        # Multiplied by alpha they are floating-point, which is scaled several times slower than whole numbers; on any
        # background, rounding them here changes nothing by more than half a level.
        whole = pixels if pixels.format == picture.format else restored(pixels, picture)
        return whole.resize(across, vscale=down, kernel=kernel)

    return on_premultiplied(picture, resized)
