"""A renderer for the tests of this folder: the one that is shipped, sandbox and all."""

from collections.abc import Callable, Iterator
from io import BytesIO
from tempfile import TemporaryFile

import pytest
from PIL import Image

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer
from safelight.model import Source
from safelight.ports import Rendering
from safelight.recipes import build, canonical, default

SOURCE = Source(key="uploads/a/beach.jpg", version="1", bytes=1)
RECIPE = canonical(default("© Amodhbh Media"))
COPY = canonical(build({"version": 1, "outputs": {"copy": {"use": "original"}}}))

Render = Callable[..., Rendering]


@pytest.fixture(scope="session")
def renderer() -> Iterator[SandboxedRenderer]:
    """One renderer for all tests that only look at pictures. It decodes them all; `test_splice.py` does not."""
    renderer = SandboxedRenderer(Settings(splice="off"))
    yield renderer
    renderer.close()


def render_with(renderer: SandboxedRenderer, data: bytes, recipe: bytes = RECIPE) -> Rendering:
    """Render bytes."""
    with TemporaryFile() as file:
        file.write(data)
        file.flush()
        return renderer.render(file, SOURCE, recipe)


@pytest.fixture
def render(renderer: SandboxedRenderer) -> Iterator[Render]:
    """Render bytes by a recipe, by default the built-in one; what comes out is closed after the test."""
    made: list[Rendering] = []

    def render(data: bytes, recipe: bytes = RECIPE) -> Rendering:
        made.append(render_with(renderer, data, recipe))
        return made[-1]

    yield render
    for rendering in made:
        rendering.close()


def content(rendering: Rendering, index: int = 0) -> bytes:
    """The bytes of an output."""
    file = rendering.outputs[index].file
    file.seek(0)
    return file.read()


def drawn(renderer: SandboxedRenderer, data: bytes, recipe: bytes = COPY) -> tuple[Rendering, Image.Image]:
    """What comes out, and its picture."""
    rendering = render_with(renderer, data, recipe)
    picture = Image.open(BytesIO(content(rendering)))
    picture.load()
    rendering.close()
    return rendering, picture
