"""What a TIFF says of itself: its first page, how many there are, and whether it is of the kind that is drawn here.

TIFF holds nearly anything. Drawn is what scanners and editors write: 1 to 16 bits a sample, grey, RGB, a palette or
CMYK, in strips or tiles, in the compressions below. All else is refused before a decoder is asked. Every offset is
checked against the file's length. Format: TIFF 6.0 and its technical notes 1 and 2; DNG 1.7 for what is raw.
"""

import struct
from collections.abc import Iterator
from mmap import mmap
from struct import unpack_from
from typing import Final, NamedTuple

from safelight.errors import TooManyFrames, TooMuchMetadata, Truncated, TypeNotAllowed, Unprocessable

Data = bytes | mmap

MAX_ENTRIES: Final = 100_000
"""The most entries of all directories together, and the most strips or tiles of a page."""

MAX_TILE: Final = 4096
"""The longest side of a tile that is longer than its page, in pixels: one is decoded whole, whatever the page needs."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_BYTES, _PALETTE = 273, 277, 279, 320
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_KIND, _EXTRA, _SAMPLE_FORMAT, _JPEG_TABLES, _RAW = 254, 338, 339, 347, 50706

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, by its type."""

_NUMBERS: Final = {1: "B", 3: "H", 4: "I"}
"""How `struct` calls the types that sizes, offsets and codes have."""

_PIXELS: Final = frozenset({_BITS, _STRIPS, _STRIP_BYTES, _PALETTE, _TILES, _TILE_BYTES, _JPEG_TABLES})
"""What is no metadata, however large."""

_COMPRESSIONS: Final = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
"""None, fax, LZW, JPEG (not that of TIFF 6.0, which nobody could read), deflate, PackBits."""

_YCBCR: Final = 6
_JPEG: Final = 7
_COLOURS: Final = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, _YCBCR: 3}
"""Samples that a pixel's colour takes: white is 0, black is 0, RGB, palette, CMYK, YCbCr."""

_CAN_HAVE_ALPHA: Final = frozenset({0, 1, 2})


class Page(NamedTuple):
    """The first page, and what counts for the whole file. Metadata in bytes."""

    width: int
    height: int
    pages: int
    metadata: int
    photo: bool
    """Whether a JPEG can hold it: 8 bits a sample, no transparency, no palette."""


class _Entry(NamedTuple):
    kind: int
    length: int
    at: int
    """Where the values are."""


def read(data: Data) -> Page:
    """The first page. Raise Truncated, Unprocessable, TypeNotAllowed (raw camera files), TooManyFrames or
    TooMuchMetadata; IndexError or struct.error where the file ends too early.
    """
    order = "<" if data[:2] == b"II" else ">"
    first: dict[int, _Entry] = {}
    pages = metadata = 0
    for entries in _directories(data, order):
        pages += 1
        metadata += sum(_SIZES.get(e.kind, 1) * e.length for tag, e in entries.items() if tag not in _PIXELS)
        first = first or entries
    values = _Values(data, order, first)
    _check_kind(values)
    width, height = values.one(_WIDTH, 0), values.one(_HEIGHT, 0)
    _check_pixels(values, len(data), width, height)
    photo = _check_colours(values)
    return Page(width, height, pages, metadata, photo)


def _directories(data: Data, order: str) -> Iterator[dict[int, _Entry]]:
    """The directory of each page. Each is at least as long as one entry, so MAX_ENTRIES bounds them all."""
    (at,) = unpack_from(order + "I", data, 4)
    seen: set[int] = set()
    left = MAX_ENTRIES
    while at:
        if at in seen:
            raise Unprocessable("The pages of the TIFF follow each other for ever; save it anew.")
        seen.add(at)
        (count,) = unpack_from(order + "H", data, at)
        left -= max(1, count)
        if left < 0:
            raise TooManyFrames if len(seen) > MAX_ENTRIES // 100 else TooMuchMetadata
        if not count:
            raise Unprocessable("A page of the TIFF says nothing of itself; save it anew.")
        yield dict(_entries(data, order, at + 2, count))
        (at,) = unpack_from(order + "I", data, at + 2 + 12 * count)


