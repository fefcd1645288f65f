"""Files at fault: each is refused with its own code, quickly, and before a decoder sees it where that is possible."""

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pictures import (
    animation,
    chunk,
    encoded,
    gif_of_frames,
    jpeg,
    jpeg_of_scans,
    jpeg_with_segments,
    png_flood,
    upright,
)
from tests.unit.imaging.conftest import RECIPE, Render, content, render_with

from safelight.config import Settings
from safelight.errors import (
    EmptyFile,
    FileError,
    SafelightError,
    TooManyFrames,
    TooManyPixels,
    TooManyScans,
    TooMuchMetadata,
    Truncated,
    TypeNotAllowed,
    Unprocessable,
)
from safelight.imaging import SandboxedRenderer, headers

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
HEIC = struct.pack(">I", 24) + b"ftypheic" + b"\0\0\0\0mif1heic"
MP4 = struct.pack(">I", 24) + b"ftypisom" + b"\0\0\0\0isomiso2"


def patched(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header tells another size."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"", EmptyFile, id="zero bytes"),
        pytest.param(b"100000 100000\n1 2 3\n", TypeNotAllowed, id="matrix as text"),
        pytest.param(SVG, TypeNotAllowed, id="SVG"),
        pytest.param(b"\xff\xd8\xff", Truncated, id="JPEG of three bytes"),
        pytest.param(jpeg()[: len(jpeg()) // 2], Truncated, id="half a JPEG"),
        pytest.param(jpeg()[:-2], Truncated, id="JPEG without its end"),
        pytest.param(encoded(upright(), "PNG")[:-5000], Truncated, id="half a PNG"),
        pytest.param(encoded(upright(), "WEBP")[:-500], Truncated, id="half a WebP"),
        pytest.param(encoded(upright(), "AVIF", max_threads=1)[:-500], Truncated, id="half an AVIF"),
        pytest.param(animation("GIF")[:-500], Truncated, id="half a GIF"),
        pytest.param(patched(jpeg(), 0, 9), Unprocessable, id="no width"),
        pytest.param(patched(jpeg(), 16_000, 16_000), TooManyPixels, id="baseline JPEG of 256 MP"),
        pytest.param(patched(jpeg(progressive=True), 20_000, 20_000), TooManyPixels, id="progressive flood"),
        pytest.param(png_flood(12_000, 12_000), TooManyPixels, id="PNG flood"),
        pytest.param(png_flood(1, 40_000), TooManyPixels, id="thin flood"),
        pytest.param(png_flood(5_000, 5_000, interlaced=True), TooManyPixels, id="interlaced flood"),
        pytest.param(gif_of_frames(101), TooManyFrames, id="frame flood"),
        pytest.param(jpeg_of_scans(100), TooManyScans, id="scan bomb"),
        pytest.param(jpeg_with_segments(62), TooMuchMetadata, id="4 MB of APP1"),
        pytest.param(
            png_flood(9, 9, extra=chunk(b"zTXt", b"c\0\0" + b"\0" * 5_000_000)), TooMuchMetadata, id="zTXt"
        ),
        pytest.param(
            png_flood(9, 9, extra=chunk(b"tEXt", b"k\0v") * 100_000), TooMuchMetadata, id="chunk flood"
        ),
    ],
)
def test_each_fault_has_its_code(render: Render, data: bytes, error: type[FileError]) -> None:
    """A file at fault is refused by the class that names its fault, within a second of CPU."""
    began = time.process_time()
    with pytest.raises(SafelightError) as caught:
        render(data)
    assert type(caught.value) is error
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEIC, "HEIC photo"),
        (MP4, "video"),
        (b"II*\0" + b"\0" * 60, "TIFF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<?xml version='1.0'?>\n" + SVG, "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04" + b"\0" * 60, "ZIP"),
        (b"hello, this is a text\n", "text file"),
        (b"BM" + b"\0" * 60, "BMP"),
        (b"\0\1\2\3" * 16, "JPEG, PNG, WebP, GIF or AVIF"),
    ],
)
def test_the_refusal_says_what_the_file_looks_like(data: bytes, words: str) -> None:
    """Whoever uploads something else learns what it seems to be."""
    with pytest.raises(TypeNotAllowed, match=words):
        headers.read(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_headers_are_read_right(kind: str) -> None:
    """Format and size come out of the bytes as Pillow wrote them."""
    options = {"max_threads": 1} if kind == "AVIF" else {}
    header = headers.read(encoded(upright(), kind, **options))
    assert (header.format, header.width, header.height, header.frames) == (kind.lower(), 160, 120, 1)


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "AVIF"])
def test_frames_are_counted(kind: str) -> None:
    """The frames of an animation are known before it is decoded."""
    assert headers.read(animation(kind, 5)).frames == 5


def test_bytes_after_the_end_do_not_matter(render: Render) -> None:
    """A photo with something behind it, as phones append videos, is a photo; what follows is dropped."""
    tail = b"\xff\xda\xff\xda<script>" * 500
    assert b"<script>" not in content(render(jpeg() + tail))


def test_an_honest_progressive_photo_passes(render: Render) -> None:
    """Progressive JPEGs as encoders write them are within the limits."""
    data = encoded(upright(), "JPEG", progressive=True)
    assert headers.read(data).scans > 1
    assert render(data).outputs[0].content_type == "image/jpeg"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
@settings(max_examples=40)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=12))
def test_any_damage_ends_in_an_answer(kind: str, changes: list[tuple[int, int]]) -> None:
    """A valid file with bytes changed gives a header or a FileError, whatever the bytes."""
    data = bytearray(SAMPLES[kind])
    for at, value in changes:
        data[at % len(data)] = value
    try:
        headers.check(headers.read(bytes(data)), Settings())
    except FileError:
        return


SAMPLES = {
    "JPEG": jpeg(),
    "PNG": encoded(upright(), "PNG"),
    "WEBP": animation("WEBP"),
    "GIF": animation("GIF"),
    "AVIF": animation("AVIF"),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_files_cost_one_job_at_most(renderer: SandboxedRenderer, kind: str) -> None:
    """Mutants of valid files are rendered or refused; the renderer serves the next one."""
    whole = SAMPLES[kind]
    for number in range(12):
        data = bytearray(whole)
        for step in range(1, 9):
            at = (number * 7919 + step * 104_729) % len(data)
            data[at] ^= (number * 31 + step * 17) % 255 + 1
        try:
            render_with(renderer, bytes(data), RECIPE).close()
        except FileError:
            continue
    render_with(renderer, whole, RECIPE).close()
