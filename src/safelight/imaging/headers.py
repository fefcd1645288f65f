"""What a file is and how large, read from its own bytes before any decoder sees it.

The magic bytes decide; names and declared types do not. Each reader walks the structure of its format without
decompressing anything, so that its work is bounded by the file's length, and says where that structure breaks off.
Formats: ITU T.81 (JPEG), W3C PNG, GIF89a, RFC 9649 (WebP), ISO 14496-12 and 23008-12 (the boxes of AVIF and HEIC);
TIFF has a module of its own.
"""

import re
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from mmap import mmap
from struct import unpack_from
from typing import Final, Literal

import msgspec

from safelight.config import FORMATS, Settings
from safelight.errors import (
    EmptyFile,
    TooManyFrames,
    TooManyPixels,
    TooManyScans,
    TooMuchMetadata,
    Truncated,
    TypeNotAllowed,
    Unprocessable,
)
from safelight.imaging import tiff

Data = bytes | mmap
ImageFormat = Literal["jpeg", "png", "webp", "gif", "avif", "tiff", "heic"]

MAX_PARTS: Final = 100_000
"""The most segments, chunks, blocks or boxes of a file: an honest PNG of 100 MB has 12,800 of 8 kB."""

MAX_BLOCKS: Final = 2_000_000
"""The most sub-blocks of a GIF: an honest one of 100 MB has 400,000 of 255 bytes."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of itself. Metadata in bytes; width and height as stored."""

    format: ImageFormat
    width: int
    height: int
    frames: int = 1
    interlaced: bool = False
    scans: int = 1
    metadata: int = 0
    lossless: bool = False
    """A WebP without loss."""
    sequential: bool = False
    """Of a JPEG: its first scan holds all of it, in Huffman codes. Others have no row before all is read, or their
    decoder can not stop and go on (arithmetic codes)."""
    pages: int = 1
    """Of a TIFF, whose first one is drawn."""
    photo: bool = True
    """Whether a JPEG can hold it; only told of a TIFF and a HEIC."""

    @property
    def same(self) -> "ImageFormat":
        """What `format: same` makes of it: few browsers show a TIFF or a HEIC, so it becomes a JPEG, or a PNG to
        keep its transparency, its palette or its 16 bits (or its 1, 2 or 4)."""
        if self.format in ("tiff", "heic"):
            return "jpeg" if self.photo else "png"
        return self.format

    def agrees(self, width: int, height: int, frames: int) -> bool:
        """Whether a decoder found what the header says.

        A HEIC is turned and cropped while it is decoded (ISO 23008-12, 6.5): it may be smaller, not larger.
        """
        if self.format == "heic":
            sides, most = sorted((width, height)), sorted((self.width, self.height))
            return frames == 1 and sides[0] <= most[0] and sides[1] <= most[1]
        return (width, height, frames) == (self.width, self.height, self.frames)


def read(data: Data, formats: Collection[str] = FORMATS) -> Header:
    """The header of an allowed file: one of `formats`.

    Raise EmptyFile, TypeNotAllowed (which says what it looks like instead), Truncated or Unprocessable.
    """
    if len(data) == 0:
        raise EmptyFile
    try:
        header = _READERS[sniff(data[:64], formats)](data)
    except (IndexError, struct.error):
        raise Truncated from None
    if header.width < 1 or header.height < 1:
        raise Unprocessable("The image has no pixels: its width or height is 0.")
    return header


def check(header: Header, settings: Settings) -> None:
    """Raise TooManyPixels, TooManyFrames, TooManyScans or TooMuchMetadata if the header breaks a limit."""
    width, height, frames = header.width, header.height, header.frames
    if frames > settings.max_frames:
        raise TooManyFrames(f"The animation has more frames than the {settings.max_frames} that are allowed.")
    if header.pages > settings.max_frames:
        raise TooManyFrames(f"The TIFF has more pages than the {settings.max_frames} that are allowed.")
    if max(width, height) > settings.max_side:
        raise TooManyPixels(
            f"The image has {width} × {height} pixels and a side may have {settings.max_side}; make it smaller."
        )
    if width * height * frames > settings.max_pixels:
        raise TooManyPixels(
            f"The image has {width} × {height} pixels" + (f" in {frames} frames" if frames > 1 else "") + ", "
            f"and {_counted(settings.max_pixels)} are allowed in all; make it smaller."
        )
    if header.interlaced and width * height > settings.max_interlaced_pixels:
        raise TooManyPixels(
            f"The image has {width} × {height} pixels and is interlaced, where "
            f"{_counted(settings.max_interlaced_pixels)} are allowed; save it without interlacing."
        )
    if header.scans > settings.max_scans:
        raise TooManyScans
    if header.metadata > settings.max_metadata:
        raise TooMuchMetadata


