"""One decoding for all renditions: what is shared, chained and decoded smaller looks as if it were not."""

import io
from typing import Any

import pytest
from PIL import Image
from tests.pictures import animation, encoded, jpeg, likeness, upright
from tests.unit.imaging.conftest import Render, content

from safelight.errors import TooManyFrames, TooManyPixels, Unprocessable
from safelight.imaging import graph
from safelight.operations import Size
from safelight.recipes import build, canonical, parse

SIZES = b"""
version: 1
steps:
  upright: {op: auto_orient}
  large:   {op: resize, use: upright, width: 400}
  middle:  {op: resize, use: upright, width: 200}
  small:   {op: resize, use: upright, width: 60, height: 60, fit: cover}
outputs:
  small:  {use: small, format: png}
  large:  {use: large, format: [png, webp], quality: 90}
  middle: {use: middle, format: png}
"""


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def outputs(**named: Any) -> bytes:
    return canonical(build({"version": 1, "outputs": named}))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sizes_made_of_each_other_look_as_if_they_were_not(
    render: Render, kind: str, orientation: int
) -> None:
    """A plan with shrinking, sharing and chaining agrees with scaling the decoded original by Pillow."""
    scene = upright(0, 800, 600)
    data = jpeg(scene, orientation) if kind == "JPEG" else encoded(scene, kind, quality=95)
    rendering = render(data, canonical(parse(SIZES)))
    assert [output.name for output in rendering.outputs] == ["large-png", "large-webp", "middle", "small"]
    large, webp, middle, small = (opened(content(rendering, index)).convert("RGB") for index in range(4))
    assert (small.size, large.size, webp.size, middle.size) == ((60, 60), (400, 300), (400, 300), (200, 150))
    plain = opened(data).convert("RGB") if kind != "JPEG" else scene
    for made in (large, middle):
        assert likeness(made, plain.resize(made.size, Image.Resampling.LANCZOS)) > 0.98
    square = plain.crop((100, 0, 700, 600)).resize((60, 60), Image.Resampling.LANCZOS)
    assert likeness(small, square) > 0.97
    assert likeness(large, webp) > 0.9


def test_no_more_is_decoded_than_the_largest_needs() -> None:
    """Every way from the original has to begin by scaling; half of the least scaling is left to the steps."""
    recipe = parse(SIZES)
    assert graph.shrink(recipe, Size(3200, 2400)) == pytest.approx(4)
    assert graph.shrink(recipe, Size(2400, 3200, 6)) == pytest.approx(4)
    assert graph.shrink(recipe, Size(500, 400)) == 1
    whole = SIZES + b"  copy: {}\n"
    assert graph.shrink(parse(whole), Size(3200, 2400)) == 1


def test_an_animation_keeps_its_frames_or_the_first(render: Render) -> None:
    """`animation: first` makes one frame of what could hold them all."""
    rendering = render(
        animation("GIF"), outputs(a={"format": "webp"}, b={"format": "webp", "animation": "first"})
    )
    assert [output.frames for output in rendering.outputs] == [3, 1]
    assert getattr(opened(content(rendering, 1)), "n_frames", 1) == 1


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_a_file_fits_where_it_has_to(render: Render, kind: str) -> None:
    """Quality goes down until the file is small enough, and no further."""
    free = len(content(render(jpeg(), outputs(a={"format": kind, "quality": 90}))))
    fitted = len(
        content(render(jpeg(), outputs(a={"format": kind, "quality": 90, "max_bytes": free * 2 // 3})))
    )
    assert free * 2 // 5 < fitted <= free * 2 // 3
    with pytest.raises(Unprocessable, match="max_bytes"):
        render(jpeg(), outputs(a={"format": kind, "max_bytes": 20}))


def test_a_recipe_may_limit_what_it_takes(render: Render) -> None:
    """Limits of a recipe hold where they are tighter than the settings."""
    plain = {"version": 1, "outputs": {"a": {"format": "png"}}}
    with pytest.raises(TooManyPixels, match="10000 are allowed"):
        render(jpeg(), canonical(build(plain | {"limits": {"pixels": "10k"}})))
    with pytest.raises(TooManyFrames):
        render(animation("GIF"), canonical(build(plain | {"limits": {"frames": 2}})))
    render(jpeg(), canonical(build(plain | {"limits": {"pixels": 10**12}})))
