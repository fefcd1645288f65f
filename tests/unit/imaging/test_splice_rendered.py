"""Splicing as a part of the renderer: a job ends the same with it and without it. Most need the library."""

import io
import mmap
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import Any

import pytest
import pyvips
from PIL import Image, ImageChops, ImageOps, ImageStat
from tests.pictures import ORIENTATIONS, encoded, jpeg, likeness, upright, vips
from tests.unit.imaging.conftest import RECIPE, content, render_with
from tests.unit.imaging.splicing import (
    FILES,
    SIZE,
    alike,
    allowed,
    changed,
    damaged,
    inside,
    needs_library,
    opened,
    photo,
)

from safelight.config import Settings
from safelight.errors import SafelightError, Truncated
from safelight.imaging import SandboxedRenderer, blocks, headers, pictures, profiles, splice
from safelight.imaging.splice import Refused
from safelight.operations import Coarse, Mark, Region, Size
from safelight.ports import Rendering
from safelight.recipes import build, canonical

# --- as a part of the renderer ----------------------------------------------------------------------------


Either = Callable[..., tuple[Rendering, Rendering]]


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[SandboxedRenderer, SandboxedRenderer]]:
    """One renderer that splices where it can, and one that does not."""
    renderers = SandboxedRenderer(Settings()), SandboxedRenderer(Settings(splice="off"))
    yield renderers
    for renderer in renderers:
        renderer.close()


@pytest.fixture
def either(both: tuple[SandboxedRenderer, SandboxedRenderer]) -> Iterator[Either]:
    """Render on both ways, spliced first."""
    with ExitStack() as stack:

        def render(data: bytes, recipe: bytes = RECIPE) -> tuple[Rendering, Rendering]:
            one, other = (render_with(renderer, data, recipe) for renderer in both)
            stack.callback(one.close)
            stack.callback(other.close)
            return one, other

        yield render


def record(rendering: Rendering) -> tuple[object, ...]:
    """What a job record takes from a rendering, but for sizes in bytes and digests."""
    return rendering.source, [
        (one.name, one.extension, one.content_type, one.width, one.height, one.frames, one.primary)
        for one in rendering.outputs
    ]


@needs_library
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_job_ends_the_same_either_way(either: Either, orientation: int) -> None:
    """The same record, and pictures that look the same; spliced, the photo lies as it lay."""
    one, other = either(jpeg(upright(0, *SIZE), orientation))
    assert record(one) == record(other)
    shown = [ImageOps.exif_transpose(opened(content(rendering))) for rendering in (one, other)]
    assert likeness(*shown) >= 0.97
    assert opened(content(one)).getexif().get(0x0112, 1) == orientation
    assert opened(content(other)).getexif().get(0x0112, 1) == 1


@needs_library
def test_a_picture_marked_as_it_lies_has_no_tag(either: Either) -> None:
    """Without auto_orient nothing is set upright, on either way."""
    mark = {"op": "watermark", "text": "©"}
    recipe = build({"version": 1, "steps": {"mark": mark}, "outputs": {"main": {"use": "mark"}}})
    one, other = either(jpeg(upright(0, *SIZE), 6), canonical(recipe))
    assert record(one) == record(other)
    assert not opened(content(one)).getexif()
    assert likeness(opened(content(one)), opened(content(other))) >= 0.98


@needs_library
@pytest.mark.parametrize("orientation", [1, 6])
def test_nothing_of_what_is_redacted_is_left(either: Either, orientation: int) -> None:
    """Two photos that differ only there, and in what their previews and comments show, become one and the same file."""
    area = {"left": 48, "top": 32, "width": 64, "height": 48}
    steps = {"turn": {"op": "auto_orient"}, "hide": {"op": "redact", "use": "turn", "regions": [area]}}
    recipe = canonical(build({"version": 1, "steps": steps, "outputs": {"main": {"use": "hide"}}}))
    done = []
    for seed in range(2):
        image = upright(0, 160, 112)
        secret = random.Random(seed).randbytes(3 * 64 * 48)
        image.paste(Image.frombytes("RGB", (64, 48), secret), (48, 32))
        data = jpeg(image, orientation, subsampling="4:2:0")
        preview = b"\xff\xe1" + struct.pack(">H", 1002) + secret[:1000]
        data = data[:2] + preview + data[2:]
        after = content(either(data, recipe)[0])
        assert opened(after).getexif().get(0x0112, 1) == orientation, "decoded, and not spliced"
        before, shown = (ImageOps.exif_transpose(opened(file)) for file in (data, after))
        assert inside(changed(before, shown), (46, 30, 114, 82))
        covered = shown.crop((49, 33, 111, 79))  # at the edge decoders mix in their neighbours' chroma
        assert covered.getcolors() == [(62 * 46, (0, 0, 0))]
        done.append(after)
    assert done[0] == done[1]


