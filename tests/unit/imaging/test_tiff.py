"""TIFF, which has to be asked for: recognised, bounded by its own words, and drawn right."""

import time
from collections.abc import Iterator
from struct import pack
from typing import Any

import pytest
from PIL import Image, ImageCms, TiffImagePlugin
from tests.pictures import encoded, likeness, upright
from tests.unit.imaging.conftest import COPY, content, drawn, render_with

from safelight.config import FORMATS, Settings, load
from safelight.errors import (
    ConfigurationError,
    FileError,
    TooManyFrames,
    TooManyPixels,
    TooMuchMetadata,
    Truncated,
    TypeNotAllowed,
    Unprocessable,
)
from safelight.imaging import SandboxedRenderer, headers
from safelight.recipes import build, canonical

ON = Settings(formats=(*FORMATS, "tiff"))
WHOLE = {256: (4, 1, 4), 257: (4, 1, 4), 258: (3, 1, 8), 262: (3, 1, 1), 273: (4, 1, 0), 279: (4, 1, 16)}
"""The entries of a small grey page: type, count, value."""


@pytest.fixture(scope="module")
def renderer() -> Iterator[SandboxedRenderer]:
    """The sandboxed renderer with TIFF let in."""
    renderer = SandboxedRenderer(ON)
    yield renderer
    renderer.close()


def tiff(image: Image.Image, **options: Any) -> bytes:
    """A TIFF as Pillow writes it."""
    return encoded(image, "TIFF", **options)


def page(*, order: str = "<", then: int = 0, **changes: Any) -> bytes:
    """A TIFF of one small grey page, its 16 pixels behind it, with other entries: `t256=(4, 1, 9)`."""
    entries = WHOLE | {int(tag[1:]): value for tag, value in changes.items()}
    start = 8 + 2 + 12 * len(entries) + 4
    body = pack(order + "H", len(entries))
    for tag, (kind, count, value) in sorted(entries.items()):
        placed = start if tag == 273 and value == 0 else value
        body += pack(order + "HHI", tag, kind, count)
        body += pack(
            order + ("HH" if kind == 3 and count == 1 else "I"), placed, *([0] * (kind == 3 and count == 1))
        )
    head = (b"II" if order == "<" else b"MM") + pack(order + "HI", 42, 8)
    return head + body + pack(order + "I", then) + bytes(16)


def pages(count: int) -> bytes:
    """A TIFF of so many pages of one pixel."""
    dots = [Image.new("L", (1, 1)) for _ in range(count)]
    return tiff(dots[0], save_all=True, append_images=dots[1:])


def judged(data: bytes) -> headers.Header:
    """The header, within the limits."""
    header = headers.read(data, ON.formats)
    headers.check(header, ON)
    return header


# --- whether --------------------------------------------------------------------------------------------


def test_it_is_off_unless_asked_for() -> None:
    """The refusal says what to do."""
    with pytest.raises(
        TypeNotAllowed, match=r"TIFF .* save it as a JPEG or PNG; only JPEG, PNG, WebP, GIF and AVIF"
    ):
        headers.read(page())


def test_any_format_can_be_off() -> None:
    """A PNG where only JPEG and TIFF are let in is named, and refused."""
    with pytest.raises(TypeNotAllowed, match="is a PNG picture; only JPEG and TIFF files are accepted"):
        headers.read(encoded(upright(), "PNG"), ("jpeg", "tiff"))


@pytest.mark.parametrize("value", ["heif", "", "jpeg,bmp"])
def test_a_format_that_is_none_is_no_setting(value: str) -> None:
    """The message lists what there is."""
    with pytest.raises(ConfigurationError, match="some of jpeg, png, webp, gif, avif, tiff and heic"):
        load({"SAFELIGHT_FORMATS": value})


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order: str) -> None:
    """A page is what it says, in either."""
    header = judged(page(order=order, t256=(3, 1, 2), t257=(3, 1, 8)))
    assert (header.format, header.width, header.height, header.pages) == ("tiff", 2, 8, 1)