def _counted(pixels: int) -> str:
    return f"{pixels / 1e6:g} megapixels" if pixels >= 1_000_000 else str(pixels)


# --- what it is -------------------------------------------------------------------------------------------

_MAGIC: Final[tuple[tuple[bytes, ImageFormat], ...]] = (
    (rb"\xff\xd8\xff", "jpeg"),
    (rb"\x89PNG\r\n\x1a\n", "png"),
    (rb"GIF8[79]a", "gif"),
    (rb"RIFF....WEBP", "webp"),
    (rb"....ftyp(avi[fs]|(mif1|msf1|miaf)....(....)*?avi[fs])", "avif"),
    (rb"....ftyp(hei[cx]|(mif1|miaf)....(....)*?hei[cx])", "heic"),
    (rb"II\*\0|MM\0\*", "tiff"),
)

_OTHERS: Final = (
    (rb"....ftyp(hei|hev|mif1|msf1)", "a HEIC photo or sequence; save it as a JPEG"),
    (rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI |\x00\x00\x01\xba", "a video"),
    (rb"II\+\0|MM\0\+", "a BigTIFF; save it as a plain TIFF, a JPEG or a PNG"),
    (rb"II\*\0|MM\0\*", "a TIFF or raw camera file; save it as a JPEG or PNG"),
    (rb"BM", "a BMP picture; save it as a PNG"),
    (rb"\x00\x00\x00\x0cJXL |\xff\x0a", "a JPEG XL picture; save it as a JPEG"),
    (rb"%PDF", "a PDF document"),
    (rb"8BPS", "a Photoshop document; save it as a JPEG or PNG"),
    (rb"PK\x03\x04", "a ZIP archive or an office document"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*|<!DOCTYPE svg.*)?<svg", "an SVG drawing; save it as a PNG"),
    (rb"\s*<\?xml", "an XML document"),
    (rb"\s*<(!doctype html|html|head|body|script)", "a web page"),
    (rb"[\t\n\r\x20-\x7e]+\Z", "a text file"),
)


_NAMES: Final = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WebP",
    "gif": "GIF",
    "avif": "AVIF",
    "tiff": "TIFF",
    "heic": "HEIC",
}


def sniff(head: bytes, formats: Collection[str] = FORMATS) -> ImageFormat:
    """The format, one of `formats`, that the first 64 bytes show.

    Raise TypeNotAllowed, which says what they look like instead.
    """
    *most, last = (name for key, name in _NAMES.items() if key in formats)
    accepted = f"only {', '.join(most)} and {last} files are" if most else f"only {last} files are"
    for pattern, found in _MAGIC:
        if re.match(pattern, head, re.DOTALL):
            if found in formats:
                return found
            if found not in ("tiff", "heic"):  # of those, and of raw camera files, the list below knows more
                raise TypeNotAllowed(f"The file is a {_NAMES[found]} picture; {accepted} accepted here.")
    for pattern, name in _OTHERS:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
            raise TypeNotAllowed(f"The file looks like {name}; {accepted} accepted here.")
    raise TypeNotAllowed


# --- how large it is --------------------------------------------------------------------------------------

_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0–SOF15 without DHT, JPG, DAC
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


def _jpeg(data: Data) -> Header:
    """Walk the segments, and leap over the entropy-coded data after each scan's header to the next marker.

    A progressive file is not called interlaced: what makes it dear is the number of its scans, which is known here.
    Where the first scan of a sequential file holds all components, no decoder reads another: its data need no look.
    """
    width = height = scans = metadata = components = 0
    sequential = whole = False
    at = 2
    for _ in range(MAX_PARTS):
        marker = _MARKER.search(data, at)
        if marker is None:
            raise Truncated
        code = data[marker.start() + 1]
        if code == 0xD9:
            break
        at = marker.end()
        if code in (0x01, 0xD8):
            continue
        (length,) = unpack_from(">H", data, at)
        if code in _FRAME_HEADERS and not width:
            height, width, components = unpack_from(">HHB", data, at + 3)
            sequential = code in _SEQUENTIAL
        elif code == 0xDA:
            scans += 1
            if sequential and data[at + 2] == components:
                if data.rfind(b"\xff\xd9", at) < 0:
                    raise Truncated
                whole = True
                break
        elif 0xE0 <= code <= 0xEF or code == 0xFE:
            metadata += length
        at += length
    else:
        raise TooManyScans if scans > MAX_PARTS // 2 else TooMuchMetadata
    if not scans:
        raise Unprocessable
    return Header(format="jpeg", width=width, height=height, scans=scans, metadata=metadata, sequential=whole)