@needs_library
@pytest.mark.parametrize(
    ("output", "same"), [({}, True), ({"format": "jpeg"}, True), ({"quality": 88}, False)]
)
def test_pixels_stay_only_where_quality_is_kept(
    either: Either, output: dict[str, object], same: bool
) -> None:
    """A quality of its own means that everything is coded anew."""
    one, _ = either(photo(), canonical(build({"version": 1, "outputs": {"main": output}})))
    assert (changed(opened(photo()), opened(content(one))) == (0, 0, 0, 0)) is same


@needs_library
def test_what_is_refused_is_drawn(either: Either) -> None:
    """A file of RGB comes out the same whether the library was asked or not."""
    one, other = either(photo(keep_rgb=True))
    assert content(one) == content(other)


# --- parts that are pixelated -----------------------------------------------------------------------------

WHOLE = (160, 112)
"""Whole MCUs, however it lies: encoded again, most of it stays as it was."""

AREAS = {
    "on the grid": (32, 32, 64, 48),
    "off the grid": (37, 29, 61, 33),
    "clipped": (120, 90, 90, 90),
    "first": (0, 0, 20, 9),
    "last column": (149, 0, 1, 110),
}


def area(place: tuple[int, int, int, int]) -> dict[str, int]:
    """The place as recipes say it."""
    return dict(zip(("left", "top", "width", "height"), place, strict=True))


def pixelate(*places: tuple[int, int, int, int], block: int = 8) -> dict[str, Any]:
    """A step."""
    return {"op": "pixelate", "regions": [area(place) for place in places], "block": block}


def chain(*steps: dict[str, Any], **output: Any) -> bytes:
    """A recipe of steps one after the other, upright first."""
    return canonical(build({"version": 1, "chain": ["auto_orient", *steps], "outputs": {"main": output}}))


def shown(rendering: Rendering) -> Image.Image:
    """What comes out, upright."""
    return ImageOps.exif_transpose(opened(content(rendering)))


def extrema(image: Image.Image) -> list[tuple[float, float]]:
    """The darkest and the lightest value of each channel."""
    return [(band.min(), band.max()) for band in vips(image).bandsplit()]


def covering(place: tuple[int, int, int, int]) -> Mark:
    """A stand-in for whatever lies there, clipped to the picture."""
    left, top, width, height = place
    return Mark(Region(left, top, min(width, SIZE[0] - left), min(height, SIZE[1] - top)), ())


@needs_library
@pytest.mark.parametrize("place", AREAS)
@pytest.mark.parametrize("kind", [*(kind for kind in FILES if "progressive" not in kind), "grey"])
def test_blocks_come_where_the_pixels_were(either: Either, kind: str, place: str) -> None:
    """However the file is coded: beside the part nothing changes, and in it the picture is as pixels give it."""
    data = encoded(upright(0, *SIZE).convert("L"), "JPEG") if kind == "grey" else photo(**FILES[kind])
    where = covering(AREAS[place])
    one, other = (shown(rendering) for rendering in either(data, chain(pixelate(AREAS[place]))))
    before = opened(data)
    assert one.mode == other.mode == before.mode
    box = changed(before, one)
    assert box == (0, 0, 0, 0) or inside(box, allowed(data, where))
    exact = Image.new(before.mode, SIZE)
    part = Coarse(where.region, 8).draw(vips(before))
    exact.frombytes(bytes(part.write_to_memory()))
    alike(one, other, exact, where, near=1)  # a flat block has one rounding, and nothing to even it out


