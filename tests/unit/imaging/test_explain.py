"""What a drawing took: which way, why, and each step."""

import io
from tempfile import TemporaryFile
from typing import Any

import pytest
from PIL import Image
from tests.pictures import encoded, jpeg, upright
from tests.unit.imaging.conftest import RECIPE, SOURCE, content, render_with

from safelight.config import Settings
from safelight.entrypoints.cli.render import explained
from safelight.imaging import SandboxedRenderer, splice
from safelight.imaging.watching import Trace
from safelight.ports import Rendering
from safelight.recipes import build, canonical

STEPS = {
    "mark": {"op": "watermark", "text": "©"},
    "large": {"op": "resize", "use": "mark", "width": 400},
    "small": {"op": "resize", "use": "mark", "width": 100},
}
SEVERAL = canonical(
    build(
        {
            "version": 1,
            "steps": STEPS,
            "outputs": {"l": {"use": "large", "format": "webp"}, "s": {"use": "small"}},
        }
    )
)


@pytest.fixture(scope="module")
def renderer() -> Any:
    renderer = SandboxedRenderer(Settings())
    yield renderer
    renderer.close()


def explain(renderer: SandboxedRenderer, data: bytes, recipe: bytes) -> tuple[Rendering, Trace]:
    """Render bytes and tell."""
    with TemporaryFile() as file:
        file.write(data)
        file.flush()
        return renderer.explain(file, SOURCE, recipe)


def test_every_step_is_told(renderer: SandboxedRenderer) -> None:
    """Original, steps in the order they were done with what each was made of, and files; the outputs are the same."""
    data = jpeg(upright(0, 800, 600))
    rendering, trace = explain(renderer, data, SEVERAL)
    assert trace.way == "pixels"
    assert [(node.name, node.of) for node in trace.nodes] == [
        ("original", None),
        ("mark", "original"),
        ("large", "mark"),
        ("→ l", "large"),
        ("small", "large"),
        ("→ s", "small"),
    ]
    sizes = {node.name: (node.width, node.height) for node in trace.nodes}
    assert (sizes["original"], sizes["large"], sizes["small"]) == ((800, 600), (400, 300), (100, 75))
    taken = {node.name: node.bytes for node in trace.nodes}
    assert taken["large"] == 400 * 300 * 3
    assert taken["→ l"] == rendering.outputs[0].bytes
    assert all(node.seconds >= 0 for node in trace.nodes)
    assert trace.peak > 800 * 600 * 3
    told, made = rendering.outputs, render_with(renderer, data, SEVERAL)
    assert [output.sha256 for output in told] == [output.sha256 for output in made.outputs]
    lines = list(explained(trace))
    assert lines[0].startswith("  by pixels (it is more than one JPEG made of a JPEG); ")
    assert any("of mark" in line and "400 × 300" in line for line in lines)
    rendering.close()
    made.close()


def plan(**more: Any) -> bytes:
    """The mark on a JPEG, said otherwise."""
    steps = {"mark": {"op": "watermark", "text": "©"}}
    return canonical(
        build({"version": 1, "steps": steps, "outputs": {"a": {"use": "mark"} | more.pop("a", {})}} | more)
    )


@pytest.mark.parametrize(
    ("recipe", "way", "reason"),
    [
        (plan(), "spliced", None),
        (plan(sanitize="pixels"), "marked in place", "turned off"),
        (plan(a={"quality": 80}), "marked in place", "quality is not keep"),
        (plan(a={"quality": "auto"}), "pixels", "its quality is sought"),
        (plan(a={"format": "webp"}), "pixels", "more than one JPEG"),
    ],
)
def test_the_way_and_why_are_told(
    renderer: SandboxedRenderer, recipe: bytes, way: str, reason: str | None
) -> None:
    """The shortest way that the recipe allows is taken, and what stood in the way of a shorter one is said."""
    if way == "spliced" and not splice.available():
        pytest.skip("safelight-splice is not installed")
    rendering, trace = explain(renderer, jpeg(), recipe)
    assert trace.way.startswith(way)
    assert (reason is None) == (not trace.reasons)
    assert reason is None or any(reason in said for said in trace.reasons)
    said = "by splicing: " if way == "spliced" else "by pixels"
    assert next(explained(trace)).startswith(f"  {said}")
    rendering.close()