def _png(data: Data) -> Header:
    """Walk the chunks to IEND. All but IDAT and the palette count as metadata."""
    width, height = unpack_from(">II", data, 16)
    metadata = 0
    at = 8
    for _ in range(MAX_PARTS):
        length, kind = unpack_from(">I4s", data, at)
        at += 12 + length
        if at > len(data):
            raise Truncated
        if kind == b"IEND":
            break
        if kind not in (b"IDAT", b"PLTE", b"IHDR", b"tRNS"):
            metadata += 12 + length
    else:
        raise TooMuchMetadata
    return Header(format="png", width=width, height=height, interlaced=data[28] == 1, metadata=metadata)


def _gif(data: Data) -> Header:
    """Walk the blocks to the trailer, counting images. A frame must lie inside the screen."""
    width, height, flags = unpack_from("<HHB", data, 6)
    frames = blocks = 0
    at = 13 + _palette(flags)
    for _ in range(MAX_PARTS):
        block = data[at]
        if block == 0x3B:
            break
        if block == 0x2C:
            left, top, w, h, flags = unpack_from("<HHHHB", data, at + 1)
            width, height = max(width, left + w), max(height, top + h)
            frames += 1
            at += 11 + _palette(flags)
        elif block == 0x21:
            at += 2
        else:
            raise Unprocessable
        while (size := data[at]) != 0 and blocks < MAX_BLOCKS:
            at += 1 + size
            blocks += 1
        at += 1
    else:
        raise TooManyFrames if frames > MAX_PARTS // 3 else TooMuchMetadata
    if blocks == MAX_BLOCKS:
        raise Unprocessable
    if not frames:
        raise Unprocessable
    return Header(format="gif", width=width, height=height, frames=frames)


def _palette(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data: Data) -> Header:
    """Walk the chunks; an animation has one ANMF a frame."""
    (length,) = unpack_from("<I", data, 4)
    if 8 + length > len(data):
        raise Truncated
    width = height = frames = metadata = 0
    lossless = False
    at, end = 12, 8 + length
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            break
        kind, length = unpack_from("<4sI", data, at)
        body = at + 8
        if kind == b"VP8X":
            low = unpack_from("<HBHB", data, body + 4)
            width, height = 1 + low[0] + (low[1] << 16), 1 + low[2] + (low[3] << 16)
        elif kind == b"ANMF":
            frames += 1
            lossless |= data[body + 16 : body + 20] == b"VP8L"
        elif kind == b"VP8L":
            lossless = True
            (bits,) = unpack_from("<I", data, body + 1)
            width, height = width or 1 + (bits & 0x3FFF), height or 1 + (bits >> 14 & 0x3FFF)
        elif kind == b"VP8 " and not width:
            width, height = (side & 0x3FFF for side in unpack_from("<HH", data, body + 6))
        elif kind in (b"ICCP", b"EXIF", b"XMP "):
            metadata += length
        at = body + length + length % 2
    else:
        raise TooMuchMetadata
    return Header(
        format="webp", width=width, height=height, frames=max(frames, 1), metadata=metadata, lossless=lossless
    )


_CONTAINERS: Final = {
    b"meta": 4,
    b"iinf": 6,
    b"iprp": 0,
    b"ipco": 0,
    b"moov": 0,
    b"trak": 0,
    b"mdia": 0,
    b"minf": 0,
    b"stbl": 0,
}
"""Boxes that hold boxes, and the bytes before the first of them."""


_DRAWN: Final = frozenset(
    {
        *(b"av01", b"hvc1", b"hev1", b"lhv1", b"vvc1", b"evc1", b"avc1", b"j2k1", b"jpeg", b"unci", b"mski"),
        *(b"grid", b"iden", b"iovl", b"tmap"),
    }
)
"""Kinds of items that are pictures, coded or made of others. What else there is, EXIF and XMP first, is metadata."""


