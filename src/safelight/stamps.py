"""What marks are made of: a text with its shadow, or an image, of its final size and turned; and where it is put.

A stamp's masks say how much it covers of which pixel. Nothing here knows the picture's pixels.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from safelight import assets
from safelight.edits import Layer, Mark, Region
from safelight.lettering import lettering, turned
from safelight.parameters import place

if TYPE_CHECKING:
    from PIL import Image

SOFTNESS: Final = 1 / 24
"""The shadow's offset and blur as a part of the font size."""

MOST: Final = 1_000
"""How often a mark is repeated at most."""

IMAGE_PIXELS: Final = 4_000_000
"""The most pixels of an image that is laid over pictures."""

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"

Sides = tuple[int, int]
Rgb = tuple[int, int, int]


class Sheet(NamedTuple):
    """One layer of a stamp: a mask, and its colour, or an image of the same size for the colour of each pixel."""

    ink: "Rgb | Image.Image"
    mask: "Image.Image"


class Stamp(NamedTuple):
    """Sheets of one size, the lowest first, around a box: what counts for placing, without the shadow."""

    sheets: tuple[Sheet, ...]
    size: Sides
    box: Sides


# --- making them ------------------------------------------------------------------------------------------


def of_text(
    text: str,
    font: str,
    size: float,
    align: str,
    colour: Rgb,
    opacities: tuple[float, float],
    room: Sides,
    angle: float,
) -> Stamp | None:
    """The text and below it its shadow, with their opacities; None if it has no ink. Raise AssetError."""
    from PIL import Image, ImageChops, ImageFilter

    try:
        letters = lettering(text, font, size, align, room, angle)
    except OSError as error:  # what FreeType says
        raise assets.AssetError(f"the font can not be used: {error}") from None
    if letters is None:
        return None
    offset = max(1, round(letters.size * SOFTNESS))
    spread = 3 * offset if opacities[1] else 0
    canvas = Image.new("L", (letters.ink.width + 2 * spread, letters.ink.height + 2 * spread))
    canvas.paste(letters.ink, (spread, spread))
    sheets = [Sheet(colour, _faded(_turn(canvas, angle), opacities[0]))]
    if opacities[1]:
        # The light comes from the upper left, however the text is turned.
        below = ImageChops.offset(_turn(canvas, angle), offset).filter(ImageFilter.GaussianBlur(offset))
        sheets.insert(0, Sheet((0, 0, 0), _faded(below, opacities[1])))
    return Stamp(tuple(sheets), sheets[0].mask.size, turned(letters.ink.size, angle))


def of_image(image: str, across: float, opacity: float, room: Sides, angle: float) -> Stamp:
    """The image, so wide, or smaller if it does not fit. Raise AssetError."""
    from PIL import Image

    picture = _decoded(image)
    width = max(1.0, across)
    height = max(1.0, across * picture.height / picture.width)
    needed = turned((round(width), round(height)), angle)
    excess = max(1.0, needed[0] / room[0], needed[1] / room[1])
    fitting = (max(1, math.floor(width / excess + 1e-6)), max(1, math.floor(height / excess + 1e-6)))
    picture = _turn(picture.resize(fitting, Image.Resampling.LANCZOS, reducing_gap=3), angle)
    picture = picture.crop((0, 0, min(picture.width, room[0]), min(picture.height, room[1])))
    mask = _faded(picture.getchannel("A"), opacity)
    return Stamp((Sheet(_ink(picture), mask),), mask.size, mask.size)


def image_size(image: str) -> Sides:
    """The sides of an image asset, from its header. Raise AssetError if it is no PNG, or too large."""
    data = assets.content(image)
    if not data.startswith(_SIGNATURE) or len(data) < len(_SIGNATURE) + 8:
        raise assets.AssetError("expected a PNG")
    width, height = struct.unpack_from(">II", data, len(_SIGNATURE))
    if not 1 <= width * height <= IMAGE_PIXELS:
        raise assets.AssetError(
            f"the image has {width} × {height} pixels, and 1 to {IMAGE_PIXELS} are allowed"
        )
    return width, height


def prepare() -> None:
    """Have Pillow import what it imports late."""
    from PIL import Image

    file = BytesIO()
    Image.new("RGBA", (2, 2)).save(file, "PNG")
    _png(file.getvalue()).resize((1, 1), Image.Resampling.LANCZOS, reducing_gap=3).rotate(5)


