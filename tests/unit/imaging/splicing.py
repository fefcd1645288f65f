"""JPEGs of every kind, marks, and what has to come of them: for the tests of splicing."""

import io
import random
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat, JpegImagePlugin
from tests.pictures import encoded, likeness, upright

from safelight.imaging import splice
from safelight.imaging.splice import Spliced
from safelight.operations import Edit, Layer, Mark, Region, Size

needs_library = pytest.mark.skipif(
    not splice.available(), reason="safelight-splice is not installed: make native"
)

SIZE = (150, 110)
"""No multiple of any MCU's sides."""

FILES: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:2:0": {"subsampling": "4:2:0"},
    "fine": {"subsampling": "4:4:4", "quality": 100},
    "coarse": {"quality": 15},
    "optimised": {"optimize": True},
    "optimised and coarse": {"optimize": True, "quality": 20, "subsampling": "4:2:2"},
    "restart markers": {"restart_marker_blocks": 3},
    "a restart marker each row": {"restart_marker_rows": 1, "optimize": True},
    "a restart marker each block": {"restart_marker_blocks": 1, "subsampling": "4:4:4"},
    "progressive": {"progressive": True, "subsampling": "4:2:0"},
    "progressive and fine": {"progressive": True, "subsampling": "4:4:4", "quality": 100},
    "progressive and coarse": {"progressive": True, "subsampling": "4:2:2", "quality": 20},
    "progressive with restart markers": {
        "progressive": True,
        "restart_marker_rows": 1,
        "subsampling": "4:2:0",
    },
}

PLACES = {
    "corner": (100, 70, 50, 40),
    "first": (0, 0, 20, 9),
    "inside": (37, 29, 61, 33),
    "last pixel": (149, 109, 1, 1),
    "last column": (149, 0, 1, 110),
    "all": (0, 0, 150, 110),
}


def photo(**options: Any) -> bytes:
    return encoded(upright(0, *SIZE), "JPEG", **{"quality": 88} | options)


def soft(place: tuple[int, int, int, int], *, grey: bool = False) -> Mark:
    """A soft ellipse with a shadow, as large as the place."""
    region = Region(*place)
    ink = Image.radial_gradient("L").resize((region.width, region.height))
    ink = ImageOps.invert(ink)
    shadow = ink.filter(ImageFilter.GaussianBlur(2)).point(lambda value: value // 2)
    colour = (210, 210, 210) if grey else (250, 180, 40)
    return Mark(region, (Layer((0, 0, 0), shadow.tobytes()), Layer(colour, ink.tobytes())))


def logo(place: tuple[int, int, int, int]) -> Mark:
    """An image with soft edges, a colour for each pixel, as large as the place."""
    region = Region(*place)
    sides = (region.width, region.height)
    ink = ImageOps.invert(Image.radial_gradient("L").resize(sides))
    colours = Image.merge(
        "RGB", [Image.linear_gradient("L").rotate(90 * turn).resize(sides) for turn in range(3)]
    )
    return Mark(region, (Layer((0, 0, 0), ink.tobytes(), colours.tobytes()),))


def spliced(data: bytes, *edits: Edit, threads: int = 1) -> bytes:
    """The file with its marks; it must not be refused."""
    file = io.BytesIO()
    done = splice.splice(data, Size(*opened(data).size), edits, file, threads=threads)
    assert isinstance(done, Spliced), done
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def composed(image: Image.Image, *marks: Mark) -> Image.Image:
    """The exact result: the decoded picture, blended."""
    image = image.copy()
    for mark in marks:
        where = mark.region
        for layer in mark.layers:
            mask = Image.frombytes("L", (where.width, where.height), layer.alpha)
            ink: Any = layer.colour if image.mode == "RGB" else layer.colour[0]
            if layer.pixels is not None:
                ink = Image.frombytes("RGB", mask.size, layer.pixels)
            image.paste(
                ink, (where.left, where.top, where.left + where.width, where.top + where.height), mask
            )
    return image


def drawn(data: bytes, *marks: Mark) -> Image.Image:
    """The pixels' way: decoded, blended, coded by the same tables, decoded."""
    image = opened(data)
    tables = {"qtables": image.quantization}  # type: ignore[attr-defined]
    if image.mode == "RGB":
        tables["subsampling"] = JpegImagePlugin.get_sampling(image)
    return opened(encoded(composed(image, *marks), "JPEG", **tables))


def alike(one: Image.Image, other: Image.Image, exact: Image.Image, mark: Mark, near: float = 0) -> None:
    """Under the mark, `one` looks like `other`, and is as near to the exact result, or `near` levels in the mean."""
    where = mark.region
    part = (where.left, where.top, where.left + where.width, where.top + where.height)
    parts = [image.convert("RGB").crop(part) for image in (one, other, exact)]
    if where.width < 16 or where.height < 16:
        return  # too few blocks: what quantising rounds this way or that does not even out
    apart = [ImageStat.Stat(ImageChops.difference(image, parts[2])).mean for image in parts]
    assert max(apart[0]) <= max(near, max(apart[1]) + 0.2)
    assert likeness(parts[0], parts[2]) >= likeness(parts[1], parts[2]) - 0.005
    grey, other_grey = (image.convert("L").convert("RGB") for image in parts[:2])
    assert likeness(grey, other_grey) >= min(0.99, 2 * likeness(parts[1], parts[2]) - 1)


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    """The box in which two pictures differ."""
    difference = ImageChops.difference(before.convert("RGB"), after.convert("RGB"))
    return difference.getbbox() or (0, 0, 0, 0)


def allowed(data: bytes, *marks: Mark) -> tuple[int, int, int, int]:
    """The MCUs under the marks, and two pixels around them: decoders smooth chroma over an MCU's border."""
    image = opened(data)
    layers = [(across, down) for _, across, down, _ in image.layer]  # type: ignore[attr-defined]
    wide, high = (8 * max(factors) if len(layers) > 1 else 8 for factors in zip(*layers, strict=True))
    boxes = [
        (
            mark.region.left // wide * wide - 2,
            mark.region.top // high * high - 2,
            -(-(mark.region.left + mark.region.width) // wide) * wide + 2,
            -(-(mark.region.top + mark.region.height) // high) * high + 2,
        )
        for mark in marks
    ]
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def inside(inner: tuple[int, int, int, int], outer: tuple[int, int, int, int]) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def check(data: bytes, *marks: Mark) -> bytes:
    """Beside the marks nothing changes, and under them the picture looks as if it had been drawn. Return the file."""
    new = spliced(data, *marks)
    before, after = opened(data), opened(new)
    box = changed(before, after)
    assert box == (0, 0, 0, 0) or inside(box, allowed(data, *marks))
    assert after.layer == before.layer  # type: ignore[attr-defined]
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    for mark in marks:
        alike(after, drawn(data, *marks), composed(before, *marks), mark)
    return new


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Bytes changed, left out, put in or cut off; headers more often than their length would have it."""
    new = bytearray(data)
    data_start = data.index(b"\xff\xda")
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        at = dice.randrange(2, data_start) if dice.random() < 0.5 else dice.randrange(len(new))
        at = min(at, len(new) - 1)
        match dice.randrange(6):
            case 0 | 1:
                new[at] = dice.randrange(256)
            case 2:
                new[at] ^= 1 << dice.randrange(8)
            case 3:
                del new[at : at + dice.choice((1, 2, 20))]
            case 4:
                new[at:at] = dice.randbytes(dice.choice((1, 2, 20)))
            case _:
                del new[-dice.randrange(1, 200) :]
        if len(new) < 300:
            return bytes(data)
    return bytes(new)
