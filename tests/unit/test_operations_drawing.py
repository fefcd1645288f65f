"""Every operation drawn on every kind of picture: sizes as declared, and what must hold whatever the parameters."""

import math
from collections.abc import Callable
from typing import Any, Final

import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps
from tests.pictures import likeness, upright, vips

from safelight.operations import Operation, Size, catalogue
from safelight.operations.auto_orient import AutoOrient
from safelight.operations.blur import Blur
from safelight.operations.border import Border
from safelight.operations.contrast import Contrast
from safelight.operations.crop import Crop
from safelight.operations.flatten import Flatten
from safelight.operations.flip import Flip
from safelight.operations.gamma import Gamma
from safelight.operations.grayscale import Grayscale
from safelight.operations.modulate import Modulate
from safelight.operations.normalize import Normalize
from safelight.operations.pad import Pad
from safelight.operations.pixelate import Pixelate
from safelight.operations.redact import Redact
from safelight.operations.resize import Resize
from safelight.operations.rotate import Rotate
from safelight.operations.round_corners import RoundCorners
from safelight.operations.sepia import Sepia
from safelight.operations.sharpen import Sharpen
from safelight.operations.tint import Tint
from safelight.operations.trim import Trim
from safelight.operations.watermark import Watermark
from safelight.parameters import Area
from safelight.recipes import build

KINDS: Final = ("rgb", "rgba", "grey", "grey and alpha", "rgb16", "rgba16", "grey16")

SIDES: Final = st.integers(1, 40)
LENGTHS: Final = st.integers(1, 60) | st.sampled_from(["0%", "1%", "33.333%", "50%", "100%"])
ROOMS: Final = st.integers(0, 20) | st.sampled_from(["0%", "10%", "50%"])
COLOURS: Final = st.sampled_from(["transparent", "white", "#ff000080", "#336699", "black"])
INKS: Final = st.sampled_from(["white", "#336699", "black"])
GRAVITIES: Final = st.sampled_from(["north_west", "center", "south", "east", "attention", "entropy"])
AREAS: Final = st.lists(st.builds(Area, ROOMS, ROOMS, LENGTHS, LENGTHS), min_size=1, max_size=3).map(tuple)
NOTHING: Final = st.none()


def right(operation: Operation) -> bool:
    """Whether a recipe may say this."""
    return not list(operation.faults())


RANDOM: Final[dict[type[Operation], st.SearchStrategy[Any]]] = {
    AutoOrient: st.just(AutoOrient()),
    Blur: st.builds(Blur, sigma=st.floats(0.3, 6)),
    Border: st.builds(Border, width=LENGTHS, colour=COLOURS),
    Contrast: st.builds(Contrast, amount=st.floats(0, 10)),
    Crop: st.builds(
        Crop,
        width=NOTHING | LENGTHS,
        height=NOTHING | LENGTHS,
        aspect=NOTHING | st.sampled_from(["1:1", "16:9", "1:9999"]),
        gravity=GRAVITIES,
    ).filter(right)
    | st.builds(Crop, width=LENGTHS, height=LENGTHS, left=ROOMS, top=ROOMS)
    | st.builds(Crop, aspect=st.just("3:2"), x=st.just("80%"), y=st.just("0%")),
    Flatten: st.builds(Flatten, background=INKS),
    Flip: st.builds(Flip, direction=st.sampled_from(["horizontal", "vertical"])),
    Gamma: st.builds(Gamma, exponent=st.floats(0.1, 10)),
    Grayscale: st.just(Grayscale()),
    Modulate: st.builds(
        Modulate, brightness=st.floats(0, 10), saturation=st.floats(0, 10), hue=st.floats(-360, 360)
    ),
    Normalize: st.builds(Normalize, clip=st.floats(0, 49)),
    Pad: st.builds(Pad, space=ROOMS, left=NOTHING | ROOMS, top=NOTHING | ROOMS, background=COLOURS),
    Pixelate: st.builds(Pixelate, regions=st.just(()) | AREAS, block=st.integers(2, 50) | st.just("0%")),
    Redact: st.builds(Redact, regions=AREAS, colour=INKS),
    Resize: st.builds(
        Resize,
        width=NOTHING | LENGTHS,
        height=NOTHING | LENGTHS,
        fit=st.sampled_from(["inside", "cover", "contain", "fill", "outside"]),
        enlarge=st.booleans(),
        kernel=st.sampled_from(["lanczos3", "cubic", "linear", "nearest", "mitchell"]),
        gravity=GRAVITIES,
        background=COLOURS,
    ).filter(right),
    Rotate: st.builds(
        Rotate, angle=st.sampled_from([0, 90, -90, 180, 270, 360]) | st.floats(-360, 360), background=COLOURS
    ),
    RoundCorners: st.builds(RoundCorners, radius=LENGTHS),
    Sepia: st.builds(Sepia, amount=st.floats(0, 1)),
    Sharpen: st.builds(Sharpen, sigma=st.floats(0.3, 5), amount=st.floats(0, 5)),
    Tint: st.builds(Tint, colour=INKS, amount=st.floats(0, 1)),
    Trim: st.builds(Trim, threshold=st.integers(0, 255), background=NOTHING | COLOURS),
    Watermark: st.builds(Watermark, text=st.just("©"), opacity=st.floats(0, 1)),
}