@lru_cache(maxsize=2)
def _decoded(image: str) -> "Image.Image":
    image_size(image)
    try:
        return _png(assets.content(image))
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise assets.AssetError(f"the PNG is damaged: {error}") from None


def _png(data: bytes) -> "Image.Image":
    from PIL import PngImagePlugin

    with PngImagePlugin.PngImageFile(BytesIO(data)) as image:
        return image.convert("RGBA")


def _ink(picture: "Image.Image") -> "Rgb | Image.Image":
    """The one colour that everything visible has, which a photo can take without being decoded; else all of them."""
    red, green, blue, alpha = picture.split()
    seen = alpha.point([0] + [255] * 255)
    if not seen.getbbox():
        return 0, 0, 0
    ranges = [_range(band, seen) for band in (red, green, blue)]
    if all(low == high for low, high in ranges):
        return ranges[0][0], ranges[1][0], ranges[2][0]
    return picture.convert("RGB")


def _range(band: "Image.Image", seen: "Image.Image") -> tuple[int, int]:
    counts = band.histogram(seen)
    found = [value for value, count in enumerate(counts) if count]
    return found[0], found[-1]


def _turn(image: "Image.Image", angle: float) -> "Image.Image":
    from PIL import Image

    turned = angle % 360 % 360
    if turned == 0:
        return image
    return image.rotate(-turned, Image.Resampling.BICUBIC, expand=True)


def _faded(mask: "Image.Image", opacity: float) -> "Image.Image":
    return mask.point([round(value * opacity) for value in range(256)])


# --- putting them -----------------------------------------------------------------------------------------


def single(stamp: Stamp, whole: Sides, gravity: str, margin: int) -> tuple[Mark, ...]:
    """The stamp once. Its shadow may reach over the picture's edge; the mark may not."""
    return tuple(_marks(stamp, whole, [_corner(stamp, whole, gravity, margin)]))


def repeated(stamp: Stamp, whole: Sides, gravity: str, margin: int, gap: int) -> tuple[Mark, ...]:
    """The stamp all over the picture, one of them where gravity has it; so far apart that they are not too many."""
    left, top = _corner(stamp, whole, gravity, margin)
    steps = [side + gap for side in stamp.size]
    count = math.prod(side / step + 2 for side, step in zip(whole, steps, strict=True))
    if count > MOST:
        steps = [math.ceil(step * math.sqrt(2 * count / MOST)) for step in steps]
    above, before = math.ceil((top + stamp.size[1]) / steps[1]), math.ceil((left + stamp.size[0]) / steps[0])
    corners = [
        (left + column * steps[0] + (steps[0] // 2 if row % 2 else 0), top + row * steps[1])
        for row in range(-above, math.ceil((whole[1] - top) / steps[1]) + 1)
        for column in range(-before - 1, math.ceil((whole[0] - left) / steps[0]) + 1)
    ]
    return tuple(_marks(stamp, whole, corners))


def _corner(stamp: Stamp, whole: Sides, gravity: str, margin: int) -> Sides:
    left, top = place(gravity, whole, stamp.box, margin)
    return left - (stamp.size[0] - stamp.box[0]) // 2, top - (stamp.size[1] - stamp.box[1]) // 2


def _marks(stamp: Stamp, whole: Sides, corners: Sequence[Sides]) -> Iterator[Mark]:
    @cache
    def layers(left: int, top: int, right: int, bottom: int) -> tuple[Layer, ...]:
        return tuple(_layer(sheet, (left, top, right, bottom)) for sheet in stamp.sheets)

    width, height = stamp.size
    for x, y in corners:
        inside = (max(0, -x), max(0, -y), min(width, whole[0] - x), min(height, whole[1] - y))
        if inside[0] < inside[2] and inside[1] < inside[3]:
            sides = (inside[2] - inside[0], inside[3] - inside[1])
            yield Mark(Region(x + inside[0], y + inside[1], *sides), layers(*inside))


def _layer(sheet: Sheet, part: tuple[int, int, int, int]) -> Layer:
    alpha = sheet.mask.crop(part).tobytes()
    if isinstance(sheet.ink, tuple):
        return Layer(sheet.ink, alpha)
    return Layer((0, 0, 0), alpha, sheet.ink.crop(part).tobytes())
