"""Nothing that came in beside the pixels goes out again, from any format to any format."""

import io
from collections.abc import Iterator
from struct import pack
from tempfile import TemporaryFile
from typing import Any

import pytest
from PIL import Image
from tests.hostile.parts import (
    box,
    exif_segment,
    gif_comment,
    ifd,
    moving,
    photo,
    png,
    riff,
    riff_chunk,
    segment,
    tiff,
    with_segments,
)
from tests.pictures import chunk, encoded, upright
from tests.unit.imaging.conftest import SOURCE

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer
from safelight.recipes import build, canonical, default

CANARY = b"CANARY"
FORMATS = ("same", "jpeg", "png", "webp", "gif", "avif")


def exif() -> bytes:
    """EXIF with a place, a maker, a comment and an artist, all of them the canary."""
    data = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x013B, 0x8298, 0x9286):
        data[tag] = "CANARY"
    data[0x0112] = 1
    place = data.get_ifd(0x8825)
    place[1], place[2], place[0x1B], place[0x1D] = "N", (48.0, 8.0, 5.0), CANARY, "CANARY"
    return data.tobytes()


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><d about="CANARY"/></rdf:RDF></x:xmpmeta>'


def carriers() -> Iterator[tuple[str, bytes]]:
    """One file of each format with the canary wherever the format takes something beside pixels."""
    scene = upright(4, 96, 64)
    yield (
        "jpeg",
        with_segments(
            encoded(scene, "JPEG", exif=exif()),
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
            segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + pack(">I", 6) + CANARY),
            segment(0xEC, b"Ducky" + CANARY),
            segment(0xFE, CANARY),
            exif_segment(tiff(ifd((0x010E, 2, 6, 26))) + CANARY),
        )
        + CANARY,
    )
    yield (
        "png",
        png(
            96,
            64,
            before=b"".join(
                chunk(kind, content)
                for kind, content in (
                    (b"tEXt", b"Comment\0CANARY"),
                    (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
                    (b"eXIf", exif().removeprefix(b"Exif\0\0")),
                    (b"prVt", CANARY),
                )
            ),
            after=chunk(b"tEXt", b"Author\0CANARY"),
        )
        + CANARY,
    )
    webp = encoded(scene, "WEBP", exif=exif(), xmp=XMP)
    yield "webp", riff(webp[12:], riff_chunk(b"PRVT", CANARY)) + CANARY
    yield (
        "gif",
        moving("GIF")[:-1] + gif_comment(CANARY) + b"!\xff\x0bXMP DataXMP\x06CANARY\0" + b";" + CANARY,
    )
    yield (
        "avif",
        encoded(scene, "AVIF", exif=exif(), xmp=XMP, speed=10, max_threads=1)
        + box(b"free", CANARY)
        + box(b"uuid", CANARY * 4),
    )


CARRIERS = dict(carriers())


@pytest.fixture(scope="module")
def renderer() -> Iterator[SandboxedRenderer]:
    """The product's renderer."""
    renderer = SandboxedRenderer(Settings())
    yield renderer
    renderer.close()


def outputs(renderer: SandboxedRenderer, data: bytes, recipe: dict[str, Any] | None) -> list[bytes]:
    """All files that a recipe makes of these bytes."""
    with TemporaryFile() as file:
        file.write(data)
        file.flush()
        plan = canonical(build(recipe) if recipe else default("© Somebody"))
        rendering = renderer.render(file, SOURCE, plan)
    made = []
    for output in rendering.outputs:
        output.file.seek(0)
        made.append(output.file.read())
    rendering.close()
    return made


def metadata(data: bytes) -> dict[Any, Any]:
    """What another library finds in a file beside its pixels, but for how it lies, moves and is coloured."""
    image = Image.open(io.BytesIO(data))
    found: dict[Any, Any] = {tag: value for tag, value in image.getexif().items() if tag != 0x0112}
    names = {"comment", "Comment", "xmp", "XML:com.adobe.xmp"} & set(image.info)
    return found | {name: image.info[name] for name in names}


@pytest.mark.parametrize("kind", CARRIERS)
def test_the_carrier_carries(kind: str) -> None:
    """The files of this test do hold what must not come out."""
    assert CARRIERS[kind].count(CANARY) >= 3


@pytest.mark.parametrize("kind", CARRIERS)
@pytest.mark.parametrize("target", FORMATS)
def test_only_pixels_come_out(renderer: SandboxedRenderer, kind: str, target: str) -> None:
    """No place, comment, script, file or private chunk of the original is in an output, with a mark or without."""
    plain = {"version": 1, "outputs": {"o": {"format": target}}}
    marked = {
        "version": 1,
        "steps": {"m": {"op": "watermark", "text": "x"}},
        "outputs": {"o": {"use": "m", "format": target}},
    }
    for recipe in (plain, marked):
        for made in outputs(renderer, CARRIERS[kind], recipe):
            assert CANARY not in made
            assert metadata(made) == {}


@pytest.mark.parametrize("kind", CARRIERS)
def test_the_default_recipe_lets_nothing_through(renderer: SandboxedRenderer, kind: str) -> None:
    """The recipe that most jobs run, by the shortest way there is for it."""
    (made,) = outputs(renderer, CARRIERS[kind], None)
    assert CANARY not in made
    assert metadata(made) == {}


def test_the_end_of_a_file_is_the_end_of_its_picture(renderer: SandboxedRenderer) -> None:
    """Nothing follows the last marker of a JPEG that came with something behind it."""
    (made,) = outputs(renderer, photo() + b"PK\x03\x04" + CANARY, None)
    assert made.endswith(b"\xff\xd9")