def test_what_is_no_jpeg_is_called_so(renderer: SandboxedRenderer) -> None:
    """And not one that more than one JPEG is made of."""
    rendering, trace = explain(renderer, encoded(upright(), "PNG"), plan())
    assert (trace.way, trace.reasons) == ("pixels", ("it is no JPEG",))
    rendering.close()


FACE = {"left": 40, "top": 30, "width": 40, "height": 40}


def pixelated(*regions: dict[str, int], **output: Any) -> bytes:
    """These parts of a JPEG in blocks, or all of it."""
    step = {"op": "pixelate", "regions": list(regions)}
    return canonical(build({"version": 1, "chain": [step], "outputs": {"a": output}}))


@pytest.mark.parametrize(
    ("recipe", "mode", "way", "reason"),
    [
        (pixelated(FACE), "RGB", "spliced", None),
        (pixelated(FACE), "L", "spliced", None),
        (pixelated(FACE), "CMYK", "pixels", "as it is"),
        (pixelated(FACE, quality=80), "RGB", "marked in place", "quality is not keep"),
        (pixelated(), "RGB", "pixels", "more than turn it and mark parts"),
        (pixelated(FACE | {"width": 110, "height": 90}), "RGB", "pixels", "more than turn it and mark parts"),
        (pixelated(FACE | {"left": 500}), "RGB", "spliced", None),
    ],
)
def test_the_way_of_blocks_is_told(
    renderer: SandboxedRenderer, recipe: bytes, mode: str, way: str, reason: str | None
) -> None:
    """Parts are spliced in colour and in grey; where they are most of the picture, it is decoded."""
    if way == "spliced" and not splice.available():
        pytest.skip("safelight-splice is not installed")
    rendering, trace = explain(renderer, encoded(upright().convert(mode), "JPEG"), recipe)
    assert trace.way.startswith(way)
    assert reason is None or any(reason in said for said in trace.reasons), trace.reasons
    rendering.close()


def test_a_progressive_file_is_decoded_once(renderer: SandboxedRenderer) -> None:
    """Its blocks could be told of all of it only: nobody asks for them, and its pixels are drawn on."""
    if not splice.available():
        pytest.skip("safelight-splice is not installed")
    rendering, trace = explain(renderer, encoded(upright(), "JPEG", progressive=True), pixelated(FACE))
    assert trace.way == "marked in place"
    assert trace.reasons == ("not spliced: it would have to be decoded whole",)
    rendering.close()


def test_a_mark_that_does_not_fit_says_why(renderer: SandboxedRenderer) -> None:
    """A refusal of the accelerator is told in its own words."""
    if not splice.available():
        pytest.skip("safelight-splice is not installed")
    rendering, trace = explain(renderer, encoded(upright(), "JPEG", keep_rgb=True), RECIPE)
    assert any("YCbCr" in said for said in trace.reasons), trace.reasons
    assert trace.way == "marked in place"
    rendering.close()


def test_sanitized_files_keep_no_coded_bit(renderer: SandboxedRenderer) -> None:
    """`sanitize: pixels` decodes and encodes what `auto` may copy."""
    data = jpeg(upright(0, 320, 240), quality=92)
    scan = data[data.rindex(b"\xff\xda") :][200:400]
    if splice.available():
        kept = render_with(renderer, data, plan())
        assert scan in content(kept)
        kept.close()
    clean = render_with(renderer, data, plan(sanitize="pixels"))
    assert scan not in content(clean)
    assert Image.open(io.BytesIO(content(clean))).size == (320, 240)
    clean.close()
