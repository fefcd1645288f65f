"""Files that are small to send and dear to open: pixels, frames, scans, metadata, compressed nothing."""

from struct import pack, unpack_from

from tests.hostile.parts import (
    AVIF,
    avif_of,
    box,
    canvas,
    exif_by,
    exif_segment,
    gif,
    gif_comment,
    gif_frame,
    icc_segments,
    ifd,
    inflating,
    moving,
    photo,
    png,
    resized,
    riff,
    riff_chunk,
    segment,
    tiff,
    webp_frames,
    with_segments,
)
from tests.hostile.verdicts import DONE, File
from tests.pictures import chunk, encoded, jpeg_of_scans, upright


def progressive(width: int, height: int) -> bytes:
    """A progressive JPEG of a few hundred bytes that tells of a huge picture."""
    return resized(encoded(upright(0, 16, 16), "JPEG", progressive=True), width, height)


def flat_webp(width: int, height: int) -> bytes:
    """A lossless WebP of one colour: 40 bytes for any size."""
    from PIL import Image

    return encoded(Image.new("RGB", (width, height), (1, 2, 3)), "WEBP", lossless=True, method=0)


def told_webp(width: int, height: int) -> bytes:
    """A lossless WebP that tells of a size, which would take long to compress."""
    small = flat_webp(16, 16)
    (bits,) = unpack_from("<I", small, 21)
    return small[:21] + pack("<I", bits & 0xF0000000 | (height - 1) << 14 | (width - 1)) + small[25:]


def avif_samples(count: int) -> bytes:
    """An AVIF sequence that tells of so many samples."""
    data = moving("AVIF")
    at = data.index(b"stsz") + 12
    return data[:at] + pack(">I", count) + data[at + 4 :]


