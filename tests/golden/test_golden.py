"""Renditions beside the stored results of an earlier version. `python -m tests.golden.test_golden` stores them anew."""

import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

import pytest
from PIL import Image, ImageOps
from tests.pictures import ORIENTATIONS, animation, encoded, frames, jpeg, likeness, upright, vips

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer
from safelight.model import Source
from safelight.recipes import build, canonical, default

EXPECTED: Final = Path(__file__).parent / "expected"
ALIKE: Final = 0.99

DEFAULT: Final = canonical(default("© Amodhbh Media"))


def marked(**parameters: Any) -> bytes:
    """A recipe of one watermark."""
    step = {"op": "watermark", "text": "© Amodhbh Media"} | parameters
    return canonical(build({"version": 1, "steps": {"m": step}, "outputs": {"o": {"use": "m"}}}))


def glass() -> bytes:
    """A PNG that is clear on the left and solid on the right."""
    image = upright(2)
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return encoded(image, "PNG")


CASES: Final[dict[str, tuple[Callable[[], bytes], bytes]]] = {
    "photo": (jpeg, DEFAULT),
    "light": (lambda: encoded(Image.new("RGB", (160, 120), (250, 250, 246)), "PNG"), DEFAULT),
    "center": (jpeg, marked(gravity="center", size="15%", opacity=0.9, colour="#ffcc00")),
    "north_west": (lambda: encoded(upright(1), "PNG"), marked(gravity="north_west", size=14, margin=3)),
    "glass": (glass, marked(gravity="south_west", size=16, opacity=0.8)),
    "grey": (lambda: encoded(upright(3).convert("L"), "JPEG", quality=95), DEFAULT),
    "cmyk": (lambda: bytes(vips(upright(1)).icc_transform("cmyk").jpegsave_buffer(Q=97)), DEFAULT),
    "gif": (lambda: animation("GIF"), DEFAULT),
    "webp": (lambda: animation("WEBP"), DEFAULT),
    "avif": (lambda: animation("AVIF"), DEFAULT),
    "narrow": (lambda: encoded(upright(0, 12, 90), "PNG"), DEFAULT),
}


def rendered(renderer: SandboxedRenderer, data: bytes, recipe: bytes) -> Image.Image:
    """What the renderer makes of it: the frames above each other."""
    with TemporaryFile() as file:
        file.write(data)
        file.flush()
        rendering = renderer.render(file, Source(key="k", version="1", bytes=len(data)), recipe)
    found = [ImageOps.exif_transpose(frame) for frame in frames(rendering.outputs[0].file.read())]
    rendering.close()
    sheet = Image.new("RGBA", (found[0].width, sum(frame.height for frame in found)))
    for index, frame in enumerate(found):
        sheet.paste(frame, (0, index * frame.height))
    return sheet


def expected(name: str) -> Image.Image:
    """The stored result."""
    return Image.open(io.BytesIO((EXPECTED / f"{name}.png").read_bytes())).convert("RGBA")


@pytest.fixture(scope="module", params=["auto", "off"])
def renderer(request: pytest.FixtureRequest) -> Any:
    """The renderer that is shipped, as it is, and decoding every picture."""
    renderer = SandboxedRenderer(Settings(splice=request.param))
    yield renderer
    renderer.close()


@pytest.mark.parametrize("name", CASES)
def test_a_rendition_looks_as_it_did(renderer: SandboxedRenderer, name: str) -> None:
    """Each case is structurally the same as the stored result."""
    make, recipe = CASES[name]
    assert likeness(rendered(renderer, make(), recipe), expected(name)) >= ALIKE


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientations_look_the_same(renderer: SandboxedRenderer, orientation: int) -> None:
    """A photo gives the same rendition however the camera was held."""
    assert likeness(rendered(renderer, jpeg(orientation=orientation), DEFAULT), expected("photo")) >= ALIKE


def test_a_lost_mark_would_be_noticed() -> None:
    """The measure tells a photo without its mark from one with it."""
    assert likeness(upright().convert("RGBA"), expected("photo")) < ALIKE


def store() -> None:
    """Write the results of this version."""
    renderer = SandboxedRenderer(Settings())
    EXPECTED.mkdir(exist_ok=True)
    for name, (make, recipe) in CASES.items():
        rendered(renderer, make(), recipe).save(EXPECTED / f"{name}.png", optimize=True)
    renderer.close()


if __name__ == "__main__":
    store()
