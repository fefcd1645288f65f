"""Files whose parts contradict each other: sizes, types, structures that lead in a circle, channels nobody expects."""

import io
import struct
import zipfile
from struct import pack

from tests.hostile.parts import (
    AVIF,
    avif_of,
    box,
    canvas,
    exif_segment,
    gif,
    gif_frame,
    icc_segments,
    ifd,
    moving,
    photo,
    png,
    resized,
    riff,
    riff_chunk,
    segment,
    srgb_profile,
    tiff,
    with_frame_byte,
    with_segments,
)
from tests.hostile.verdicts import BROKEN, DONE, File
from tests.pictures import chunk, encoded, upright


def archive() -> bytes:
    """A ZIP file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("evil.js", "CANARY" * 20)
    return file.getvalue()


def zip_bomb() -> bytes:
    """A ZIP file that unpacks to 100 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(100_000_000))
    return file.getvalue()


def cmyk(**options: object) -> bytes:
    """A JPEG in ink."""
    return encoded(upright(5, 64, 48).convert("CMYK"), "JPEG", **options)


def changed(data: bytes, what: bytes, to: bytes, offset: int = 0) -> bytes:
    """A file with the bytes at `offset` behind the first `what` replaced."""
    at = data.index(what) + len(what) + offset
    return data[:at] + to + data[at + len(to) :]


def item_that_uses_itself() -> bytes:
    """An AVIF whose only item is derived from itself."""
    data = photo("AVIF")
    at = data.index(b"meta") - 4
    (length,) = struct.unpack_from(">I", data, at)
    circle = box(b"iref", bytes(4) + box(b"dimg", pack(">HHH", 1, 1, 1)))
    meta = pack(">I", length + len(circle)) + data[at + 4 : at + length] + circle
    return data[:at] + meta + data[at + length :]


def exif_in_a_circle() -> bytes:
    """EXIF whose directories follow each other for ever, and whose sub-directories are their own parents."""
    return tiff(ifd((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0x0112, 3, 1, 6), then=8))