@needs_library
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_blocks_are_turned_not_the_picture(either: Either, orientation: int) -> None:
    """Two parts, seen upright, lie where they belong, counted from their own corners; the rest is as it was stored."""
    data = jpeg(upright(0, *WHOLE), orientation, subsampling="4:2:0")
    places = (16, 48, 45, 31), (96, 16, 33, 30)
    renderings = either(data, chain(pixelate(*places, block=10)))
    assert opened(content(renderings[0])).getexif().get(0x0112, 1) == orientation
    one, other = (shown(rendering) for rendering in renderings)
    plain = ImageOps.exif_transpose(opened(data))
    for left, top, width, height in places:
        part = (left, top, left + width, top + height)
        assert likeness(one.crop(part), other.crop(part)) >= 0.97
        assert likeness(one.crop(part), plain.crop(part)) < 0.9
        around = (left - 18, top - 18, left + width + 18, top + height + 18)
        plain.paste(one.crop(around), around[:2])
    assert changed(plain, one) == (0, 0, 0, 0)


@needs_library
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_nothing_but_means_is_left(either: Either, orientation: int, subsampling: str) -> None:
    """Fine noise becomes flat blocks, and noise with the same means becomes the same blocks."""
    left, top, width, height = place = (32, 32, 96, 48)
    noise = Image.frombytes("RGB", (width, height), random.Random(1).randbytes(3 * width * height))
    stirred = noise.copy()
    tiles = [(x, y, x + 16, y + 16) for y in range(0, height, 16) for x in range(0, width, 16)]
    for tile in tiles:
        stirred.paste(noise.crop(tile).transpose(Image.Transpose.ROTATE_180), tile)
    parts = []
    for secret in (noise, stirred):
        image = upright(0, 160, 112)
        image.paste(secret, (left, top))
        data = jpeg(image, orientation, quality=95, subsampling=subsampling)
        one, _ = either(data, chain(pixelate(place, block=16)))
        assert inside(changed(ImageOps.exif_transpose(opened(data)), shown(one)), (30, 30, 130, 82))
        parts.append(shown(one).crop((left, top, left + width, top + height)))
    for x, y, _, _ in tiles:
        inner = parts[0].crop((x + 2, y + 2, x + 14, y + 14))  # decoders mix in their neighbours' chroma
        mean = ImageStat.Stat(noise.crop((x, y, x + 16, y + 16))).mean
        for (low, high), usual in zip(extrema(inner), mean, strict=True):
            assert usual - 6 <= low <= high <= usual + 6
            assert high - low <= 1
    assert max(high for _, high in extrema(ImageChops.difference(*parts))) <= 6


WHITE = {"op": "redact", "regions": [area((48, 40, 16, 24))], "colour": "white"}
MARK = {"op": "watermark", "text": "SAFELIGHT", "gravity": "center", "size": 24, "opacity": 1}
PART = (32, 32, 80, 48)

ORDERS: dict[str, tuple[dict[str, Any], ...]] = {
    "before": (MARK, pixelate(PART)),
    "after": (pixelate(PART), MARK),
    "both": (WHITE, pixelate(PART, block=12), MARK),
    "part of itself": (pixelate(PART, (60, 20, 40, 40), (50, 30, 30, 30), block=11),),
    "twice": (pixelate(PART, block=5), MARK, pixelate((50, 10, 70, 60), block=13)),
    "twice in one place": (pixelate((16, 16, 96, 80), block=5), pixelate((32, 16, 96, 80), block=13)),
}


@needs_library
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 8])
@pytest.mark.parametrize("order", ORDERS)
def test_blocks_are_made_of_what_lies_below(either: Either, order: str, orientation: int, mode: str) -> None:
    """Marks drawn before are in the means, marks drawn after lie on top, and parts that overlap follow each other."""
    data = jpeg(upright(0, *WHOLE).convert(mode), orientation, subsampling="4:4:4", quality=95)
    one, other = either(data, chain(*ORDERS[order]))
    assert opened(content(one)).getexif().get(0x0112, 1) == orientation, "decoded, and not spliced"
    assert likeness(shown(one), shown(other)) >= 0.97
    apart = ImageStat.Stat(ImageChops.difference(shown(one), shown(other))).mean
    assert max(apart) <= 1


@needs_library
def test_many_parts_that_overlap(either: Either) -> None:
    """A hundred, each over most of the one before: each is computed once, or this ends by the sandbox's clock."""
    places = [(20 + 6 * number, 15 + 4 * number, 96, 96) for number in range(100)]
    data = jpeg(upright(0, 1600, 1200), 1, subsampling="4:4:4")
    one, other = either(data, chain(pixelate(*places)))
    assert inside(changed(opened(data), shown(one)), (16, 8, 712, 512)), "decoded, and not spliced"
    assert likeness(shown(one), shown(other)) >= 0.97


