"""What the picture decides: the lowest quality that looks like it, and the format that takes the fewest bytes."""

import io
import itertools
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.pictures import animation, encoded, frames, likenesses, upright, vips
from tests.unit.imaging.conftest import Render, content

from safelight.errors import Unprocessable
from safelight.imaging import choosing
from safelight.imaging.choosing import SAMPLE, TARGET, Trial
from safelight.imaging.pictures import Picture
from safelight.imaging.sample import scene
from safelight.operations import Size
from safelight.recipes import build, canonical

PHOTO = scene(512, 320)


def outputs(**named: Any) -> bytes:
    return canonical(build({"version": 1, "outputs": named}))


def photo() -> bytes:
    """A picture with grain, without loss."""
    return bytes(PHOTO.pngsave_buffer())


def drawing(*, clear: bool = True) -> Image.Image:
    """Flat shapes, on nothing if `clear`."""
    image = Image.new("RGBA", (160, 120), (0, 0, 0, 0) if clear else (255, 255, 255, 255))
    for at, colour in enumerate(
        [(200, 30, 30, 255), (30, 90, 200, 255), (20, 160, 60, 128 if clear else 255)]
    ):
        image.paste(colour, (10 + 40 * at, 20 + 20 * at, 60 + 40 * at, 70 + 10 * at))
    return image