SIZES: dict[str, File] = {
    "JPEG that is smaller than it says": File(lambda: resized(photo(), 4000, 3000), DONE, *BROKEN),
    "JPEG that is larger than it says": File(lambda: resized(photo(), 8, 8), DONE, *BROKEN),
    "JPEG without width": File(lambda: resized(photo(), 0, 64), "unprocessable"),
    "JPEG without height": File(lambda: resized(photo(), 96, 0), "unprocessable"),
    "JPEG with two frame headers": File(
        lambda: with_segments(photo(), segment(0xC0, b"\x08" + pack(">HH", 8, 8) + b"\x01\x01\x11\0")),
        *BROKEN,
    ),
    "PNG that is smaller than it says": File(lambda: png(4000, 3000, pixels=bytes(1000)), *BROKEN),
    "PNG that is larger than it says": File(lambda: png(4, 4, pixels=bytes(100_000)), DONE, *BROKEN),
    "PNG of 0 × 0": File(lambda: png(0, 0, pixels=b""), "unprocessable"),
    "PNG with two headers": File(
        lambda: png(16, 16, before=chunk(b"IHDR", pack(">IIBBBBB", 9999, 9999, 8, 2, 0, 0, 0))), DONE, *BROKEN
    ),
    "PNG without pixels": File(lambda: photo("PNG")[:33] + chunk(b"IEND", b""), *BROKEN),
    "PNG without its palette": File(lambda: png(16, 16, colour=3), DONE, *BROKEN),
    "PNG with a wrong checksum": File(lambda: photo("PNG")[:29] + bytes(4) + photo("PNG")[33:], *BROKEN),
    "PNG of depth 3": File(lambda: png(16, 16, depth=3), *BROKEN),
    "PNG of colour type 5": File(
        lambda: png(16, 16).replace(b"\x08\x02\0\0\0", b"\x08\x05\0\0\0", 1), *BROKEN
    ),
    "PNG with a chunk of 4 GB": File(
        lambda: photo("PNG")[:33] + pack(">I", 2**32 - 1) + b"IDAT", "truncated"
    ),
    "GIF of 0 × 0": File(lambda: gif(0, 0, gif_frame(0, 0)), "unprocessable"),
    "GIF without frames": File(lambda: gif(10, 10), "unprocessable"),
    "GIF with a frame outside the screen": File(lambda: gif(10, 10, gif_frame(10, 10, 9, 9)), DONE, *BROKEN),
    "GIF with a frame of 4000 × 4000 and data of one pixel": File(
        lambda: gif(1, 1, gif_frame(4000, 4000)), DONE, *BROKEN
    ),
    "WebP with a canvas larger than its picture": File(
        lambda: riff(canvas(4000, 4000, 0), photo("WEBP")[12:]), *BROKEN
    ),
    "WebP with a canvas smaller than its picture": File(
        lambda: riff(canvas(8, 8, 0), photo("WEBP")[12:]), *BROKEN
    ),
    "WebP that is longer than its file": File(
        lambda: changed(photo("WEBP"), b"RIFF", pack("<I", 2**32 - 9)), "truncated"
    ),
    "WebP without a picture": File(lambda: riff(canvas(8, 8, 0)), *BROKEN),
    "WebP animation without frames": File(
        lambda: riff(canvas(8, 8, 2), riff_chunk(b"ANIM", bytes(6))), *BROKEN
    ),
    "AVIF of 0 × 0": File(lambda: avif_of((0, 0)), "unprocessable", *BROKEN),
    "AVIF that is smaller than it says": File(lambda: avif_of((4000, 4000)), DONE, *BROKEN),
    "AVIF that is larger than it says": File(lambda: avif_of((8, 8)), DONE, *BROKEN),
    "AVIF whose item lies beyond the file": File(
        lambda: changed(photo("AVIF"), b"iloc", b"\xff" * 8, offset=14), *BROKEN
    ),
    "AVIF of a header alone": File(lambda: AVIF, *BROKEN),
}

CIRCLES: dict[str, File] = {
    "AVIF with an item that uses itself": File(item_that_uses_itself, DONE, *BROKEN),
    "AVIF with a box of no length": File(
        lambda: AVIF + box(b"meta", bytes(4) + pack(">I", 0) + b"iprp"), *BROKEN
    ),
    "AVIF with a box of length 1 and nothing more": File(
        lambda: AVIF + pack(">I", 1) + b"meta" + pack(">Q", 0), *BROKEN
    ),
    "AVIF with a box of 2⁶⁴ bytes": File(
        lambda: AVIF + pack(">I", 1) + b"meta" + pack(">Q", 2**64 - 1), *BROKEN
    ),
    "AVIF with boxes of 8 bytes that hold each other": File(
        lambda: AVIF + box(b"meta", bytes(4) + (pack(">I", 8) + b"ipco") * 1000), *BROKEN
    ),
    "JPEG with EXIF in a circle": File(
        lambda: with_segments(photo(), exif_segment(exif_in_a_circle())), DONE
    ),
    "JPEG with EXIF beyond the file": File(
        lambda: with_segments(photo(), exif_segment(tiff(ifd((0x8769, 4, 1, 2**32 - 1))))), DONE
    ),
    "JPEG with 65,535 EXIF entries": File(
        lambda: with_segments(photo(), exif_segment(b"II*\0\x08\0\0\0\xff\xff" + bytes(60_000))), DONE
    ),
    "JPEG with EXIF entries of 2³² values": File(
        lambda: with_segments(photo(), exif_segment(tiff(ifd((0x010E, 12, 2**32 - 1, 8))))), DONE
    ),
    "JPEG with orientation 65535": File(
        lambda: with_segments(photo(), exif_segment(tiff(ifd((0x0112, 3, 1, 65_535))))), DONE
    ),
    "JPEG with an orientation in words": File(
        lambda: with_segments(photo(), exif_segment(tiff(ifd((0x0112, 2, 4, 0x00787878))))), DONE
    ),
    "JPEG with a restart interval and no restarts": File(
        lambda: with_segments(photo(), segment(0xDD, pack(">H", 1))), DONE, *BROKEN
    ),
    "TIFF whose directories follow each other for ever": File(
        lambda: tiff(ifd((256, 4, 1, 16), (257, 4, 1, 16), then=8)), "type_not_allowed"
    ),
}

