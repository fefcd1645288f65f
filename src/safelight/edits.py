"""Sizes and regions of pictures, and the edits that every way of drawing understands: turns, marks and blocks.

How pixels are stored does not matter to them. Importing this loads no image library.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from safelight.pixels import on_premultiplied

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

    def of(self, picture: "pyvips.Image") -> "pyvips.Image":
        """Its pixels."""
        return picture.crop(self.left, self.top, self.width, self.height)


MOST: Final = 4_000_000
"""The most pixels that one operation covers by marks and blocks, which take a few bytes for each."""


def area(regions: Sequence[Region]) -> int:
    """How many pixels they have in all."""
    return sum(where.width * where.height for where in regions)


class Turn(msgspec.Struct, frozen=True):
    """Set upright a picture that is stored with this EXIF orientation, 2 to 8."""

    orientation: int

    def draw(self, picture: "pyvips.Image") -> "pyvips.Image":
        """Turn the pixels. They are gathered first: turning reads columns, and a streaming decoder gives rows."""
        return self.turned(picture.copy_memory())

    def turned(self, picture: "pyvips.Image") -> "pyvips.Image":
        """Turn pixels that can be read in any order."""
        angle, mirrored = UPRIGHT[self.orientation]
        if angle:
            picture = picture.rot(f"d{angle}")
        return picture.fliphor() if mirrored else picture

    def stored(self, region: Region, size: Size) -> Region:
        """Where a region of the upright picture lies on the picture as it is stored, whose size this is."""
        left, top, width, height = region.left, region.top, region.width, region.height
        if self.orientation >= 5:
            left, top, width, height = top, left, height, width
        if self.orientation in (2, 3, 7, 8):
            left = size.width - left - width
        if self.orientation in (3, 4, 6, 7):
            top = size.height - top - height
        return Region(left, top, width, height)


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
        part = where.of(picture)
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


class Coarse(msgspec.Struct, frozen=True):
    """A region in blocks of `side` pixels, from its own corner: each gets its mean, and nothing else of it is left."""

    region: Region
    side: int

    def draw(self, picture: "pyvips.Image") -> "pyvips.Image":
        """Put blocks in place of the region. A block is read whole before its first row is written: the picture must
        be in memory."""
        blocks = self.blocks(self.region.of(picture))
        return picture.insert(blocks, self.region.left, self.region.top)

    def blocks(self, part: "pyvips.Image") -> "pyvips.Image":
        """What becomes of the region's pixels: shrunk to a pixel a block, and that magnified again."""
        columns, rows = -(-part.width // self.side), -(-part.height // self.side)
        whole = part.embed(0, 0, columns * self.side, rows * self.side, extend="copy")
        small = on_premultiplied(whole, lambda pixels: pixels.shrink(self.side, self.side))
        return small.zoom(self.side, self.side).crop(0, 0, part.width, part.height)

    def mark(self, blocks: "pyvips.Image") -> Mark:
        """What became of the region (grey or RGB, 8 bits, no alpha) as a mark that lets nothing through."""
        where = self.region
        values = bytes(blocks.write_to_memory())
        opaque = b"\xff" * (where.width * where.height)
        if blocks.bands == 1:
            # Grey takes no colour for each pixel: white over black, then, as opaque as it is light.
            return Mark(where, (Layer((0, 0, 0), opaque), Layer((255, 255, 255), values)))
        return Mark(where, (Layer((0, 0, 0), opaque, values),))


Edit = Turn | Mark | Coarse


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
