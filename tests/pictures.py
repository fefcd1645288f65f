"""Pictures for tests, made by code, and how alike two of them are."""

import io
import struct
import zlib
from functools import lru_cache
from typing import Any

import pyvips
from PIL import Image

from safelight.imaging.sample import scene

WIDTH, HEIGHT = 160, 120

ORIENTATIONS = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}
"""How a camera with this EXIF orientation stores an upright scene (EXIF 2.32, 4.6.4, tag 274)."""


def upright(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A small scene without noise: what matters shows, and it compresses well."""
    return Image.frombytes("RGB", (width, height), _scene_of(seed, width, height))


@lru_cache(maxsize=64)  # drawn of hundreds of operations, and asked for by nearly every test of pictures
def _scene_of(seed: int, width: int, height: int) -> bytes:
    pixels = scene(width * 2, height * 2, seed).resize(0.5).gaussblur(0.8)
    assert (pixels.width, pixels.height) == (width, height)
    return bytes(pixels.write_to_memory())


def vips(image: Image.Image) -> Any:
    """The same for libvips."""
    bands = len(image.getbands())
    pixels = pyvips.Image.new_from_memory(image.tobytes(), image.width, image.height, bands, "uchar")
    return pixels.copy(interpretation="srgb" if bands > 2 else "b-w")


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:  # noqa: A002 - Pillow's own name for it
    """The picture as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def jpeg(image: Image.Image | None = None, orientation: int = 1, **options: Any) -> bytes:
    """A photo as a camera stores it, with GPS, a comment and an orientation."""
    image = image or upright()
    for turn in ORIENTATIONS[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[0x001D] = "2026:01:01"
    options = {"quality": 95, "subsampling": "4:4:4", "exif": exif, "comment": b"<script>"} | options
    return encoded(image, "JPEG", **options)


def animation(format: str, frames: int = 3) -> bytes:  # noqa: A002
    """Different scenes, shown for 50, 100, 150 ... milliseconds, three times over where the format can say so."""
    first, *rest = [upright(seed) for seed in range(frames)]
    options: dict[str, Any] = {"duration": [50 * (i + 1) for i in range(frames)], "loop": 3}
    if format == "WEBP":
        options |= {"quality": 95}
    if format == "AVIF":
        options |= {"quality": 95, "speed": 10, "max_threads": 1}
    return encoded(first, format, save_all=True, append_images=rest, **options)


def frames(data: bytes) -> list[Image.Image]:
    """All frames of a file as RGBA."""
    image = Image.open(io.BytesIO(data))
    found = []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        found.append(image.convert("RGBA"))
    return found


def likeness(one: Image.Image, other: Image.Image) -> float:
    """The mean structural similarity of two pictures of one size: 1 for the same, near 0 for unrelated ones.

    Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment (IEEE TIP 13(4), 2004), equation 13, with their Gaussian
    window of 1.5 pixels; the worst of the channels counts.
    """
    return float(min(band.avg() for band in likenesses(one, other).bandsplit()))


def likenesses(one: Image.Image, other: Image.Image) -> Any:
    """The same for each pixel, a band a channel."""
    assert one.size == other.size, f"{one.size} is not {other.size}"
    x, y = (vips(image.convert("RGBA")).cast("float") for image in (one, other))

    def blur(image: Any) -> Any:
        return image.gaussblur(1.5, precision="float")

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    return ((mx * my * 2 + c1) * (vxy * 2 + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))


# --- files that mean no good ------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_flood(width: int, height: int, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """A PNG of black pixels, one bit each: many pixels in few bytes."""
    row = b"\0" * ((width + 7) // 8 + 1)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, int(interlaced))
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg_of_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(upright(), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


def jpeg_with_segments(count: int) -> bytes:
    """A JPEG with so many APP1 segments of 64 kB."""
    data = encoded(upright(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 65535) + b"\xff" * 65533
    return data[:2] + segment * count + data[2:]


def gif_of_frames(count: int) -> bytes:
    """A GIF of one pixel, so many times."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * count + b";"
