"""Plans: whatever a recipe asks for, sharing and chaining give what drawing each output on its own gives."""

from typing import Any

import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.pictures import likeness, upright, vips

from safelight.imaging.graph import Graph, kept
from safelight.imaging.pictures import Picture
from safelight.operations import Size
from safelight.recipes import Recipe, build

WIDTH, HEIGHT = 240, 180
SCENE = vips(upright(0, WIDTH, HEIGHT))

side = st.integers(1, 260)
step = st.one_of(
    st.fixed_dictionaries({"op": st.just("resize"), "width": side}),
    st.fixed_dictionaries({"op": st.just("resize"), "height": side}),
    st.fixed_dictionaries(
        {
            "op": st.just("resize"),
            "width": side,
            "height": side,
            "fit": st.sampled_from(["inside", "cover", "contain", "fill", "outside"]),
            "enlarge": st.booleans(),
        }
    ),
    st.fixed_dictionaries({"op": st.just("rotate"), "angle": st.sampled_from([90, 180, 270])}),
    st.fixed_dictionaries({"op": st.sampled_from(["auto_orient", "grayscale", "flip"])}),
)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """One to six steps, each on any earlier one or the original, and an output of each that nobody else uses."""
    steps: dict[str, dict[str, Any]] = {}
    for number in range(draw(st.integers(1, 6))):
        use = draw(st.sampled_from(["original", *steps]))
        steps[f"s{number}"] = draw(step) | {"use": use}
    used = {said["use"] for said in steps.values()}
    extra = draw(st.sets(st.sampled_from(list(steps))))
    outputs = {name: {"use": name, "format": "png"} for name in steps if name not in used or name in extra}
    return build({"version": 1, "steps": steps, "outputs": outputs})


def original(orientation: int = 1) -> Picture:
    return Picture(frames=[SCENE], size=Size(WIDTH, HEIGHT, orientation))


def naive(recipe: Recipe, output: str, picture: Picture) -> tuple[pyvips.Image, Size]:
    """Step by step from the original, everything in memory, nothing shared."""
    frame, size = picture.frames[0], picture.size
    for operation in recipe.chain(output):
        frame, size = operation.draw(frame, size).copy_memory(), operation.size(size)
    return frame, size


def pillow(frame: pyvips.Image) -> Image.Image:
    frame = frame.colourspace("srgb")
    mode = "RGBA" if frame.hasalpha() else "RGB"
    return Image.frombytes(mode, (frame.width, frame.height), frame.write_to_memory()).convert("RGBA")


@settings(max_examples=60, deadline=None)
@given(recipes(), st.integers(1, 8))
def test_a_plan_draws_what_its_steps_say(recipe: Recipe, orientation: int) -> None:
    """Every output has the size that the steps declare, and looks as it does when it is drawn on its own."""
    drawn = Graph(recipe, original(orientation))
    for name in (file.rendition.use for file in recipe.files()):
        picture = kept(drawn.picture(name))
        alone, size = naive(recipe, name, original(orientation))
        made = picture.frames[0]
        assert (made.width, made.height) == (alone.width, alone.height) == (size.width, size.height)
        assert picture.size == size
        if min(made.width, made.height) >= 12:
            assert likeness(pillow(made), pillow(alone)) > 0.93


@settings(max_examples=30, deadline=None)
@given(recipes())
def test_watching_changes_nothing(recipe: Recipe) -> None:
    """A plan that is explained, step by step in memory, draws the very same pixels."""
    from safelight.imaging.watching import Watch

    watch = Watch()
    plain, watched = Graph(recipe, original()), Graph(recipe, original(), watch)
    for name in (file.rendition.use for file in recipe.files()):
        one, other = (kept(drawn.picture(name)).frames[0] for drawn in (plain, watched))
        assert one.write_to_memory() == other.write_to_memory()
    assert [node.name for node in watch.nodes if node.does == "decode"] == ["original"]
    assert {node.name for node in watch.nodes} == {"original", *recipe.steps}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.sampled_from(["inside", "fill"]),  # cover cuts to proportions that a few pixels may not have
    st.integers(1, 500),
    st.integers(1, 500),
)
def test_resizing_twice_is_resizing_once(width: int, height: int, fit: str, w: int, h: int) -> None:
    """What fits already stays as it is."""
    recipe = build(
        {
            "version": 1,
            "steps": {"a": {"op": "resize", "width": w, "height": h, "fit": fit}},
            "outputs": {"o": {"use": "a"}},
        }
    )
    (operation,) = recipe.chain("o")
    once = operation.size(Size(width, height))
    assert operation.size(once) == once
    assert once.width <= width
    assert once.height <= height
