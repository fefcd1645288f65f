"""Write a line of text over a picture.

The text is drawn by FreeType (through Pillow) with the font that comes with Safelight, never with one of the system:
the same everywhere, and without Pango and fontconfig, which write caches and print warnings where there is no home.
Laying out the mark (where it stands and how much it covers of which pixel) knows nothing of the picture's pixels.
"""

import math
import struct
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from safelight.operations import Edit, Layer, Mark, Operation, Region, Size

if TYPE_CHECKING:
    from PIL import Image

Gravity = Literal[
    "north_west", "north", "north_east", "west", "center", "east", "south_west", "south", "south_east"
]
Percent = Annotated[str, Meta(pattern=r"^[0-9]{1,2}(\.[0-9]{1,3})?%$", title="a percentage such as '4%'")]

FONT: Final = "imaging/fonts/OpenSans-Semibold.ttf"

NAMED: Final = 8
"""How many missing letters a complaint names."""

LEGIBLE: Final = 10.0
"""The font size in pixels that a percentage never goes below, while the text fits."""

SMALLEST: Final = 6.0
"""The font size in pixels below which glyphs fall apart: text smaller than that is drawn at it and scaled down."""

LITTLE: Final = 1_000_000
"""The pixels of a mark that takes a few milliseconds to lay out, and little memory to keep."""

SHADOW: Final = 0.8
"""The shadow's opacity as a part of the text's."""

SOFTNESS: Final = 1 / 24
"""The shadow's offset and blur as a part of the font size."""


class Watermark(Operation, frozen=True, rename={"font_size": "size"}):
    """Write a line of text over the picture, with a soft black shadow so that it reads on light and dark alike.

    Text that does not fit is made smaller until it does.
    """

    text: Annotated[
        str,
        Meta(
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$",
            title="one line of 1 to 200 characters",
        ),
    ]
    """One line of 1 to 200 characters: Latin, Greek, Cyrillic and common signs, which is what the font has."""

    gravity: Gravity = "south_east"
    """Where it stands: a corner, the middle of an edge, or the center."""

    opacity: Annotated[float, Meta(ge=0, le=1)] = 0.6
    """From 0, invisible, to 1, which hides what is below."""

    font_size: Annotated[int, Meta(ge=1, le=10_000)] | Percent = "4%"
    """The font's size: pixels, or a percentage of the picture's shorter side (then at least 10 pixels)."""

    margin: Annotated[int, Meta(ge=0, le=10_000)] | Percent = "2%"
    """The space between text and edge: pixels, or a percentage of the picture's shorter side."""

    colour: Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$", title="a colour such as '#ffffff'")] = "#ffffff"
    """The text's colour in sRGB, as CSS writes it."""

    def faults(self) -> Iterator[tuple[str, str]]:
        """Letters that the font lacks, which would be drawn as empty boxes."""
        missing = [letter for letter in dict.fromkeys(self.text) if ord(letter) not in _letters()]
        if missing:
            named = ", ".join(map(repr, missing[:NAMED]))
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            yield "text", f"the font has no letters for {named}{more}"

    def edits(self, before: Size) -> tuple[Edit, ...]:
        """One mark; nothing if the text has no ink."""
        mark = lay_out(self, before.width, before.height)
        return (mark,) if mark else ()

    def anticipate(self, before: Size) -> None:
        """Lay out the mark, unless it is a large one."""
        size = min(
            _pixels(self.font_size, min(before.width, before.height)), max(before.width, before.height)
        )
        if size * size * len(self.text) <= LITTLE:
            lay_out(self, before.width, before.height)

    @classmethod
    def prepare(cls) -> None:
        """Load FreeType and the font, and draw once so that Pillow has imported all it imports late."""
        lay_out(cls(text="©"), 100, 100)