def _entries(data: Data, order: str, at: int, count: int) -> Iterator[tuple[int, _Entry]]:
    for place in range(at, at + 12 * count, 12):
        tag, kind, length, value = unpack_from(order + "HHII", data, place)
        size = _SIZES.get(kind, 1) * length
        start = place + 8 if size <= 4 else value
        if start + size > len(data):
            raise Truncated
        yield tag, _Entry(kind, length, start)


class _Values:
    """The numbers of a directory's entries."""

    def __init__(self, data: Data, order: str, entries: dict[int, _Entry]) -> None:
        self._data, self._order, self._entries = data, order, entries

    def all(self, tag: int) -> tuple[int, ...]:
        """The values of a tag; none where it is not there. Raise Unprocessable if they are no whole numbers."""
        entry = self._entries.get(tag)
        if entry is None:
            return ()
        if entry.kind not in _NUMBERS:
            raise Unprocessable
        if entry.length > MAX_ENTRIES:
            raise Unprocessable("The TIFF is cut into too many pieces; save it with larger strips or tiles.")
        return struct.unpack_from(f"{self._order}{entry.length}{_NUMBERS[entry.kind]}", self._data, entry.at)

    def one(self, tag: int, otherwise: int) -> int:
        """The first value of a tag."""
        return next(iter(self.all(tag)), otherwise)

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries


def _check_kind(values: _Values) -> None:
    """Raise TypeNotAllowed for a raw file: its first page is marked as one, or is the preview of another."""
    if _RAW in values or values.one(_KIND, 0) & 1:
        raise TypeNotAllowed(
            "The file looks like a raw camera file; develop it, and save it as a JPEG or TIFF."
        )


def _check_pixels(values: _Values, length: int, width: int, height: int) -> None:
    """Raise Truncated if strips or tiles lie outside the file, Unprocessable if a decoder has no use for them."""
    compression = values.one(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise Unprocessable(
            f"The TIFF is compressed in a way that is not read here ({compression}); save it with LZW or deflate."
        )
    tiled = _TILES in values
    if tiled:
        across, down = values.one(_TILE_WIDTH, 0), values.one(_TILE_HEIGHT, 0)
        if not 0 < across <= max(width, MAX_TILE) or not 0 < down <= max(height, MAX_TILE):
            raise Unprocessable("The tiles of the TIFF are larger than its picture; save it in strips.")
    offsets = values.all(_TILES if tiled else _STRIPS)
    lengths = values.all(_TILE_BYTES if tiled else _STRIP_BYTES)
    if not offsets or len(lengths) != len(offsets):
        raise Unprocessable("The TIFF does not say where its pixels are; save it anew.")
    if any(at + size > length for at, size in zip(offsets, lengths, strict=True)):
        raise Truncated


def _check_colours(values: _Values) -> bool:
    """Whether a JPEG can hold the page. Raise Unprocessable for samples or colours that are not drawn here."""
    colours = values.one(_PHOTOMETRIC, 1)
    bits = set(values.all(_BITS) or (1,))
    samples = values.one(_SAMPLES, 1)
    if colours not in _COLOURS or (colours == _YCBCR and values.one(_COMPRESSION, 1) != _JPEG):
        raise Unprocessable("The TIFF has colours of a kind that is not read here; save it as RGB.")
    extra = samples - _COLOURS[colours]
    if extra not in ((0, 1) if colours in _CAN_HAVE_ALPHA else (0,)):
        raise Unprocessable("The TIFF has more channels than colours and transparency; save it without them.")
    several = _COLOURS[colours] > 1 or extra
    if bits not in ({8}, {16}) and (several or bits not in ({1}, {2}, {4})):
        raise Unprocessable(
            "The TIFF has samples of a size that is not read here; save it with 8 or 16 bits."
        )
    if set(values.all(_SAMPLE_FORMAT)) - {1}:
        raise Unprocessable("The TIFF has samples that are no plain numbers; save it with 8 or 16 bits.")
    return bits == {8} and not extra and colours != 3