def picture(kind: str = "rgb", width: int = 160, height: int = 120) -> Any:
    """A scene of that kind, less opaque from left to right where it has alpha."""
    image = vips(upright()).crop(0, 0, width, height)
    if "grey" in kind:
        image = image[1].copy(interpretation="b-w")
    if "a" in kind.replace("grey and", "").removeprefix("rgb")[:1] or "alpha" in kind:
        clear = (pyvips.Image.xyz(width, height)[0] * 255 / width).cast("uchar")
        image = image.bandjoin(clear)
    if "16" in kind:
        grey = image.bands < 3
        image = (image * 257).cast("ushort").copy(interpretation="grey16" if grey else "rgb16")
    return image.copy_memory()


def drawn(operation: Operation, image: Any) -> Any:
    """What the operation makes of it."""
    return operation.draw(image, Size(image.width, image.height)).copy_memory()


def pillow(image: Any) -> Image.Image:
    """The same for Pillow."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[image.bands]
    return Image.frombytes(mode, (image.width, image.height), image.write_to_memory())


def test_every_operation_is_drawn_here() -> None:
    """An operation without a strategy of its own would not be tested below."""
    assert {operation.name() for operation in RANDOM} == set(catalogue())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", RANDOM, ids=lambda operation: str(operation.name()))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_size_is_as_declared(operation: type[Operation], kind: str, data: st.DataObject) -> None:
    """For any parameters and any picture; and the picture stays one that the next operation can take."""
    image = picture(kind, data.draw(SIDES), data.draw(SIDES))
    size = Size(image.width, image.height)
    chosen: Operation = data.draw(RANDOM[operation])
    step = chosen.settled([image], size)
    after = step.draw(image, size).copy_memory()
    declared = step.size(size)
    assert (after.width, after.height) == (declared.width, declared.height)
    assert not step.looks(size)
    assert after.format == image.format
    assert after.interpretation == ("rgb16" if image.format == "ushort" else "srgb") or after.bands < 3
    assert after.bands == {"b-w": 1, "grey16": 1}.get(after.interpretation, 3) + after.hasalpha()
    assert (after.width, after.height) == (
        (whole := chosen.draw(image, size)).width,
        whole.height,
    ), "drawn at once or after it is settled, it is the same size"


@pytest.mark.parametrize("operation", RANDOM, ids=lambda operation: str(operation.name()))
def test_a_stream_is_enough(operation: type[Operation], tmp_path: Any) -> None:
    """Every operation draws a picture that is decoded row by row and can not be read twice."""
    example = {Redact: Redact(regions=(Area(5, 5, "50%", "50%"),)), Tint: Tint(colour="#704214")}
    example |= {
        Resize: Resize(width=200, height=300, fit="cover", gravity="attention"),
        Rotate: Rotate(angle=7),
    }
    example |= {Watermark: Watermark(text="©"), Crop: Crop(width=300, height="50%", gravity="entropy")}
    chosen = example.get(operation) or operation()
    file = tmp_path / "photo.png"
    whole = vips(upright(0, 800, 1200))
    whole.pngsave(str(file), compression=1)
    size = Size(800, 1200)
    streamed = chosen.draw(pyvips.Image.new_from_file(str(file), access="sequential"), size).copy_memory()
    assert (streamed - chosen.draw(whole.copy_memory(), size)).abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_done_twice(kind: str) -> None:
    """Two flips and four quarter turns are nothing at all; a second time grey is as grey as the first."""
    image = picture(kind)
    for direction in ("horizontal", "vertical"):
        once = drawn(Flip(direction=direction), image)
        assert (drawn(Flip(direction=direction), once) - image).abs().max() == 0
    turned = image
    for _ in range(4):
        turned = drawn(Rotate(angle=90), turned)
    assert (turned - image).abs().max() == 0
    grey = drawn(Grayscale(), image)
    assert (drawn(Grayscale(), grey) - grey).abs().max() <= 1
    assert (drawn(Flatten(), drawn(Flatten(), image)) - drawn(Flatten(), image)).abs().max() == 0


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    asked=st.tuples(st.integers(1, 6000), st.integers(1, 6000)),
    fit=st.sampled_from(["inside", "cover", "fill", "outside"]),
)
def test_resize_enlarges_only_if_asked(width: int, height: int, asked: tuple[int, int], fit: Any) -> None:
    """Nor is more decoded than the result needs."""
    before = Size(width, height)
    after = Resize(width=asked[0], height=asked[1], fit=fit).size(before)
    assert after.width <= width
    assert after.height <= height
    larger = Resize(width=asked[0], height=asked[1], fit=fit, enlarge=True)
    if fit == "inside":
        assert larger.size(before).width <= asked[0]
        assert larger.size(before).height <= asked[1]
    elif fit == "outside":
        assert larger.size(before).width >= asked[0]
        assert larger.size(before).height >= asked[1]
    else:
        assert larger.size(before) == Size(*asked)
    assert larger.shrink(before) >= 1
    assert Resize(width=asked[0], height=asked[1], fit="contain").size(before) == Size(*asked)


def test_resize_takes_a_picture_that_was_shrunk_already() -> None:
    """Decoded at half its size, the picture gives the size that was declared for the whole one, and looks the same."""
    image = vips(upright(0, 640, 480))
    step = Resize(width=100, height=100, fit="cover")
    size = Size(640, 480)
    assert step.shrink(size) == pytest.approx(4.8, rel=0.01)
    half = step.draw(image.resize(0.5), size)
    assert (half.width, half.height) == (100, 100)
    assert likeness(pillow(half), pillow(step.draw(image, size))) >= 0.99


BY_PILLOW: Final[dict[str, tuple[Operation, Callable[[Image.Image], Image.Image]]]] = {
    "resize": (
        Resize(width=64, height=48),
        lambda image: image.resize((64, 48), Image.Resampling.LANCZOS),
    ),
    "resize linear": (
        Resize(width=64, height=48, kernel="linear"),
        lambda image: image.resize((64, 48), Image.Resampling.BILINEAR),
    ),
    "cover": (
        Resize(width=60, height=60, fit="cover"),
        lambda image: ImageOps.fit(image, (60, 60), Image.Resampling.LANCZOS),
    ),
    "contain": (
        Resize(width=90, height=90, fit="contain", background="black"),
        lambda image: ImageOps.pad(image, (90, 90), Image.Resampling.LANCZOS),
    ),
    "fill": (
        Resize(width=60, height=90, fit="fill"),
        lambda image: image.resize((60, 90), Image.Resampling.LANCZOS),
    ),
    "crop": (
        Crop(width=50, height=30, left=20, top="50%"),
        lambda image: image.crop((20, 60, 70, 90)),
    ),
    "rotate 90": (Rotate(angle=90), lambda image: image.transpose(Image.Transpose.ROTATE_270)),
    "flip": (Flip(), ImageOps.mirror),
    "flip vertical": (Flip(direction="vertical"), ImageOps.flip),
    "pad": (Pad(space=7, background="#336699"), lambda image: ImageOps.expand(image, 7, "#336699")),
    "border": (Border(width=4), lambda image: ImageOps.expand(image, 4, "black")),
    "blur": (Blur(sigma=2), lambda image: image.filter(ImageFilter.GaussianBlur(2))),
    "sharpen": (
        Sharpen(sigma=1, amount=0.8),
        lambda image: image.filter(ImageFilter.UnsharpMask(1, 80, 0)),
    ),
    "grayscale": (
        Grayscale(),
        lambda image: image.convert("L", (0.2126, 0.7152, 0.0722, 0)).convert("RGB"),
    ),
    "gamma": (
        Gamma(exponent=2),
        lambda image: image.point([round(255 * math.sqrt(value / 255)) for value in range(256)] * 3),
    ),
    "contrast": (
        Contrast(amount=1.5),
        lambda image: image.point([round(value * 1.5 - 63.75) for value in range(256)] * 3),
    ),
    "normalize": (Normalize(clip=2), lambda image: ImageOps.autocontrast(image, 2, preserve_tone=True)),
}


@pytest.mark.parametrize("name", BY_PILLOW)
def test_pillow_makes_the_same(name: str) -> None:
    """What Pillow can do, too, it does alike."""
    step, theirs = BY_PILLOW[name]
    assert likeness(pillow(drawn(step, picture())), theirs(upright())) >= 0.99


def test_pillow_turns_by_any_angle_alike() -> None:
    """Except for the outermost pixels, which we blend with the background."""
    ours = pillow(drawn(Rotate(angle=30, background="black"), picture()))
    theirs = upright().rotate(-30, Image.Resampling.BICUBIC, expand=True)
    middle = (40, 40, 150, 140)
    assert abs(ours.width - theirs.width) <= 2
    shift = ((theirs.width - ours.width) // 2, (theirs.height - ours.height) // 2)
    moved = theirs.crop((*shift, shift[0] + ours.width, shift[1] + ours.height))
    assert likeness(ours.crop(middle), moved.crop(middle)) >= 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_is_left_under_a_redaction(kind: str, seed: int) -> None:
    """Whatever was there, the same comes out, alpha included; beside it nothing changes; it is clipped."""
    regions = (Area(20, 10, 30, 40), Area("90%", 0, "50%", 9))
    noise = pyvips.Image.gaussnoise(160, 120, mean=128, sigma=60, seed=seed).cast("uchar")
    image = picture(kind)
    other = image.copy()
    for left, top, width, height in ((20, 10, 30, 40), (144, 0, 16, 9)):
        part = noise.crop(left, top, width, height) * (257 if image.format == "ushort" else 1)
        bands = part.bandjoin([part] * (image.bands - 1)) if image.bands > 1 else part
        other = other.insert(bands.cast(image.format), left, top)
    step = Redact(regions=regions)
    one, two = drawn(step, image), drawn(step, other)
    assert (one - two).abs().max() == 0
    assert list(one(25, 15)) == ([0.0] * (image.bands - image.hasalpha())) + (
        [65535.0 if image.format == "ushort" else 255.0] if image.hasalpha() else []
    )
    assert (one.crop(50, 50, 90, 60) - image.crop(50, 50, 90, 60)).abs().max() == 0
    assert [(at.left, at.top, at.width, at.height) for at in step.touches(Size(160, 120))] == [
        (20, 10, 30, 40),
        (144, 0, 16, 9),
    ]


def test_nothing_but_the_mean_is_left_of_a_block() -> None:
    """Two pictures whose blocks have the same means become the same; each block is of one colour."""
    image = picture()
    stirred = pyvips.Image.arrayjoin(
        [
            image.crop(x, y, 8, 8).fliphor().flipver().copy_memory()
            for y in range(0, 120, 8)
            for x in range(0, 160, 8)
        ],
        across=20,
    )
    step = Pixelate(block=8)
    one = drawn(step, image)
    assert (one - drawn(step, stirred)).abs().max() == 0
    for x, y in ((0, 0), (80, 40), (152, 112)):
        block = one.crop(x, y, 8, 8)
        assert all(band.min() == band.max() for band in block.bandsplit())
    part = drawn(Pixelate(block=8, regions=(Area(8, 8, 32, 32),)), image)
    assert (part.crop(50, 0, 110, 120) - image.crop(50, 0, 110, 120)).abs().max() == 0


def test_trim_finds_the_margins_of_all_frames() -> None:
    """What any frame shows is kept in every one; a plain picture stays as it is."""
    plain = (pyvips.Image.black(60, 50, bands=3) + 250).cast("uchar").copy(interpretation="srgb")
    one = plain.insert(picture(width=10, height=12), 20, 5)
    two = plain.insert(picture(width=10, height=12), 25, 30)
    size = Size(60, 50)
    settled = Trim().settled([one, two], size)
    assert settled.size(size) == Size(15, 37)
    assert [frame.width for frame in (settled.draw(one, size), settled.draw(two, size))] == [15, 15]
    assert Trim().settled([plain], size).size(size) == size
    clear = plain.bandjoin(0).copy(interpretation="srgb")
    shown = clear.insert(picture(width=10, height=12).bandjoin(255).copy(interpretation="srgb"), 3, 4)
    assert Trim(background="transparent").settled([shown], size).size(size) == Size(10, 12)


def test_hidden_colours_do_not_bleed() -> None:
    """A red that is fully transparent leaves no red seam when the picture is scaled, blurred or turned."""
    red = pyvips.Image.black(40, 40, bands=3).linear([1], [255, 0, 0]).bandjoin(0)
    image = red.insert(pyvips.Image.black(20, 40, bands=3).linear([1], [0, 0, 255]).bandjoin(255), 0, 0)
    image = image.cast("uchar").copy(interpretation="srgb")
    for step in (Resize(width=17), Blur(sigma=3), Rotate(angle=20), Pixelate(block=7)):
        after = drawn(step, image)
        seen = (after[0] * (after[3] > 8)).max()
        assert seen <= 255 * 0.02, step


def test_a_turned_edge_has_no_fringe() -> None:
    """A plain picture is of its own colour up to the blended edge, wherever it can be seen."""
    plain = (pyvips.Image.black(80, 60, bands=3) + 120).cast("uchar").copy(interpretation="srgb")
    turned = drawn(Rotate(angle=12), plain)
    assert ((turned[0] - 120).abs() * (turned[3] > 8)).max() <= 8


def test_attention_and_tones_hold_still() -> None:
    """What is chosen once is used for every frame, so that an animation neither jumps nor flickers."""
    frames = [picture(), drawn(Gamma(exponent=2), picture())]
    size = Size(160, 120)
    for step in (
        Resize(width=40, height=100, fit="cover", gravity="attention"),
        Crop(aspect="1:2", gravity="entropy"),
        Normalize(),
    ):
        settled = step.settled(frames, size)
        assert step.looks(size)
        assert not settled.looks(size)
        assert settled.settled(frames, size) == settled


AREA: Final = {"left": 0, "top": 0, "width": "10%", "height": 5}

REFUSED: Final[list[tuple[dict[str, Any], str]]] = [
    ({"op": "resize"}, r"steps\.a\.width: expected a width, a height or both"),
    ({"op": "resize", "width": 5, "gravity": "entropy"}, r"steps\.a\.gravity: entropy is for fit: cover"),
    ({"op": "resize", "width": 5, "x": "5%", "fit": "cover"}, r"steps\.a\.y: x and y go together"),
    ({"op": "crop"}, r"steps\.a\.width: expected a width, a height or an aspect"),
    ({"op": "crop", "width": 1, "height": 1, "aspect": "1:1"}, r"steps\.a\.aspect: "),
    ({"op": "crop", "width": 1, "left": 1}, r"steps\.a\.top: left and top go together"),
    (
        {"op": "crop", "aspect": "0:1"},
        r"steps\.a\.aspect: expected proportions such as '16:9', in quotes, received '0:1'",
    ),
    ({"op": "redact", "regions": []}, r"steps\.a\.regions: expected 1 to 100 areas"),
    ({"op": "redact", "regions": [3]}, r"steps\.a\.regions\.1: expected the fields left, top, width, height"),
    (
        {"op": "redact", "regions": [AREA, {**AREA, "height": 0}]},
        r"steps\.a\.regions\.2\.height: expected an integer from 1 to 10000 or a percentage .*, received 0",
    ),
    (
        {"op": "redact", "regions": [*[AREA] * 99, {**AREA, "top": -1}]},
        r"steps\.a\.regions\.100\.top: expected an integer from 0",
    ),
    ({"op": "redact", "regions": [*[AREA] * 100, {}]}, r"steps\.a\.regions: expected 1 to 100 areas"),
    (
        {"op": "pixelate", "regions": [{**AREA, "colour": "red"}]},
        r"steps\.a\.regions\.1\.colour: there is no",
    ),
    ({"op": "tint", "colour": "transparent"}, r"steps\.a\.colour: expected an opaque colour"),
    ({"op": "pad", "background": "#12345"}, r"steps\.a\.background: expected a colour such as '#ffffff'"),
    ({"op": "blur", "sigma": 0}, r"steps\.a\.sigma: expected a number from 0\.3 to 100, received 0"),
]


@pytest.mark.parametrize(("step", "message"), REFUSED)
def test_what_does_not_fit_together_is_refused(step: dict[str, Any], message: str) -> None:
    """Before a picture is there, with the place and what was expected."""
    from safelight.errors import RecipeInvalid

    with pytest.raises(RecipeInvalid, match=message):
        build({"version": 1, "steps": {"a": step}, "outputs": {"o": {"use": "a"}}})