@lru_cache(maxsize=16)
def lay_out(watermark: Watermark, width: int, height: int) -> Mark | None:
    """The watermark as a mark on a picture of `width` × `height` pixels. It lies inside, however small that is."""
    from PIL import Image, ImageChops, ImageFilter

    shorter = min(width, height)
    margin = min(round(_pixels(watermark.margin, shorter)), (shorter - 1) // 2)
    room = (width - 2 * margin, height - 2 * margin)
    size = _pixels(watermark.font_size, shorter)
    if isinstance(watermark.font_size, str):
        size = max(size, LEGIBLE)
    text, size = _text(watermark.text, size, room)
    if text is None:
        return None
    left, top = _place(watermark.gravity, (width, height), text.size, margin)

    offset = max(1, round(size * SOFTNESS))
    spread = 3 * offset
    canvas = Image.new("L", (text.width + 2 * spread, text.height + 2 * spread))
    canvas.paste(text, (spread, spread))
    shadow = ImageChops.offset(canvas, offset).filter(ImageFilter.GaussianBlur(offset))

    # The shadow may reach over the picture's edge; the mark may not.
    x, y = left - spread, top - spread
    inside = (max(0, -x), max(0, -y), min(canvas.width, width - x), min(canvas.height, height - y))
    region = Region(x + inside[0], y + inside[1], inside[2] - inside[0], inside[3] - inside[1])
    ink = tuple(bytes.fromhex(watermark.colour[1:]))
    return Mark(
        region,
        (
            Layer((0, 0, 0), _faded(shadow.crop(inside), watermark.opacity * SHADOW)),
            Layer((ink[0], ink[1], ink[2]), _faded(canvas.crop(inside), watermark.opacity)),
        ),
    )


def _pixels(length: int | str, whole: int) -> float:
    return float(length[:-1]) / 100 * whole if isinstance(length, str) else float(length)


def _text(text: str, size: float, room: tuple[int, int]) -> "tuple[Image.Image | None, float]":
    """The text's ink, cropped, as large as `size` allows and no larger than `room`; and the font size it has."""
    from PIL import Image, ImageDraw, ImageFont

    size = min(size, 2.0 * room[1] + SMALLEST)  # ink is never lower than that, and memory stays in proportion
    while True:
        # The basic layout, because the other one looks for a library of the system at run time.
        basic = ImageFont.Layout.BASIC
        font = ImageFont.truetype(BytesIO(_font_file()), max(size, SMALLEST), layout_engine=basic)
        left, top, right, bottom = (math.floor(edge) for edge in font.getbbox(text))
        width, height = right - left, bottom - top
        if width <= 0 or height <= 0:
            return None, size
        excess = max(width / room[0], height / room[1])
        if excess <= 1 or size < SMALLEST:
            break
        size = size / excess * 0.99  # hinting makes widths not quite proportional to sizes
    ink = Image.new("L", (width, height))
    ImageDraw.Draw(ink).text((-left, -top), text, fill=255, font=font)
    if excess > 1:
        fitting = (max(1, math.floor(width / excess)), max(1, math.floor(height / excess)))
        ink = ink.resize(fitting, Image.Resampling.BOX)
    return ink, size


def _place(gravity: str, whole: tuple[int, int], part: tuple[int, int], margin: int) -> tuple[int, int]:
    """The left and top of a part that hangs on a gravity, `margin` pixels from the edge."""
    left = {"west": margin, "east": whole[0] - part[0] - margin}
    top = {"north": margin, "south": whole[1] - part[1] - margin}
    vertical, _, horizontal = gravity.rpartition("_")
    return (
        left.get(horizontal, (whole[0] - part[0]) // 2),
        top.get(vertical or horizontal, (whole[1] - part[1]) // 2),
    )


def _faded(mask: "Image.Image", opacity: float) -> bytes:
    return mask.point([round(value * opacity) for value in range(256)]).tobytes()


@cache
def _font_file() -> bytes:
    return (files("safelight") / FONT).read_bytes()


@cache
def _letters() -> frozenset[int]:
    """The code points that the font has glyphs for: the segments of its only "cmap", in format 4 (OpenType 1.9).

    Read without FreeType, because recipes are also checked where no picture is ever drawn.
    """
    font = _font_file()
    (cmap,) = struct.unpack_from(">I", font, font.index(b"cmap") + 8)
    table = cmap + struct.unpack_from(">I", font, cmap + 8)[0]
    words = struct.unpack_from(f">{struct.unpack_from('>H', font, table + 2)[0] // 2}H", font, table)
    count = words[3] // 2
    ends, starts = words[7 : 7 + count], words[8 + count : 8 + 2 * count]
    deltas, jumps = words[8 + 2 * count : 8 + 3 * count], words[8 + 3 * count : 8 + 4 * count]
    found = set()
    for segment, (first, last) in enumerate(zip(starts, ends, strict=True)):
        for code in range(first, last + 1):
            at = 8 + 3 * count + segment + jumps[segment] // 2 + code - first
            glyph = words[at] if jumps[segment] else code
            if glyph and (glyph + deltas[segment]) % 65536:  # 0 stands for what is missing
                found.add(code)
    return frozenset(found)