CHANNELS: dict[str, File] = {
    "CMYK JPEG": File(cmyk, DONE),
    "CMYK JPEG, progressive": File(lambda: cmyk(progressive=True), DONE),
    "JPEG of two channels": File(lambda: with_frame_byte(photo(), 9, 2), *BROKEN),
    "JPEG of 255 channels": File(lambda: with_frame_byte(photo(), 9, 255), *BROKEN),
    "JPEG of no channels": File(lambda: with_frame_byte(photo(), 9, 0), *BROKEN),
    "JPEG of 12 bits": File(lambda: with_frame_byte(photo(), 4, 12), *BROKEN),
    "JPEG with sampling 15 × 15": File(lambda: with_frame_byte(photo(), 11, 0xFF), *BROKEN),
    "JPEG with sampling 0 × 0": File(lambda: with_frame_byte(photo(), 11, 0), *BROKEN),
    "JPEG, arithmetic": File(lambda: photo().replace(b"\xff\xc0", b"\xff\xc9", 1), *BROKEN, DONE),
    "JPEG, lossless": File(lambda: photo().replace(b"\xff\xc0", b"\xff\xc3", 1), *BROKEN),
    "JPEG, hierarchical": File(lambda: photo().replace(b"\xff\xc0", b"\xff\xc5", 1), *BROKEN),
    "JPEG with the transform of another": File(
        lambda: with_segments(photo(), segment(0xEE, b"Adobe\0\x64\0\0\0\0\x02")), DONE, *BROKEN
    ),
    "grey JPEG": File(lambda: encoded(upright(1, 64, 48).convert("L"), "JPEG"), DONE),
    "grey PNG with alpha": File(lambda: encoded(upright(1, 64, 48).convert("LA"), "PNG"), DONE),
    "PNG of 16 bits": File(lambda: png(64, 48, depth=16), DONE),
    "PNG of 16 bits with alpha": File(lambda: png(64, 48, depth=16, colour=6), DONE),
    "PNG of 1 bit": File(lambda: png(64, 48, depth=1, colour=0), DONE),
    "PNG with a palette and transparency": File(
        lambda: encoded(upright(1, 64, 48).convert("P"), "PNG", transparency=3), DONE
    ),
    "animated PNG": File(
        lambda: encoded(upright(1, 64, 48), "PNG", save_all=True, append_images=[upright(2, 64, 48)]), DONE
    ),
    "PNG with an interlace that nobody knows": File(lambda: png(64, 48, interlaced=7), *BROKEN),
    "JPEG with a profile of nothing": File(lambda: with_segments(photo(), *icc_segments(bytes(500))), DONE),
    "JPEG with a CMYK profile on RGB": File(
        lambda: with_segments(photo(), *icc_segments(changed(srgb_profile(), b"mntr", b"CMYK"))),
        DONE,
        *BROKEN,
    ),
    "GIF with an ICC profile that lies about its length": File(
        lambda: with_segments(photo(), *icc_segments(pack(">I", 2**32 - 1) + srgb_profile()[4:])),
        DONE,
        *BROKEN,
    ),
}