@needs_library
@pytest.mark.parametrize(
    ("places", "reason"),
    [
        ([(0, 0, 150, 60), (0, 20, 150, 60)], "more"),
        ([(x, y, 4, 4) for x in range(0, 150, 6) for y in range(0, 110, 6)], "too many"),
    ],
)
def test_what_will_be_refused_is_not_decoded(places: list[tuple[int, int, int, int]], reason: str) -> None:
    """More than there is, by and by, and more parts than the library takes."""
    edits = [Coarse(Region(*place), 2) for place in places]
    refused = splice.splice(photo(), Size(*SIZE), edits, io.BytesIO(), decode=lambda: pytest.fail("decoded"))
    assert isinstance(refused, Refused)
    assert reason in refused.reason


@needs_library
def test_order_matters(either: Either) -> None:
    """White below is mixed into its block; white on top is white."""
    flat = encoded(Image.new("RGB", (160, 112), (60, 60, 60)), "JPEG", quality=95, subsampling="4:4:4")
    cover = {"op": "redact", "regions": [area((32, 32, 8, 16))], "colour": "white"}
    step = pixelate((32, 32, 32, 32), block=16)
    below, above = (shown(either(flat, chain(*steps))[0]) for steps in ((cover, step), (step, cover)))
    assert all(abs(value - (255 + 60) / 2) <= 2 for value in vips(below)(36, 40))
    assert all(abs(value - (255 + 60) / 2) <= 2 for value in vips(below)(44, 40))
    assert all(value >= 253 for value in vips(above)(36, 40))
    assert all(abs(value - 60) <= 2 for value in vips(above)(44, 40))


@needs_library
def test_blocks_are_in_the_colours_of_the_photo(either: Either) -> None:
    """A photo in Display P3 stays in it, spliced, and its blocks are as the pixels' way has them."""
    data = photo(icc_profile=profiles.profile_of("display-p3"))
    one, other = either(data, chain(pixelate(PART)))
    assert opened(content(one)).info["icc_profile"] == profiles.profile_of("display-p3")
    assert inside(changed(opened(data), shown(one)), allowed(data, covering(PART)))
    assert likeness(shown(one), shown(other)) >= 0.97


@needs_library
@pytest.mark.parametrize("cut", [0.3, 0.5, 0.8, 0.95, 0.999])
def test_a_file_that_ends_early_is_refused_either_way(
    both: tuple[SandboxedRenderer, SandboxedRenderer], cut: float
) -> None:
    """Whether it ends above the part, in it or below."""
    data = photo(quality=95)
    data = data[: int(len(data) * cut)]
    for renderer in both:
        with pytest.raises(Truncated):
            render_with(renderer, data, chain(pixelate((40, 40, 30, 20))))


@needs_library
def test_a_damaged_file_ends_the_same_either_way(both: tuple[SandboxedRenderer, SandboxedRenderer]) -> None:
    """It is refused with the same code, or comes out in the same size."""
    dice, whole = random.Random(7), photo(quality=95)
    for _ in range(60):
        data, ends = damaged(whole, dice), list[object]()
        for renderer in both:
            try:
                rendering = render_with(renderer, data, chain(pixelate((40, 40, 30, 20))))
                ends.append((rendering.outputs[0].width, rendering.outputs[0].height))
                rendering.close()
            except SafelightError as error:
                ends.append(error.code)
        assert ends[0] == ends[1], data.hex()


def test_nothing_below_the_blocks_is_decoded() -> None:
    """Blocks high up are made of a file whose lower half is missing; that is for the splice to find."""
    data = photo(quality=95)
    with TemporaryFile() as file:
        file.write(data[: len(data) // 2])
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as half:
            header = headers.read(data)
            seen = pictures.decode(half, header, whole=False).frames[0]
            (mark,) = blocks.as_marks([Coarse(Region(40, 8, 30, 16), 8)], Size(*SIZE), seen)
            with pytest.raises(pyvips.Error):
                pictures.decode(half, header).frames[0].avg()
    assert isinstance(mark, Mark)
    where = Coarse(mark.region, 8)
    expected = where.mark(where.blocks(where.region.of(vips(opened(data)))))
    assert mark == expected