FILES: dict[str, File] = {
    # pixels
    "PNG 30000 × 30000, 1 bit": File(lambda: png(30_000, 30_000, depth=1, colour=0), "too_many_pixels"),
    "PNG 30000 × 30000, interlaced": File(
        lambda: png(30_000, 30_000, interlaced=1, pixels=bytes(1000)), "too_many_pixels"
    ),
    "PNG 12000 × 12000": File(lambda: png(12_000, 12_000, depth=1, colour=0), "too_many_pixels"),
    "PNG 1 × 40,000,000": File(
        lambda: png(1, 40_000_000, depth=1, colour=0, pixels=bytes(1000)), "too_many_pixels"
    ),
    "PNG 1,000,000 × 50": File(lambda: png(1_000_000, 50, depth=1, colour=0), "too_many_pixels"),
    "PNG 2³¹ × 2³¹": File(lambda: png(2**31 - 1, 2**31 - 1, pixels=b""), "too_many_pixels"),
    "interlaced PNG 4001 × 4000": File(
        lambda: png(4001, 4000, depth=1, colour=0, interlaced=1), "too_many_pixels"
    ),
    "progressive JPEG 20000 × 20000": File(lambda: progressive(20_000, 20_000), "too_many_pixels"),
    "JPEG 65535 × 65535": File(lambda: resized(photo(), 65_535, 65_535), "too_many_pixels"),
    "JPEG 65535 × 1": File(lambda: resized(photo(), 65_535, 1), "too_many_pixels"),
    "JPEG 1 × 65535": File(lambda: resized(photo(), 1, 65_535), "too_many_pixels"),
    "WebP 16383 × 16383": File(lambda: told_webp(16_383, 16_383), "too_many_pixels"),
    "WebP with a canvas of 2²⁴ × 2²⁴": File(
        lambda: riff(canvas(2**24, 2**24, 0), photo("WEBP")[12:]), "too_many_pixels"
    ),
    "GIF with a screen of 65535 × 65535": File(lambda: gif(65_535, 65_535, gif_frame()), "too_many_pixels"),
    "GIF with a frame of 65535 × 65535": File(
        lambda: gif(1, 1, gif_frame(65_535, 65_535)), "too_many_pixels"
    ),
    "AVIF 65535 × 65535": File(lambda: avif_of((65_535, 65_535)), "too_many_pixels"),
    "AVIF 2³² × 2³²": File(lambda: avif_of((2**32 - 1, 2**32 - 1)), "too_many_pixels"),
    # at the limit: dear, but within every bound
    "WebP 6000 × 6000": File(lambda: flat_webp(6_000, 6_000), DONE),
    "WebP 8000 × 8000": File(lambda: flat_webp(8_000, 8_000), DONE, "render_crashed"),
    "PNG 8000 × 8000, 1 bit": File(lambda: png(8_000, 8_000, depth=1, colour=0), DONE),
    "PNG 4 × 16384": File(lambda: png(4, 16_384), DONE),
    "interlaced PNG 2000 × 2000 that lies": File(
        lambda: png(2_000, 2_000, depth=1, colour=0, interlaced=1), "truncated", "unprocessable", DONE
    ),
    # frames
    "GIF of 10,000 frames": File(lambda: gif(1, 1, gif_frame() * 10_000), "too_many_frames"),
    "GIF of 101 frames": File(lambda: gif(1, 1, gif_frame() * 101), "too_many_frames"),
    "GIF of 100 frames of 1000 × 1000": File(lambda: gif(1000, 1000, gif_frame() * 100), "too_many_pixels"),
    "GIF of 100,000 frames of 65535 × 65535": File(
        lambda: gif(65_535, 65_535, gif_frame() * 100_000), "too_many_frames"
    ),
    "WebP of 2,000 frames of 4000 × 4000": File(lambda: webp_frames(4000, 4000, 2000), "too_many_frames"),
    "WebP of 60 frames of 4000 × 4000": File(lambda: webp_frames(4000, 4000, 60), "too_many_pixels"),
    "AVIF of 2³² samples": File(lambda: avif_samples(2**32 - 1), "too_many_frames"),
    "AVIF of 101 samples": File(lambda: avif_samples(101), "too_many_frames"),
    # scans
    "JPEG of 2,080 scans": File(lambda: jpeg_of_scans(2080), "too_many_scans"),
    "JPEG of 101 scans": File(lambda: jpeg_of_scans(91), "too_many_scans"),
    "JPEG of 100 scans": File(lambda: jpeg_of_scans(90), DONE, "unprocessable"),
    # metadata
    "JPEG with 16 MB of ICC": File(
        lambda: with_segments(photo(), *icc_segments(bytes(255 * 65_000))), "too_much_metadata"
    ),
    "JPEG with 20 MB of EXIF": File(
        lambda: with_segments(photo(), *[exif_segment(tiff(ifd()) + bytes(65_000))] * 310),
        "too_much_metadata",
    ),
    "JPEG with 5 MB of comments": File(
        lambda: with_segments(photo(), *[segment(0xFE, bytes(65_000))] * 80), "too_much_metadata"
    ),
    "JPEG with 1,000,000 empty segments": File(
        lambda: with_segments(photo(), segment(0xE5, b"") * 1_000_000), "too_much_metadata"
    ),
    "JPEG with 1,000,000 markers of no length": File(
        lambda: with_segments(photo(), b"\xff\x01" * 1_000_000), "too_much_metadata"
    ),
    "GIF with a comment of 3,000,000 blocks": File(
        lambda: gif(1, 1, b"!\xfe" + b"\1a" * 3_000_000 + b"\0", gif_frame()), "unprocessable"
    ),
    "GIF of 200,000 empty comments": File(
        lambda: gif(1, 1, b"!\xfe\0" * 200_000, gif_frame()), "too_much_metadata"
    ),
    "PNG with zTXt that inflates to 200 MB": File(
        lambda: png(16, 16, before=chunk(b"zTXt", b"Comment\0\0" + inflating(200))), DONE, "unprocessable"
    ),
    "PNG with iCCP that inflates to 200 MB": File(
        lambda: png(16, 16, before=chunk(b"iCCP", b"x\0\0" + inflating(200))), DONE, "unprocessable"
    ),
    "PNG with 300 zTXt that inflate to 8 MB each": File(
        lambda: png(16, 16, before=chunk(b"zTXt", b"Comment\0\0" + inflating(8)) * 300), DONE, "unprocessable"
    ),
    "PNG with 5 MB of tEXt": File(
        lambda: png(16, 16, before=chunk(b"tEXt", b"k\0" + bytes(5_000_000))), "too_much_metadata"
    ),
    "PNG of 100,000 chunks": File(
        lambda: png(16, 16, before=chunk(b"tEXt", b"k\0v") * 100_000), "too_much_metadata"
    ),
    "PNG whose pixels inflate to 200 MB": File(
        lambda: png(16, 16, pixels=b"").replace(
            chunk(b"IDAT", b"x\x9c\x03\0\0\0\0\x01"), chunk(b"IDAT", inflating(200))
        ),
        DONE,
        "unprocessable",
        "truncated",
    ),
    "WebP with 5 MB of XMP": File(
        lambda: riff(canvas(96, 64, 4), photo("WEBP")[12:], riff_chunk(b"XMP ", bytes(5_000_000))),
        "too_much_metadata",
    ),
    "WebP of 200,000 chunks": File(
        lambda: riff(canvas(96, 64, 0), riff_chunk(b"JUNK", b"") * 200_000, photo("WEBP")[12:]),
        "too_much_metadata",
    ),
    "GIF with 5 MB of comments": File(
        lambda: gif(1, 1, gif_comment(bytes(5_000_000)), gif_frame()), DONE, "too_much_metadata"
    ),
    "AVIF of 200,000 boxes": File(lambda: photo("AVIF") + box(b"free") * 200_000, "too_much_metadata"),
    "AVIF with 5 MB of EXIF": File(
        lambda: photo("AVIF", exif=exif_by(bytes(5_000_000))), "too_much_metadata"
    ),
    "AVIF with XMP that is told to be 4 GB": File(
        lambda: with_items(photo("AVIF", xmp=b"<x/>"), 0xFFFFFFFF), DONE, "truncated", "unprocessable"
    ),
    "AVIF of 1,000 tables of places": File(
        lambda: photo("AVIF") + box(b"iloc", b"\0\0\0\0\0\0\0\1\0\1\0\0\xff\xff") * 1000, "too_much_metadata"
    ),
    "AVIF of 4 billion places": File(
        lambda: AVIF + box(b"meta", bytes(4) + box(b"iloc", b"\2\0\0\0\0\0" + b"\xff" * 1000)),
        *("truncated", "unprocessable", "too_much_metadata"),
    ),
    "AVIF with meta in meta, 10,000 deep": File(
        lambda: AVIF + box(b"meta", nested(10_000)), "truncated", "unprocessable", "too_much_metadata"
    ),
}


def with_items(data: bytes, length: int) -> bytes:
    """An AVIF whose last item is told to be so long."""
    at = data.index(b"iloc") - 4
    after = at + int.from_bytes(data[at : at + 4])
    return data[: after - 4] + pack(">I", length) + data[after:]


def nested(depth: int) -> bytes:
    """Boxes in boxes, the outermost first."""
    content = b""
    for _ in range(depth):
        content = box(b"meta", bytes(4) + content)
    return bytes(4) + content
