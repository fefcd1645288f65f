"""Write text over a picture, or lay an image over it.

Laying out the mark (where it stands and how much it covers of which pixel) knows nothing of the picture's pixels.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from safelight import stamps
from safelight.assets import AssetError, FontAsset, ImageAsset, is_name
from safelight.edits import merged
from safelight.lettering import missing, unshaped
from safelight.operations import Edit, Mark, Operation, Size
from safelight.parameters import Degrees, Gravity, Part, Percent, pixels, rgba
from safelight.stamps import Stamp

if TYPE_CHECKING:
    import pyvips

NAMED: Final = 8
"""How many missing letters a complaint names."""

LEGIBLE: Final = 10.0
"""The font size in pixels that a percentage never goes below, while the text fits."""

LITTLE: Final = 1_000_000
"""The pixels of a mark that takes a few milliseconds to lay out, and little memory to keep."""

LINES: Final = 20

FEW: Final = 4
"""How many marks libvips blends one by one."""

Length = Annotated[int, Meta(ge=1, le=10_000, extra={"unit": "px"})] | Percent
Room = Annotated[int, Meta(ge=0, le=10_000, extra={"unit": "px"})] | Percent


class Watermark(Operation, frozen=True, rename={"font_size": "size"}):
    """Write text over the picture, with a soft black shadow so that it reads on light and dark alike; or lay an image
    over it.

    What does not fit is made smaller until it does.
    """

    text: (
        Annotated[
            str,
            Meta(
                max_length=500,
                pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x09\x0b-\x1f\x7f]*$",
                title="text of 1 to 500 characters",
            ),
        ]
        | None
    ) = None
    """What to write: 1 to 500 characters in at most 20 lines, in letters that the font has."""

    image: ImageAsset | None = None
    """The image to lay over, in place of text: a PNG by its name in the operator's folder of assets, or as a data: URL.
    """

    gravity: Gravity = "south_east"
    """Where it stands: a corner, the middle of an edge, or the center."""

    opacity: Part = 0.6
    """From 0, invisible, to 1, which hides what is below."""

    font_size: Length = "4%"
    """The font's size: pixels, or a percentage of the picture's shorter side (then at least 10 pixels)."""

    margin: Room = "2%"
    """The space between mark and edge: pixels, or a percentage of the picture's shorter side."""

    colour: Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$", title="a colour such as '#ffffff'")] = "#ffffff"
    """The text's colour in sRGB, as CSS writes it."""

    font: FontAsset = "sans"
    """The font: `sans` (Latin, Greek, Cyrillic), `serif` or `mono` (also Armenian and Georgian), or a TrueType or
    OpenType file by its name in the operator's folder of assets, or as a data: URL."""

    align: Literal["left", "center", "right"] = "left"
    """How the lines of a text stand to each other."""

    shadow: Part = 0.8
    """How strong the text's shadow is: from 0, none, to 1, as opaque as the text."""

    width: Length = "20%"
    """The image's width: pixels, or a percentage of the picture's width. Its height follows."""

    angle: Degrees = 0
    """How far the mark is turned, clockwise; negative is the other way."""

    tile: bool = False
    """Whether it is repeated over all of the picture, each row shifted by a half; at most 1,000 times."""

    gap: Room = "10%"
    """The space between repeated marks: pixels, or a percentage of the picture's shorter side."""

    def faults(self) -> Iterator[tuple[str, str]]:
        """Nothing to draw, or two things; letters that the font lacks, which would be drawn as empty boxes; what is no
        image and no font."""
        if (self.text is None) == (self.image is None):
            said = "neither is given" if self.text is None else "both are given"
            yield "text", f"expected either a text or an image, and {said}"
        for field, value in (("image", self.image), ("font", self.font)):
            if value is not None and is_name(value):
                yield (
                    field,
                    f"{value!r} is the name of a file, and there is no folder of assets; SAFELIGHT_ASSETS names one",
                )
                return
        if self.image is not None:
            yield from _complaint("image", lambda: stamps.image_size(self.image or ""))
        if self.text is not None:
            yield from _complaint("font", lambda: missing(self.font, self.text or ""))
            yield from self._unwritable()

    def _unwritable(self) -> Iterator[tuple[str, str]]:
        assert self.text is not None
        if (lines := self.text.count("\n") + 1) > LINES:
            yield "text", f"expected at most {LINES} lines, received {lines}"
        try:
            lacking = missing(self.font, self.text)
        except AssetError:
            return
        if lacking:
            yield "text", f"the font has no letters for {_named(lacking)}"
        if joined := unshaped("".join(letter for letter in self.text if letter not in lacking)):
            why = "would have to be joined to others or written from right to left, which is not done here"
            yield "text", f"{_named(joined)} {why}; use an image of the text"

    def edits(self, before: Size) -> tuple[Edit, ...]:
        """Marks: one, or many if it is repeated; nothing if the text has no ink."""
        return lay_out(self, before.width, before.height)

    def draw(self, picture: "pyvips.Image", before: Size) -> "pyvips.Image":
        """Blend the marks; many of them as a single one."""
        marks = lay_out(self, before.width, before.height)
        for mark in marks if len(marks) <= FEW else (merged(marks),):
            picture = mark.draw(picture)
        return picture

    def anticipate(self, before: Size) -> None:
        """Lay out the mark, unless it is a large one."""
        shorter, longer = sorted((before.width, before.height))
        size = min(pixels(self.font_size, shorter), longer)
        if not self.tile and self.text is not None and size * size * len(self.text) <= LITTLE:
            lay_out(self, before.width, before.height)

    @classmethod
    def prepare(cls) -> None:
        """Load FreeType and the fonts, and draw once so that Pillow has imported all it imports late."""
        for font in ("serif", "mono", "sans"):
            missing(font, "©")
            lay_out(cls(text="©", font=font), 100, 100)
        stamps.prepare()


