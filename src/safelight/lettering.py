"""Text as a mask: which letters a font has, and how much of each pixel they cover.

The text is drawn by FreeType (through Pillow) with a font that comes with Safelight or with the recipe, never with one
of the system: the same everywhere, and without Pango and fontconfig, which write caches and print warnings where there
is no home. Importing this loads no image library.
"""

import math
import struct
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from safelight import assets

if TYPE_CHECKING:
    from PIL import Image, ImageFont

FONTS: Final = {
    "sans": "OpenSans-Semibold.ttf",
    "serif": "DejaVuSerif-Bold.ttf",
    "mono": "DejaVuSansMono-Bold.ttf",
}
"""The fonts that come with Safelight, in imaging/fonts/."""

SMALLEST: Final = 6.0
"""The font size in pixels below which glyphs fall apart: text smaller than that is drawn at it and scaled down."""

LEADING: Final = 1.3
"""From one line to the next, as a part of the font size."""

SHAPED: Final = frozenset({"R", "AL", "AN"})
"""The writing directions (Unicode's Bidi_Class) of what is written from right to left."""


# --- what a font has --------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def font_file(font: str) -> bytes:
    """The font's bytes, by its name or from its data: URL. Raise AssetError."""
    if font in FONTS:
        return (files("safelight") / "imaging" / "fonts" / FONTS[font]).read_bytes()
    return assets.content(font)


@lru_cache(maxsize=256)
def missing(font: str, text: str) -> tuple[str, ...]:
    """The letters that the font lacks, each once. Raise AssetError for what is no font."""
    covered = _coverage(font)
    letters = dict.fromkeys(unicodedata.normalize("NFC", text))
    return tuple(letter for letter in letters if letter != "\n" and not covered.has(ord(letter)))


def unshaped(text: str) -> tuple[str, ...]:
    """The letters that need more than to be set one beside the other: right to left, or joined to their neighbours."""
    return tuple(
        letter
        for letter in dict.fromkeys(unicodedata.normalize("NFC", text))
        if unicodedata.bidirectional(letter) in SHAPED or unicodedata.category(letter).startswith("M")
    )


class _Coverage(NamedTuple):
    """Segments of code points: first and last of each, and for those that map one by one, where their glyphs are."""

    firsts: Sequence[int]
    lasts: Sequence[int]
    deltas: Sequence[int]
    jumps: Sequence[int]
    words: Sequence[int]
    """The table of format 4 in 16-bit words; empty for format 12, where a segment has glyphs for all of its codes."""

    def has(self, code: int) -> bool:
        """Whether there is a glyph for a code point; 0 stands for what is missing."""
        if not self.words:
            segment = bisect_right(self.firsts, code) - 1
            return segment >= 0 and code <= self.lasts[segment]
        segment = bisect_left(self.lasts, code)
        if segment == len(self.lasts) or code < self.firsts[segment]:
            return False
        if not (jump := self.jumps[segment]):
            return (code + self.deltas[segment]) % 65536 != 0
        at = 8 + 3 * len(self.lasts) + segment + jump // 2 + code - self.firsts[segment]
        glyph = self.words[at] if at < len(self.words) else 0
        return glyph != 0 and (glyph + self.deltas[segment]) % 65536 != 0


@lru_cache(maxsize=8)
def _coverage(font: str) -> _Coverage:
    """The font's "cmap" for Unicode, in format 12 or else 4 (OpenType 1.9). Raise AssetError.

    Read without FreeType, because recipes are also checked where no picture is ever drawn.
    """
    data = font_file(font)
    try:
        (count,) = struct.unpack_from(">H", data, 4)
        tables = {}
        for number in range(count):
            tag, _, offset, _ = struct.unpack_from(">4sIII", data, 12 + 16 * number)
            tables[tag] = offset
        cmap = tables[b"cmap"]
        (count,) = struct.unpack_from(">H", data, cmap + 2)
        found: dict[int, int] = {}
        for number in range(count):
            platform, encoding, offset = struct.unpack_from(">HHI", data, cmap + 4 + 8 * number)
            (kind,) = struct.unpack_from(">H", data, cmap + offset)
            if platform == 0 or (platform == 3 and encoding in (1, 10)):
                found[kind] = cmap + offset
        if 12 in found:
            return _segmented(data, found[12])
        return _mapped(data, found[4])
    except (struct.error, KeyError, IndexError):
        raise assets.AssetError(
            "expected a TrueType or OpenType font that says which letters it has"
        ) from None


