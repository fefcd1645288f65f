"""Honest files of many encoders with something broken in them: the same ones every time, by their number."""

import io
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any, Final

import pillow_heif
import pyvips
from PIL import Image
from tests.hostile.parts import exif_by, icc_segments, moving, photo, srgb_profile, with_segments
from tests.pictures import animation, encoded, jpeg, jpeg_of_scans, upright, vips

EDGES: Final = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)
WORDS: Final = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@cache
def seeds() -> dict[str, bytes]:
    """Valid files: every format, by the encoders of Pillow, libvips and libheif, in their various forms."""
    scene = upright(7, 96, 64)
    by_vips = vips(scene)
    clear = scene.copy()
    clear.putalpha(90)
    return {
        "JPEG": photo(),
        "JPEG of a camera": jpeg(upright(2, 96, 64), orientation=6),
        "JPEG, progressive": encoded(scene, "JPEG", progressive=True),
        "JPEG, 4:4:4 with its own tables": encoded(scene, "JPEG", subsampling=0, optimize=True),
        "JPEG with restarts": encoded(scene, "JPEG", restart_marker_rows=1),
        "JPEG with a profile": with_segments(photo(), *icc_segments(srgb_profile())),
        "JPEG, grey": encoded(scene.convert("L"), "JPEG"),
        "JPEG, CMYK": encoded(scene.convert("CMYK"), "JPEG"),
        "JPEG of many scans": jpeg_of_scans(5),
        "JPEG by libvips": by_vips.jpegsave_buffer(Q=80, interlace=True, trellis_quant=False),
        "PNG": encoded(scene, "PNG"),
        "PNG, palette": encoded(scene.convert("P"), "PNG", transparency=1),
        "PNG, alpha": encoded(clear, "PNG"),
        "PNG, 16 bits": (by_vips.cast("ushort") * 256).cast("ushort").copy(interpretation="rgb16").pngsave_buffer(),
        "PNG, interlaced": by_vips.pngsave_buffer(interlace=True),
        "PNG, animated": encoded(scene, "PNG", save_all=True, append_images=[upright(8, 96, 64)]),
        "WebP": photo("WEBP"),
        "WebP, lossless": encoded(scene, "WEBP", lossless=True),
        "WebP, alpha": encoded(clear, "WEBP"),
        "WebP, animated": animation("WEBP", 2),
        "WebP by libvips": by_vips.webpsave_buffer(Q=50, near_lossless=True, lossless=True),
        "GIF": encoded(scene, "GIF"),
        "GIF, animated": moving("GIF"),
        "GIF by libvips": by_vips.gifsave_buffer(interlace=True),
        "AVIF": photo("AVIF"),
        "AVIF, alpha": encoded(clear, "AVIF", speed=10, max_threads=1),
        "AVIF, animated": moving("AVIF"),
        "AVIF, 4:4:4": encoded(scene, "AVIF", speed=10, max_threads=1, subsampling="4:4:4"),
        "AVIF with EXIF": photo("AVIF", exif=exif_by(b"somebody")),
        "TIFF": photo("TIFF"),
        "TIFF, LZW": photo("TIFF", compression="tiff_lzw"),
        "TIFF by libvips": by_vips.tiffsave_buffer(compression="jpeg", tile=True, tile_width=64, tile_height=64),
        "HEIC": heic(scene),
        "HEIC, alpha": heic(clear),
        "HEIC with EXIF": heic(scene, exif=exif_by(b"somebody")),
    }  # fmt: skip


def heic(scene: Image.Image, **options: Any) -> bytes:
    """A HEIC as libheif writes it."""
    file = io.BytesIO()
    pillow_heif.from_pillow(scene).save(file, quality=60, **options)
    return file.getvalue()


def mutants(count: int) -> Iterator[tuple[str, bytes]]:
    """So many mutants, each with a name that finds it again."""
    names = list(seeds())
    for number in range(count):
        random = Random(number)
        name = names[number % len(names)]
        data = seeds()[name]
        for _ in range(random.choice((1, 1, 2, 4, 8))):
            data = random.choice(_WAYS)(random, data)
        yield f"{number}: {name}", data or b"\xff"


def _at(random: Random, data: bytes) -> int:
    """Somewhere: mostly near the beginning, where the structure is."""
    end = max(1, len(data))
    return random.randrange(min(end, 700) if random.random() < 0.6 else end)


def _flip(random: Random, data: bytes) -> bytes:
    at = _at(random, data)
    return data[:at] + bytes((data[at] ^ 1 << random.randrange(8),)) + data[at + 1 :] if data else data


def _edge(random: Random, data: bytes) -> bytes:
    at = _at(random, data)
    return data[:at] + bytes((random.choice(EDGES),)) + data[at + 1 :]


def _word(random: Random, data: bytes) -> bytes:
    at, size = _at(random, data), random.choice((2, 4))
    word = random.choice(WORDS) & (1 << 8 * size) - 1
    return data[:at] + word.to_bytes(size, random.choice(("big", "little"))) + data[at + size :]


def _cut(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) // 2, len(data) + 1)] if len(data) > 40 else data


def _drop(random: Random, data: bytes) -> bytes:
    at = _at(random, data)
    return data[:at] + data[at + random.randrange(1, 64) :]


def _repeat(random: Random, data: bytes) -> bytes:
    at = _at(random, data)
    part = data[at : at + random.randrange(1, 256)]
    return data[:at] + part * random.choice((2, 3, 50)) + data[at + len(part) :]


def _noise(random: Random, data: bytes) -> bytes:
    at = _at(random, data)
    return data[:at] + random.randbytes(random.randrange(1, 32)) + data[at:]


def _graft(random: Random, data: bytes) -> bytes:
    other = random.choice(list(seeds().values()))
    return data[: _at(random, data)] + other[_at(random, other) :]


_WAYS: Final = (_flip, _flip, _edge, _word, _cut, _drop, _repeat, _noise, _graft)

pyvips.cache_set_max(0)