def test_pages_are_counted() -> None:
    """They count as frames do."""
    assert judged(pages(5)).pages == 5


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(page()[:20], Truncated, id="cut in its directory"),
        pytest.param(page()[:-1], Truncated, id="cut in its pixels"),
        pytest.param(b"II*\0" + pack("<I", 2**31), Truncated, id="directory beyond the end"),
        pytest.param(page(then=8), Unprocessable, id="pages for ever"),
        pytest.param(page(t256=(4, 1, 0)), Unprocessable, id="no width"),
        pytest.param(page(t256=(4, 1, 2**32 - 1), t257=(4, 1, 2**32 - 1)), TooManyPixels, id="2³² × 2³²"),
        pytest.param(page(t256=(4, 1, 16_000), t257=(4, 1, 16_000)), TooManyPixels, id="256 MP"),
        pytest.param(pages(101), TooManyFrames, id="101 pages"),
        pytest.param(b"II+\0" + bytes(60), TypeNotAllowed, id="BigTIFF"),
        pytest.param(page(t50706=(1, 4, 1)), TypeNotAllowed, id="DNG"),
        pytest.param(page(t254=(4, 1, 1)), TypeNotAllowed, id="preview of a raw file"),
        pytest.param(page(t259=(3, 1, 50_000)), Unprocessable, id="Zstandard"),
        pytest.param(page(t259=(3, 1, 6)), Unprocessable, id="JPEG of TIFF 6.0"),
        pytest.param(page(t262=(3, 1, 32_803)), Unprocessable, id="sensor data"),
        pytest.param(page(t258=(3, 1, 32)), Unprocessable, id="32 bits"),
        pytest.param(page(t339=(3, 1, 3)), Unprocessable, id="floating point"),
        pytest.param(page(t277=(3, 1, 9)), Unprocessable, id="nine channels"),
        pytest.param(page(t273=(4, 200_000, 8)), Truncated, id="strips beyond the end"),
        pytest.param(
            page(t324=(4, 1, 8), t325=(4, 1, 1), t322=(4, 1, 2**31), t323=(4, 1, 2**31)),
            Unprocessable,
            id="tile of 2³¹ × 2³¹",
        ),
        pytest.param(
            page(t273=(4, 200_000, 8), t279=(4, 200_000, 8)) + bytes(800_000), Unprocessable, id="strip flood"
        ),
        pytest.param(page(t700=(1, 5_000_000, 8)) + bytes(5_000_000), TooMuchMetadata, id="5 MB of XMP"),
        pytest.param(
            b"II*\0" + pack("<I", 8)
            + b"".join(pack("<H12xI", 1, 8 + 18 * (at + 1)) for at in range(100_001)),
            TooManyFrames,
            id="100,001 pages",
        ),
    ],
)  # fmt: skip
def test_each_fault_is_named_before_any_decoder_runs(data: bytes, error: type[FileError]) -> None:
    """By the header alone, within a second of CPU."""
    began = time.process_time()
    with pytest.raises(FileError) as caught:
        judged(data)
    assert type(caught.value) is error
    assert time.process_time() - began < 1


# --- how it looks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_a_photo_becomes_a_jpeg(renderer: SandboxedRenderer, compression: str) -> None:
    """In every compression that is read, in the sandbox, looking as it did."""
    rendering, picture = drawn(renderer, tiff(upright(), compression=compression))
    assert rendering.source.format == "tiff"
    assert rendering.source.content_type == "image/tiff"
    assert rendering.outputs[0].extension == "jpg"
    assert picture.format == "JPEG"
    assert likeness(picture.convert("RGB"), upright()) > 0.9


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [("1", "L"), ("L", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("RGBA", "RGBA"), ("LA", "LA")],
)
def test_colours_and_transparency_come_through(renderer: SandboxedRenderer, mode: str, becomes: str) -> None:
    """A JPEG for photos; a PNG where a JPEG would lose transparency, a palette or single bits."""
    image = upright()
    if mode in ("RGBA", "LA"):
        image.putalpha(128)
    _, picture = drawn(renderer, tiff(image.convert(mode)))
    assert (picture.format, picture.mode) == ("JPEG" if mode in ("L", "CMYK") else "PNG", becomes)
    assert likeness(picture.convert("RGB"), image.convert(mode).convert("RGB")) > 0.9
    if mode in ("RGBA", "LA"):
        assert picture.getchannel("A").getextrema() == (128, 128)


def test_transparency_that_is_multiplied_in_is_taken_out(renderer: SandboxedRenderer) -> None:
    """Associated alpha: the colours are stored darker than they are."""
    data = tiff(Image.new("RGBA", (64, 48), (100, 50, 20, 128)))
    at = data.index(pack("<HHI", 338, 3, 1)) + 8
    _, picture = drawn(renderer, data[:at] + b"\1" + data[at + 1 :])
    assert picture.getpixel((9, 9)) == (199, 99, 39, 128)


def test_sixteen_bits_stay(renderer: SandboxedRenderer) -> None:
    """In a PNG."""
    _, picture = drawn(renderer, tiff(Image.new("I;16", (64, 48), 500)))
    assert (picture.format, picture.mode, picture.getpixel((9, 9))) == ("PNG", "I;16", 500)


def test_it_is_turned_upright(renderer: SandboxedRenderer) -> None:
    """By its orientation tag, as a JPEG is."""
    lying = upright().transpose(Image.Transpose.ROTATE_90)
    upright_again = canonical(
        build({"version": 1, "steps": {"up": {"op": "auto_orient"}}, "outputs": {"copy": {"use": "up"}}})
    )
    rendering, picture = drawn(renderer, tiff(lying, tiffinfo={274: 6}), upright_again)
    assert (rendering.source.width, rendering.source.height) == upright().size
    assert likeness(picture.convert("RGB"), upright()) > 0.9


def test_its_profile_is_known_and_its_metadata_stay_behind(renderer: SandboxedRenderer) -> None:
    """A profile that is sRGB needs no mention; descriptions, XMP and the rest are dropped."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270], info[700] = "CANARY", b"CANARY"
    rendering = render_with(renderer, tiff(upright(), tiffinfo=info, icc_profile=profile), COPY)
    written = content(rendering)
    rendering.close()
    assert b"CANARY" not in written
    assert b"ICC_PROFILE" not in written


def test_the_first_page_is_drawn(renderer: SandboxedRenderer) -> None:
    """Whatever the others are."""
    rendering, picture = drawn(
        renderer, tiff(upright(), save_all=True, append_images=[Image.new("RGB", (9, 9)), upright(5)])
    )
    assert rendering.source.frames == 1
    assert likeness(picture.convert("RGB"), upright()) > 0.9


def test_pixels_that_break_off_are_told(renderer: SandboxedRenderer) -> None:
    """Damage that only the decoder can see costs the job, with a code."""
    data = bytearray(tiff(upright(), compression="tiff_adobe_deflate"))
    data[8:400] = b"\xff" * 392
    with pytest.raises(FileError):
        render_with(renderer, bytes(data), COPY)