def _segmented(data: bytes, table: int) -> _Coverage:
    (groups,) = struct.unpack_from(">I", data, table + 12)
    values = struct.unpack_from(f">{3 * min(groups, len(data))}I", data, table + 16)
    return _Coverage(values[::3], values[1::3], (), (), ())


def _mapped(data: bytes, table: int) -> _Coverage:
    (length,) = struct.unpack_from(">H", data, table + 2)
    words = struct.unpack_from(f">{length // 2}H", data, table)
    count = words[3] // 2
    parts = [words[start : start + count] for start in (7, 8 + count, 8 + 2 * count, 8 + 3 * count)]
    if any(len(part) < count for part in parts):
        raise IndexError
    return _Coverage(parts[1], parts[0], parts[2], parts[3], words)


# --- drawing it -------------------------------------------------------------------------------------------


class Lettering(NamedTuple):
    """Text as a mask, cropped to its ink, and the font size in pixels that it has."""

    ink: "Image.Image"
    size: float


def lettering(
    text: str, font: str, size: float, align: str, room: tuple[int, int], angle: float = 0
) -> Lettering | None:
    """The text as large as `size` allows and no larger than `room`, even when turned; None if it has no ink."""
    # Ink is never lower than half of this, and memory stays in proportion.
    size = min(size, 2.0 * (max(room) if angle else room[1]) + SMALLEST)
    lines = unicodedata.normalize("NFC", text).split("\n")
    while True:
        placed = _set(lines, font, max(size, SMALLEST), align)
        if placed is None:
            return None
        sides = turned((placed.width, placed.height), angle)
        excess = max(sides[0] / room[0], sides[1] / room[1])
        if excess <= 1 or size < SMALLEST:
            break
        size = size / excess * 0.99  # hinting makes widths not quite proportional to sizes
    return Lettering(placed.drawn(excess), size)


def turned(sides: tuple[int, int], angle: float) -> tuple[int, int]:
    """The upright rectangle that holds a turned one."""
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    width, height = sides
    return (
        math.ceil(width * cosine + height * sine - 1e-6),
        math.ceil(width * sine + height * cosine - 1e-6),
    )


class _Set(NamedTuple):
    """Lines with their places in a box around all of their ink."""

    lines: Sequence[tuple[str, float, float]]
    font: str
    size: float
    width: int
    height: int

    def drawn(self, excess: float) -> "Image.Image":
        """The ink, made smaller if it exceeds the room."""
        from PIL import Image, ImageDraw

        ink = Image.new("L", (self.width, self.height))
        draw, font = ImageDraw.Draw(ink), _font(self.font, self.size)
        for line, x, y in self.lines:
            draw.text((x, y), line, fill=255, font=font)
        if excess > 1:
            fitting = (max(1, math.floor(ink.width / excess)), max(1, math.floor(ink.height / excess)))
            ink = ink.resize(fitting, Image.Resampling.BOX)
        return ink


def _set(lines: Sequence[str], font: str, size: float, align: str) -> _Set | None:
    drawn = _font(font, size)
    boxes = []
    for number, line in enumerate(lines):
        left, top, right, bottom = (math.floor(edge) for edge in drawn.getbbox(line))
        if right > left and bottom > top:
            down = round(number * LEADING * size)
            boxes.append((line, left, top + down, right, bottom + down, down))
    if not boxes:
        return None
    width = max(right - left for _, left, _, right, _, _ in boxes)
    upper, lower = min(box[2] for box in boxes), max(box[4] for box in boxes)
    spare = {"left": 0.0, "center": 0.5, "right": 1.0}[align]
    placed = [
        (line, round(spare * (width - (right - left))) - left, down - upper)
        for line, left, _, right, _, down in boxes
    ]
    return _Set(placed, font, size, width, lower - upper)


def _font(font: str, size: float) -> "ImageFont.FreeTypeFont":
    from PIL import ImageFont

    # The basic layout, because the other one looks for a library of the system at run time.
    basic = ImageFont.Layout.BASIC
    return ImageFont.truetype(BytesIO(font_file(font)), size, layout_engine=basic)