def judged(one: Image.Image, other: Image.Image) -> float:
    """The likeness of the worst quarter, in tiles of 32 pixels: see `choosing`."""
    map_ = likenesses(one, other)[0]
    places = itertools.product(range(0, map_.width, 32), range(0, map_.height, 32))
    found = sorted(map_.crop(left, top, 32, 32).avg() for left, top in places)
    return float(sum(found[: len(found) // 4]) / (len(found) // 4))


def seen(data: bytes) -> Image.Image:
    """The picture at half its size, without colour: what likeness is asked for."""
    image = Image.open(io.BytesIO(data)).convert("L")
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_quality_auto_is_enough_and_not_more(render: Render, kind: str) -> None:
    """The file is as like the picture as promised, by another measure than the one it was made with; a file that is
    noticeably smaller is not."""
    found = content(render(photo(), outputs(a={"format": kind, "quality": "auto"})))
    assert judged(seen(found), seen(photo())) >= TARGET - 0.003
    by_quality = {
        quality: content(render(photo(), outputs(a={"format": kind, "quality": quality})))
        for quality in choosing.QUALITIES[kind][::9]
    }
    worse = [data for data in by_quality.values() if len(data) < 0.93 * len(found)]
    assert worse
    assert all(judged(seen(data), seen(photo())) < TARGET for data in worse)


def test_a_smooth_picture_takes_less_quality_than_one_with_detail(render: Render) -> None:
    """Quality follows the picture."""
    smooth = PHOTO.gaussblur(6).pngsave_buffer()
    sizes = [
        len(content(render(data, outputs(a={"format": "jpeg", "quality": "auto"}))))
        for data in (smooth, photo())
    ]
    fixed = [
        len(content(render(data, outputs(a={"format": "jpeg", "quality": 90})))) for data in (smooth, photo())
    ]
    assert sizes[0] / fixed[0] < sizes[1] / fixed[1] <= 1.5


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_formats_without_quality_stay_as_they_are(render: Render, kind: str) -> None:
    """`auto` asks nothing of a format that has no quality."""
    auto, keep = (
        content(render(photo(), outputs(a={"format": kind, "quality": q}))) for q in ("auto", "keep")
    )
    assert auto == keep


@pytest.mark.parametrize("quality", ["auto", 75])
@pytest.mark.parametrize("picture", ["photo", "opaque drawing", "clear drawing"])
def test_format_auto_is_the_smallest(render: Render, picture: str, quality: Any) -> None:
    """Of the formats that can hold the picture and look as good, none is smaller."""
    data = photo() if picture == "photo" else encoded(drawing(clear=picture == "clear drawing"), "PNG")
    rendering = render(data, outputs(a={"format": "auto", "quality": quality}))
    kinds = ["png", "webp", "avif"] + (["jpeg"] if picture != "clear drawing" else [])
    if quality == "auto":
        others = render(data, outputs(a={"format": kinds, "quality": "auto"})).outputs
        assert rendering.outputs[0].bytes == min(output.bytes for output in others)
    else:
        jpeg = content(render(data, outputs(a={"format": "jpeg", "quality": quality})))
        assert rendering.outputs[0].bytes <= len(jpeg) or picture == "clear drawing"
        if picture == "photo":
            assert judged(seen(content(rendering)), seen(data)) >= judged(seen(jpeg), seen(data)) - 0.002
    assert rendering.outputs[0].content_type.removeprefix("image/") in kinds
    assert rendering.outputs[0].name == "a"


def test_transparency_is_held_and_opaque_alpha_is_none(render: Render) -> None:
    """What can be seen through stays so; a channel that hides nothing keeps no format away."""
    auto = outputs(a={"format": "auto", "quality": "auto"})
    clear = frames(content(render(encoded(drawing(), "PNG"), auto)))[0]
    assert clear.getchannel("A").getextrema() == (0, 255)
    opaque = Image.frombytes("RGB", (512, 320), PHOTO.write_to_memory())
    plain = render(encoded(opaque, "PNG"), auto).outputs[0]
    opaque.putalpha(255)
    assert render(encoded(opaque, "PNG"), auto).outputs[0].content_type == plain.content_type


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF"])
def test_an_animation_stays_one(render: Render, kind: str) -> None:
    """Formats that hold one frame are out, unless one frame is all that is wanted."""
    recipe = outputs(
        a={"format": "auto", "quality": "auto"}, b={"format": "auto", "quality": "auto", "animation": "first"}
    )
    rendering = render(animation(kind), recipe)
    assert [output.frames for output in rendering.outputs] == [3, 1]
    assert rendering.outputs[0].content_type in ("image/webp", "image/avif", "image/gif")
    assert len(frames(content(rendering, 0))) == 3


def test_keep_is_the_originals_quality(render: Render) -> None:
    """A JPEG's own tables are what the others are measured by: a poor original is not kept as if it were a good one."""
    poor = encoded(Image.frombytes("RGB", (512, 320), PHOTO.write_to_memory()), "JPEG", quality=40)
    assert render(poor, outputs(a={"format": "auto"})).outputs[0].bytes <= 1.02 * len(poor)


def test_a_size_that_has_to_be_met_is_met(render: Render) -> None:
    """`max_bytes` goes below what `auto` would choose, and leaves out formats that have no quality."""
    for kind in ("auto", "jpeg", "webp"):
        free = render(photo(), outputs(a={"format": kind, "quality": "auto"})).outputs[0]
        tight = outputs(a={"format": kind, "quality": "auto", "max_bytes": free.bytes // 2})
        assert free.bytes // 4 < render(photo(), tight).outputs[0].bytes <= free.bytes // 2
    with pytest.raises(Unprocessable, match="max_bytes"):
        render(photo(), outputs(a={"format": "auto", "max_bytes": 20}))


def test_the_same_twice(render: Render) -> None:
    """The same picture gives the same choice."""
    recipe = outputs(a={"format": "auto", "quality": "auto"})
    assert render(photo(), recipe).outputs[0].sha256 == render(photo(), recipe).outputs[0].sha256


def test_of_two_as_small_the_more_usual_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties are decided by a fixed order, not by chance."""
    for order in (choosing.STILL, choosing.CLEAR, choosing.MOVING):
        assert [kind for kind in ("jpeg", "png", "gif", "webp", "avif") if kind in order] == list(order)
    alike = lambda self, target, quality: Trial(target, quality, 100, 1.0)  # noqa: E731
    monkeypatch.setattr(choosing._Sample, "trial", alike)
    picture = Picture(frames=[vips(upright())], size=Size(160, 120))
    assert choosing.smallest(picture, "auto", fitting=False)[0] == "jpeg"
    clear = Picture(frames=[vips(drawing())], size=Size(160, 120))
    assert choosing.smallest(clear, "auto", fitting=False)[0] == "png"
    assert choosing.smallest(clear, "auto", fitting=True)[0] == "webp"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 16_384), st.integers(1, 16_384))
def test_no_picture_takes_longer_than_a_sample(width: int, height: int) -> None:
    """Whatever its shape, trials are made with few pixels, and with most of those that are allowed."""
    sample = choosing._tiles(pyvips.Image.black(width, height))
    pixels = sample.width * sample.height
    assert pixels <= SAMPLE
    assert pixels >= min(width * height, SAMPLE // 2)


def test_a_sample_is_of_all_of_the_picture(render: Render) -> None:
    """A picture that is smooth but for a corner is not judged by its middle."""
    image = Image.new("RGB", (1400, 1400), (120, 130, 140))
    image.paste(Image.frombytes("RGB", (512, 320), PHOTO.write_to_memory()), (900, 1070))
    image.paste(Image.frombytes("RGB", (512, 320), PHOTO.write_to_memory()), (20, 10))
    recipe = outputs(a={"format": "jpeg", "quality": "auto"}, b={"format": "jpeg", "quality": 40})
    rendering = render(encoded(image, "PNG"), recipe)
    assert rendering.outputs[0].bytes > 1.1 * rendering.outputs[1].bytes