def _avif(data: Data) -> Header:
    """The largest extent of any item or track, and the most samples of any track.

    Colour profiles and the items that are no pictures count as metadata.
    """
    width = height = metadata = parts = 0
    frames = 1
    kinds: dict[int, bool] = {}
    lengths: Counter[int] = Counter()
    for kind, at, end in _boxes(data):
        if kind == b"ispe":
            sides = unpack_from(">II", data, at + 4)
        elif kind == b"tkhd":
            sides = tuple(side >> 16 for side in unpack_from(">II", data, end - 8))
        else:
            sides = (0, 0)
            if kind == b"stsz":
                frames = max(frames, unpack_from(">I", data, at + 8)[0])
            elif kind == b"colr":
                metadata += end - at
            elif kind == b"infe":
                item, drawn = _entry(data, at)
                kinds[item] = drawn and kinds.get(item, True)  # two entries of one item have to agree
            elif kind == b"iloc":
                for item, length in _extents(data, at, end):
                    lengths[item] += length
                    parts += 1
                    if parts > MAX_PARTS:
                        raise TooMuchMetadata
        width, height = max(width, sides[0]), max(height, sides[1])
    metadata += sum(length for item, length in lengths.items() if not kinds.get(item))
    return Header(format="avif", width=width, height=height, frames=frames, metadata=metadata)


def _entry(data: Data, at: int) -> tuple[int, bool]:
    """The number of the item that an entry is about, and whether that is a picture: ISO 14496-12, 8.11.6. Before
    version 2, items had no kinds, and what would be one is no picture's."""
    number, kind = unpack_from(">I2x4s" if data[at] == 3 else ">H2x4s", data, at + 4)
    return number, data[at] >= 2 and kind in _DRAWN


def _extents(data: Data, at: int, end: int) -> Iterator[tuple[int, int]]:
    """The number of an item and the bytes of one of its extents, for each, and once with 0 for each item: ISO 14496-12,
    8.11.3."""
    version, sizes = data[at], unpack_from(">H", data, at + 4)[0]
    offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15 if version else 0
    number = 4 if version == 2 else 2
    count = int.from_bytes(data[at + 6 : at + 6 + number])
    at += 6 + number
    for _ in range(count):
        item = int.from_bytes(data[at : at + number])
        at += number + (2 if version else 0) + 2 + base
        if at + 2 > end:
            raise Truncated
        (extents,) = unpack_from(">H", data, at)
        at += 2
        yield item, 0
        for _ in range(extents):
            at += index + offset
            yield item, min(int.from_bytes(data[at : at + length]), len(data))
            at += length


_ALPHA: Final = re.compile(
    rb"urn:mpeg:(?:avc|hevc):2015:auxid:1\0|urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
)


def _heic(data: Data) -> Header:
    """The boxes of AVIF, around another codec. An auxiliary picture may be the alpha of the primary one."""
    found = _avif(data)
    if found.frames > 1:
        raise Unprocessable("The HEIC is a sequence of pictures; save the one that you mean as a JPEG.")
    clear = any(kind == b"auxC" and _ALPHA.search(data[at:end]) for kind, at, end in _boxes(data))
    return msgspec.structs.replace(found, format="heic", frames=1, photo=not clear)


def _boxes(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of every box that matters, from the outermost in."""
    waiting = [(0, len(data))]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        at, end = waiting.pop()
        if at + 8 > end:
            continue
        length, kind = unpack_from(">I4s", data, at)
        body = at + 8
        if length == 1:
            (length,) = unpack_from(">Q", data, body)
            body += 8
        after = at + length if length else end
        if after > end:
            raise Truncated
        if after < body:
            raise Unprocessable
        waiting.append((after, end))
        if kind in _CONTAINERS:
            # From its version 1 on, a list of items counts them in four bytes.
            more = 2 if kind == b"iinf" and data[body] else 0
            waiting.append((body + _CONTAINERS[kind] + more, after))
        else:
            yield kind, body, after
    raise TooMuchMetadata


def _tiff(data: Data) -> Header:
    """The first page; `pages` counts them all."""
    page = tiff.read(data)
    return Header(
        format="tiff",
        width=page.width,
        height=page.height,
        pages=page.pages,
        metadata=page.metadata,
        photo=page.photo,
    )


_READERS: Final = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "avif": _avif,
    "tiff": _tiff,
    "heic": _heic,
}
