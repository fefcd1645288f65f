"""Sizes and regions of pictures, and the edits that every way of drawing understands: turns and marks.

How pixels are stored does not matter to them. Importing this loads no image library.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import pyvips


class Size(msgspec.Struct, frozen=True):
    """A picture's size in pixels as stored, and how it is to be turned to stand upright (EXIF's 1 to 8)."""

    width: int
    height: int
    orientation: int = 1


class Region(msgspec.Struct, frozen=True):
    """A rectangle of pixels inside a picture, counted from its top left corner."""

    left: int
    top: int
    width: int
    height: int


class Turn(msgspec.Struct, frozen=True):
    """Set upright a picture that is stored with this EXIF orientation, 2 to 8."""

    orientation: int

    def draw(self, picture: "pyvips.Image") -> "pyvips.Image":
        """Turn the pixels. They are gathered first: turning reads columns, and a streaming decoder gives rows."""
        angle, mirrored = UPRIGHT[self.orientation]
        picture = picture.copy_memory()
        if angle:
            picture = picture.rot(f"d{angle}")
        return picture.fliphor() if mirrored else picture


UPRIGHT: Final = {
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (90, True),
    6: (90, False),
    7: (270, True),
    8: (270, False),
}
"""What undoes an orientation: degrees clockwise, then whether to mirror left to right (EXIF 2.32, 4.6.4, tag 274)."""


class Layer(msgspec.Struct, frozen=True):
    """One colour (sRGB, 0–255) laid over a region; `alpha` holds its opacity, a byte a pixel, row by row."""

    colour: tuple[int, int, int]
    alpha: bytes
    pixels: bytes | None = None
    """A colour for each pixel instead: red, green and blue, row by row."""

    @property
    def grey(self) -> bool:
        """Whether a picture without colour can carry it."""
        return self.pixels is None and len(set(self.colour)) == 1


class Mark(msgspec.Struct, frozen=True):
    """Layers to be blended over one region, the lowest first: where and what, however the pixels are stored."""

    region: Region
    layers: tuple[Layer, ...]

    def draw(self, picture: "pyvips.Image") -> "pyvips.Image":
        """Blend the region alone and put it back. Grey or RGB, 8 or 16 bits, with or without alpha; never CMYK."""
        import pyvips

        where = self.region
        if picture.bands < 3 and not all(layer.grey for layer in self.layers):
            picture = picture.colourspace("rgb16" if picture.format == "ushort" else "srgb")
        full = 65535.0 if picture.format == "ushort" else 255.0
        part = picture.crop(where.left, where.top, where.width, where.height)
        below = part[-1] / full if part.hasalpha() else None
        colour = part[:-1] if part.hasalpha() else part
        for layer in self.layers:
            alpha = pyvips.Image.new_from_memory(layer.alpha, where.width, where.height, 1, "uchar") / 255
            ink: Any = [value * full / 255 for value in layer.colour[: colour.bands]]
            if layer.pixels is not None:
                ink = pyvips.Image.new_from_memory(layer.pixels, where.width, where.height, 3, "uchar")
                ink = ink * (full / 255)
            weight = alpha
            if below is not None:
                # Porter and Duff's "over" on straight alpha; where both are clear libvips gives 0 / 0 = 0.
                above = alpha + below * (1 - alpha)
                weight = alpha / above
                below = above
            colour = colour + (colour * -1 + ink) * weight
        if below is not None:
            colour = colour.bandjoin(below * full)
        part = colour.rint().cast(picture.format).copy(interpretation=picture.interpretation)
        return picture.insert(part, where.left, where.top)


Edit = Turn | Mark


def merged(marks: Sequence[Mark]) -> Mark:
    """Marks that do not overlap and have layers of the same colours, as one mark over all of their regions."""
    from PIL import Image

    regions = [mark.region for mark in marks]
    left, top = min(region.left for region in regions), min(region.top for region in regions)
    width = max(region.left + region.width for region in regions) - left
    height = max(region.top + region.height for region in regions) - top

    def sheet(mode: str, index: int) -> bytes:
        canvas = Image.new(mode, (width, height))
        for mark in marks:
            where, layer = mark.region, mark.layers[index]
            data = layer.alpha if mode == "L" else layer.pixels or b""
            part = Image.frombuffer(mode, (where.width, where.height), data, "raw", mode, 0, 1)
            canvas.paste(part, (where.left - left, where.top - top))
        return canvas.tobytes()

    layers = [
        Layer(layer.colour, sheet("L", index), None if layer.pixels is None else sheet("RGB", index))
        for index, layer in enumerate(marks[0].layers)
    ]
    return Mark(Region(left, top, width, height), tuple(layers))
