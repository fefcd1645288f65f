"""What pixels tell of an original: colours, a placeholder, a perceptual hash, how sharp it is.

All of it is measured on a small upright view of the first frame, so that its cost does not grow with the picture.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Final

import msgspec
import pyvips
from PIL import Image

from safelight.imaging.pictures import WHITE, Picture, to_pillow
from safelight.model import Facts
from safelight.operations import Turn
from safelight.pixels import on_premultiplied

VIEW: Final = 1024
SMALL: Final = 256
"""The longest side of the view in pixels: where sharpness is measured, and where it is not."""

MEASURED: Final = frozenset({"colors", "placeholder", "phash", "sharpness"})
"""The facts that need the view."""

COLOURS: Final = 5
_MANY: Final = 64
"""Colours are counted in a picture of about so many pixels a side."""

_HASHED: Final = 32
"""The side of the picture that the perceptual hash is computed of."""


def side(wanted: Sequence[str]) -> int:
    """The longest side of the view that these facts need; 0 if they need none."""
    return VIEW if "sharpness" in wanted else SMALL if MEASURED.intersection(wanted) else 0


def measured(picture: Picture, wanted: Sequence[str]) -> Facts:
    """The facts that are wanted, of a picture whose pixels may come once, and smaller than it is."""
    view = _view(picture, side(wanted))
    facts = Facts()
    if "colors" in wanted:
        facts = msgspec.structs.replace(facts, colors=colours(view))
    if "placeholder" in wanted:
        facts = msgspec.structs.replace(facts, placeholder=blurhash(view))
    if "phash" in wanted:
        facts = msgspec.structs.replace(facts, phash=phash(view))
    if "sharpness" in wanted:
        facts = msgspec.structs.replace(facts, sharpness=sharpness(view))
    return facts


def _view(picture: Picture, longest: int) -> Image.Image:
    """The first frame, upright, in 8 bits, at most so many pixels a side: RGB, RGBA or grey."""
    frame = picture.frames[0]
    factor = min(1.0, longest / max(frame.width, frame.height))
    if factor < 1:
        down = max(factor, 1 / frame.height)
        frame = on_premultiplied(
            frame, lambda pixels: pixels.resize(max(factor, 1 / frame.width), vscale=down)
        )
    if picture.size.orientation != 1:
        frame = Turn(picture.size.orientation).draw(frame)
    return to_pillow(frame.copy_memory(), alpha=True)


def colours(view: Image.Image) -> tuple[str, ...]:
    """The colours that stand for the picture, the commonest first; what is rather transparent does not count."""
    small = view.convert("RGBA").resize(
        (min(_MANY, view.width), min(_MANY, view.height)), Image.Resampling.BOX
    )
    pixels = small.tobytes()
    seen = b"".join(pixels[at : at + 3] for at in range(0, len(pixels), 4) if pixels[at + 3] >= WHITE / 2)
    if not seen:
        return ()
    strip = Image.frombytes("RGB", (len(seen) // 3, 1), seen).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    palette = strip.getpalette() or []
    counted = sorted(strip.getcolors() or [], key=lambda found: (-found[0], found[1]))
    named = (
        bytes(palette[3 * index : 3 * index + 3]).hex() for _, index in counted if isinstance(index, int)
    )
    return tuple(dict.fromkeys(f"#{colour}" for colour in named))


# --- the placeholder --------------------------------------------------------------------------------------

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def blurhash(view: Image.Image) -> str:
    """A BlurHash of 4 × 3 components, or 3 × 4 for a picture that is taller than wide (the algorithm of Wolt)."""
    across, down = (4, 3) if view.width >= view.height else (3, 4)
    ground = Image.new("RGBA", view.size, "white")
    small = Image.alpha_composite(ground, view.convert("RGBA")).convert("RGB")
    small = small.resize((min(32, view.width), min(32, view.height)), Image.Resampling.BOX)
    width, height = small.size
    data = small.tobytes()
    light = [_LINEAR[value] for value in data]
    rows = [[math.cos(math.pi * j * y / height) for y in range(height)] for j in range(down)]
    columns = [[math.cos(math.pi * i * x / width) for x in range(width)] for i in range(across)]
    factors = []
    for j, i in product(range(down), range(across)):
        sums = [0.0, 0.0, 0.0]
        for y in range(height):
            for x in range(width):
                basis = rows[j][y] * columns[i][x]
                at = 3 * (y * width + x)
                sums = [sums[band] + basis * light[at + band] for band in range(3)]
        scale = (1 if i == j == 0 else 2) / (width * height)
        factors.append([value * scale for value in sums])
    steady, *moving = factors
    most = max(abs(value) for factor in moving for value in factor)
    step = max(0, min(82, math.floor(most * 166 - 0.5)))
    mean = [_stored(value) for value in steady]
    parts = [
        _base83(across - 1 + (down - 1) * 9, 1),
        _base83(step, 1),
        _base83((mean[0] << 16) + (mean[1] << 8) + mean[2], 4),
    ]
    for factor in moving:
        digits = [_rooted(value / ((step + 1) / 166)) for value in factor]
        parts.append(_base83((digits[0] * 19 + digits[1]) * 19 + digits[2], 2))
    return "".join(parts)


def _light(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


_LINEAR: Final = tuple(_light(value / WHITE) for value in range(256))


def _stored(light: float) -> int:
    light = max(0.0, min(1.0, light))
    value = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return int(value * WHITE + 0.5)


def _rooted(value: float) -> int:
    return max(0, min(18, math.floor(math.copysign(math.sqrt(abs(value)), value) * 9 + 9.5)))


def _base83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83 ** (length - at) % 83] for at in range(1, length + 1))


# --- hash and sharpness -----------------------------------------------------------------------------------


def phash(view: Image.Image) -> str:
    """64 bits in hexadecimal: pictures that look alike differ in few of them.

    Which of the 8 × 8 lowest frequencies (DCT-II of 32 × 32 grey pixels) are above their median.
    """
    small = view.convert("L").resize((_HASHED, _HASHED), Image.Resampling.LANCZOS)
    data = small.tobytes()
    waves = [[math.cos(math.pi * k * (2 * n + 1) / (2 * _HASHED)) for n in range(_HASHED)] for k in range(8)]
    across = [
        [sum(data[y * _HASHED + x] * wave[x] for x in range(_HASHED)) for wave in waves]
        for y in range(_HASHED)
    ]
    numbers = [sum(across[y][u] * wave[y] for y in range(_HASHED)) for wave in waves for u in range(8)]
    ordered = sorted(numbers)
    median = (ordered[31] + ordered[32]) / 2
    return f"{sum(1 << (63 - at) for at, number in enumerate(numbers) if number > median):016x}"


def sharpness(view: Image.Image) -> float:
    """The standard deviation of the Laplacian of the view's luma: below about 5 a photo looks blurred."""
    grey = view.convert("L")
    if min(grey.size) < 3:
        return 0.0
    pixels = pyvips.Image.new_from_memory(grey.tobytes(), grey.width, grey.height, 1, "uchar")
    edges = pyvips.Image.new_from_array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    found = pixels.cast("float").conv(edges, precision="float")
    return round(float(found.crop(1, 1, grey.width - 2, grey.height - 2).deviate()), 2)