@lru_cache(maxsize=16)
def lay_out(watermark: Watermark, width: int, height: int) -> tuple[Mark, ...]:
    """The watermark as marks on a picture of `width` × `height` pixels. They lie inside, however small that is.

    Raise AssetError if an image or a font turns out not to be one.
    """
    shorter = min(width, height)
    margin = min(round(pixels(watermark.margin, shorter)), (shorter - 1) // 2)
    stamp = _stamp(watermark, (width, height), (width - 2 * margin, height - 2 * margin))
    if stamp is None:
        return ()
    if watermark.tile:
        return stamps.repeated(
            stamp, (width, height), watermark.gravity, margin, round(pixels(watermark.gap, shorter))
        )
    return stamps.single(stamp, (width, height), watermark.gravity, margin)


def _stamp(watermark: Watermark, whole: tuple[int, int], room: tuple[int, int]) -> Stamp | None:
    if watermark.image is not None:
        across = pixels(watermark.width, whole[0])
        return stamps.of_image(watermark.image, across, watermark.opacity, room, watermark.angle)
    assert watermark.text is not None
    size = pixels(watermark.font_size, min(whole))
    if isinstance(watermark.font_size, str):
        size = max(size, LEGIBLE)
    return stamps.of_text(
        watermark.text,
        watermark.font,
        size,
        watermark.align,
        rgba(watermark.colour)[:3],
        (watermark.opacity, watermark.opacity * watermark.shadow),
        room,
        watermark.angle,
    )


def _complaint(field: str, look: Callable[[], object]) -> Iterator[tuple[str, str]]:
    try:
        look()
    except AssetError as error:
        yield field, str(error)


def _named(letters: tuple[str, ...]) -> str:
    more = f" and {len(letters) - NAMED} more" if len(letters) > NAMED else ""
    return ", ".join(map(repr, letters[:NAMED])) + more
