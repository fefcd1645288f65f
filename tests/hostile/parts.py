"""What files are made of: segments, chunks and boxes, put together by hand, so that they can be put together wrong."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from struct import pack
from typing import Any

from PIL import Image, ImageOps
from tests.pictures import chunk, encoded, upright

PNG = b"\x89PNG\r\n\x1a\n"


@cache
def photo(kind: str = "JPEG", width: int = 96, height: int = 64, **options: Any) -> bytes:
    """A small honest picture."""
    if kind == "AVIF":
        options = {"speed": 10, "max_threads": 1} | options
    return encoded(upright(3, width, height), kind, **options)


@cache
def moving(kind: str, frames: int = 3) -> bytes:
    """A small honest animation."""
    first, *rest = [upright(seed, 48, 32) for seed in range(frames)]
    options: dict[str, Any] = {"speed": 10, "max_threads": 1} if kind == "AVIF" else {}
    return encoded(first, kind, save_all=True, append_images=rest, duration=50, **options)


# --- JPEG -------------------------------------------------------------------------------------------------


def segment(code: int, content: bytes) -> bytes:
    """A JPEG segment."""
    return bytes((0xFF, code)) + pack(">H", len(content) + 2) + content


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments right after its beginning."""
    return data[:2] + b"".join(segments) + data[2:]


def resized(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header tells another size."""
    at = next(at for code, at, _ in segments(data) if code in (0xC0, 0xC1, 0xC2))
    return data[: at + 5] + pack(">HH", height, width) + data[at + 9 :]


def with_frame_byte(data: bytes, offset: int, value: int) -> bytes:
    """A JPEG with one byte of its frame header changed: 4 is the precision, 9 the number of channels."""
    at = next(at for code, at, _ in segments(data) if code in (0xC0, 0xC1, 0xC2))
    return data[: at + offset] + bytes((value,)) + data[at + offset + 1 :]


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, beginning and end of every segment; the entropy-coded data belongs to its scan's header."""
    at = 2
    while at < len(data):
        code = data[at + 1]
        if code == 0xD9:
            yield code, at, at + 2
            return
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if code == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        yield code, at, end
        at = end


# --- PNG --------------------------------------------------------------------------------------------------


def png(
    width: int,
    height: int,
    *,
    pixels: bytes | None = None,
    depth: int = 8,
    colour: int = 2,
    interlaced: int = 0,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG; `pixels` are compressed as they are, and black where there are none."""
    if pixels is None:
        bits = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * depth * width
        row = bytes((bits + 7) // 8 + 1)
        packer = zlib.compressobj(6)
        data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    else:
        data = zlib.compress(pixels, 6)
    head = pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return PNG + chunk(b"IHDR", head) + before + chunk(b"IDAT", data) + after + chunk(b"IEND", b"")


def inflating(megabytes: int) -> bytes:
    """Zeros, compressed a thousandfold."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


# --- GIF --------------------------------------------------------------------------------------------------


def gif(width: int, height: int, *blocks: bytes) -> bytes:
    """A GIF with a palette of two."""
    return (
        b"GIF89a"
        + pack("<HHBBB", width, height, 0x80, 0, 0)
        + b"\0\0\0\xff\xff\xff"
        + b"".join(blocks)
        + b";"
    )


def gif_frame(width: int = 1, height: int = 1, left: int = 0, top: int = 0) -> bytes:
    """A frame with the data of one pixel, whatever its size."""
    return b"\x2c" + pack("<HHHHB", left, top, width, height, 0) + b"\x02\x02\x44\x01\0"


def gif_comment(content: bytes) -> bytes:
    """A comment of any length."""
    blocks = [content[at : at + 255] for at in range(0, len(content), 255)]
    return b"!\xfe" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"


# --- WebP -------------------------------------------------------------------------------------------------


def riff(*chunks: bytes) -> bytes:
    """A WebP file of these chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + pack("<I", len(body)) + body


def riff_chunk(kind: bytes, content: bytes) -> bytes:
    """One of its chunks."""
    return kind + pack("<I", len(content)) + content + bytes(len(content) % 2)


def canvas(width: int, height: int, flags: int) -> bytes:
    """The header of the extended form; flags: 2 animation, 4 XMP, 8 EXIF, 32 ICC."""
    return riff_chunk(b"VP8X", pack("<I", flags) + _three(width - 1) + _three(height - 1))


def webp_frames(width: int, height: int, count: int) -> bytes:
    """An animation that shows one flat picture again and again."""
    still = encoded(Image.new("RGB", (width, height), (1, 2, 3)), "WEBP", lossless=True, method=0)[12:]
    frame = riff_chunk(
        b"ANMF", bytes(6) + _three(width - 1) + _three(height - 1) + _three(10) + b"\0" + still
    )
    return riff(canvas(width, height, 2), riff_chunk(b"ANIM", bytes(6)), frame * count)


def _three(value: int) -> bytes:
    return pack("<I", value)[:3]


# --- AVIF -------------------------------------------------------------------------------------------------


def box(kind: bytes, content: bytes = b"", *, length: int | None = None) -> bytes:
    """A box; `length` lies about it."""
    return pack(">I", 8 + len(content) if length is None else length) + kind + content


AVIF = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")


def avif_of(extent: tuple[int, int]) -> bytes:
    """An AVIF whose item is told to have this size."""
    data = photo("AVIF")
    at = data.index(b"ispe") + 8
    return data[:at] + pack(">II", *extent) + data[at + 8 :]


# --- TIFF and EXIF ----------------------------------------------------------------------------------------


def ifd(*entries: tuple[int, int, int, int], then: int = 0) -> bytes:
    """A directory of (tag, type, count, value or offset), little-endian, and where the next one is."""
    return pack("<H", len(entries)) + b"".join(pack("<HHII", *entry) for entry in entries) + pack("<I", then)


def exif_by(artist: bytes) -> bytes:
    """EXIF that names an artist."""
    at = 8 + 2 + 12 + 4
    return b"Exif\0\0II*\0\x08\0\0\0" + ifd((0x013B, 2, len(artist) + 1, at)) + artist + b"\0"


def tiff(directory: bytes) -> bytes:
    """A TIFF, or the inside of EXIF, that begins with this directory."""
    return b"II*\0" + pack("<I", 8) + directory


def exif_segment(content: bytes) -> bytes:
    """EXIF in a JPEG."""
    return segment(0xE1, b"Exif\0\0" + content)


# --- ICC --------------------------------------------------------------------------------------------------


def srgb_profile() -> bytes:
    """An honest colour profile."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def icc_segments(profile: bytes) -> list[bytes]:
    """A profile, cut into a JPEG's segments."""
    parts = [profile[at : at + 65_000] for at in range(0, len(profile), 65_000)]
    return [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number, len(parts))) + part)
        for number, part in enumerate(parts, 1)
    ]


def read_back(data: bytes) -> Image.Image:
    """The picture as a viewer shows it, all of its pixels read."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return ImageOps.exif_transpose(image)