NAMES: dict[str, File] = {
    "PNG that is called .jpg": File(lambda: photo("PNG"), DONE),
    "GIF that is called .jpg": File(lambda: moving("GIF"), DONE),
    "WebP that is called .jpg": File(lambda: moving("WEBP"), DONE),
    "AVIF that is called .jpg": File(lambda: photo("AVIF"), DONE),
    "BMP that is called .jpg": File(lambda: encoded(upright(1, 64, 48), "BMP"), "type_not_allowed"),
    "TIFF that is called .jpg": File(lambda: encoded(upright(1, 64, 48), "TIFF"), "type_not_allowed"),
    "JPEG 2000 that is called .jpg": File(
        lambda: encoded(upright(1, 64, 48), "JPEG2000"), "type_not_allowed"
    ),
    "ICO that is called .jpg": File(
        lambda: encoded(upright(1, 64, 48), "ICO", sizes=[(32, 24)]), "type_not_allowed"
    ),
    "PPM that is called .jpg": File(lambda: encoded(upright(1, 64, 48), "PPM"), "type_not_allowed"),
    "TGA that is called .jpg": File(lambda: encoded(upright(1, 64, 48), "TGA"), "type_not_allowed"),
    "PDF that is called .jpg": File(lambda: encoded(upright(1, 64, 48), "PDF"), "type_not_allowed"),
    "EPS that is called .jpg": File(lambda: encoded(upright(1, 64, 48), "EPS"), "type_not_allowed"),
    "ZIP that is called .jpg": File(archive, "type_not_allowed"),
    "ZIP bomb that is called .jpg": File(zip_bomb, "type_not_allowed"),
}

POLYGLOTS: dict[str, File] = {
    "JPEG and ZIP": File(lambda: photo() + archive(), DONE),
    "JPEG and HTML in a comment": File(
        lambda: with_segments(photo(), segment(0xFE, b"<html><script>CANARY</script>")), DONE
    ),
    "JPEG and HTML at the end": File(lambda: photo() + b"<html><script>CANARY</script>", DONE),
    "JPEG and JavaScript": File(
        # The first segment's length is `/*`: a browser that took it for a script would run what follows.
        lambda: with_segments(
            photo(), b"\xff\xe0/*" + bytes(0x2F2A - 2 - 13) + b"*/=1;CANARY/*", segment(0xFE, b"*/")
        ),
        DONE,
    ),
    "JPEG and PDF": File(lambda: with_segments(photo(), segment(0xFE, b"%PDF-1.7\nCANARY")), DONE),
    "JPEG and PHP": File(lambda: with_segments(photo(), segment(0xFE, b"<?php system('CANARY');?>")), DONE),
    "JPEG and a shell script in EXIF": File(
        lambda: with_segments(
            photo(), exif_segment(tiff(ifd((0x010E, 2, 20, 26))) + b"\n#!/bin/sh\nCANARY\n\0")
        ),
        DONE,
    ),
    "PNG and ZIP": File(lambda: photo("PNG") + archive(), DONE),
    "PNG and PHP in its text": File(
        lambda: png(16, 16, before=chunk(b"tEXt", b"Comment\0<?php CANARY")), DONE
    ),
    "PNG and HTML in a chunk of its own": File(
        lambda: png(16, 16, after=chunk(b"htMl", b"<script>CANARY</script>")), DONE
    ),
    "GIF and JavaScript": File(
        # GIF89a=CANARY: the screen's width is the text `=C`, or so
        lambda: moving("GIF") + b"*/=1;CANARY",
        DONE,
    ),
    "GIF and a comment of scripts": File(lambda: moving("GIF")[:-1] + b"!\xfe\x06CANARY\0;", DONE),
    "WebP and ZIP": File(lambda: photo("WEBP") + archive(), DONE),
    "AVIF and HTML": File(lambda: photo("AVIF") + box(b"free", b"<script>CANARY</script>"), DONE),
    "JPEG in front of a PNG": File(lambda: photo() + photo("PNG"), DONE),
    "PNG in front of a JPEG": File(lambda: photo("PNG") + photo(), DONE),
}

FILES = SIZES | CIRCLES | CHANNELS | NAMES | POLYGLOTS
