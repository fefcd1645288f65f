"""Every operation and every fit on every kind of input: beside stored results, and beside Pillow where it has the same.

`python -m tests.golden.test_matrix` stores them anew.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import pytest
from PIL import Image
from tests.golden.matrix import BY_PILLOW, CASES, FITS, INPUTS, cell, decoded, recipe, sheet
from tests.pictures import frames, likeness

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer
from safelight.model import Source
from safelight.operations import catalogue

EXPECTED: Final = Path(__file__).parent / "expected" / "matrix"
ALIKE: Final = 0.99

BY_ITSELF: Final = {"cmyk", "p3"}
"""Kinds that Pillow reads without their colour profile, or with another one than Safelight does."""


Drawn = Callable[[str], dict[str, list[Image.Image]]]


def drawing(renderer: SandboxedRenderer, **output: str) -> Drawn:
    """What draws all cases of a kind in the sandbox, once, and gives the frames of each."""

    @cache
    def drawn(kind: str) -> dict[str, list[Image.Image]]:
        data = INPUTS[kind]()
        with TemporaryFile() as file:
            file.write(data)
            file.flush()
            source = Source(key="k", version="1", bytes=len(data))
            rendering = renderer.render(file, source, recipe(output))
        made = {one.name: frames(one.file.read()) for one in rendering.outputs}
        rendering.close()
        return made

    return drawn


@pytest.fixture(scope="module")
def renderer() -> Iterator[SandboxedRenderer]:
    """The renderer that is shipped."""
    renderer = SandboxedRenderer(Settings())
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def drawn(renderer: SandboxedRenderer) -> Drawn:
    """Without loss; of an animation the first frame."""
    return drawing(renderer, format="png")


@pytest.fixture(scope="module")
def moving(renderer: SandboxedRenderer) -> Drawn:
    """With all frames."""
    return drawing(renderer, format="webp")


@cache
def stored(kind: str) -> Image.Image:
    """The stored sheet."""
    return Image.open(EXPECTED / f"{kind}.webp").convert("RGBA")


def seen(image: Image.Image) -> Image.Image:
    """What is seen of it, on white."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def test_the_matrix_is_whole() -> None:
    """Every operation has a case, and every fit."""
    assert {step["op"] for step in CASES.values()} == set(catalogue())
    assert {step["fit"] for step in CASES.values() if "fit" in step} == set(FITS)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", INPUTS)
def test_a_case_looks_as_it_did(drawn: Drawn, kind: str, case: str) -> None:
    """Each operation on each kind of input is structurally the same as the stored result."""
    made = drawn(kind)[case][0]
    assert likeness(seen(made), seen(cell(stored(kind), case, made.size))) >= ALIKE


@pytest.mark.parametrize("case", BY_PILLOW)
@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind not in BY_ITSELF])
def test_a_case_is_what_pillow_makes(drawn: Drawn, kind: str, case: str) -> None:
    """Where Pillow has the operation, an independent drawing of it is structurally the same."""
    made = drawn(kind)[case][0]
    assert likeness(seen(made), seen(BY_PILLOW[case](decoded(INPUTS[kind]())))) >= ALIKE


@pytest.mark.parametrize("case", CASES)
def test_an_animation_keeps_its_frames(moving: Drawn, case: str) -> None:
    """Every operation is done to all frames."""
    assert len(moving("gif")[case]) == 3


def store() -> None:
    """Write the results of this version."""
    EXPECTED.mkdir(exist_ok=True, parents=True)
    renderer = SandboxedRenderer(Settings())
    drawn = drawing(renderer, format="png")
    for kind in INPUTS:
        made = {case: images[0] for case, images in drawn(kind).items()}
        sheet(made).save(EXPECTED / f"{kind}.webp", lossless=True, method=6, quality=100, exact=True)
    renderer.close()


if __name__ == "__main__":
    store()
