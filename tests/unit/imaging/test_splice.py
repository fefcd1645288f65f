"""Marks on a JPEG whose other blocks are copied bit by bit. Without the library, most of these are skipped."""

import io
import mmap
import random
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
import pyvips
from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat, JpegImagePlugin
from tests.pictures import ORIENTATIONS, encoded, jpeg, likeness, upright, vips
from tests.unit.imaging.conftest import RECIPE, content, render_with

from safelight.config import Settings
from safelight.errors import SafelightError, Truncated
from safelight.imaging import SandboxedRenderer, blocks, headers, pictures, profiles, splice
from safelight.imaging.sample import scene
from safelight.imaging.splice import Refused, Spliced
from safelight.operations import Coarse, Edit, Layer, Mark, Region, Size, Turn
from safelight.ports import Rendering
from safelight.recipes import build, canonical

needs_library = pytest.mark.skipif(
    not splice.available(), reason="safelight-splice is not installed: make native"
)

SIZE = (150, 110)
"""No multiple of any MCU's sides."""

FILES: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:2:0": {"subsampling": "4:2:0"},
    "fine": {"subsampling": "4:4:4", "quality": 100},
    "coarse": {"quality": 15},
    "optimised": {"optimize": True},
    "optimised and coarse": {"optimize": True, "quality": 20, "subsampling": "4:2:2"},
    "restart markers": {"restart_marker_blocks": 3},
    "a restart marker each row": {"restart_marker_rows": 1, "optimize": True},
    "a restart marker each block": {"restart_marker_blocks": 1, "subsampling": "4:4:4"},
    "progressive": {"progressive": True, "subsampling": "4:2:0"},
    "progressive and fine": {"progressive": True, "subsampling": "4:4:4", "quality": 100},
    "progressive and coarse": {"progressive": True, "subsampling": "4:2:2", "quality": 20},
    "progressive with restart markers": {
        "progressive": True,
        "restart_marker_rows": 1,
        "subsampling": "4:2:0",
    },
}

PLACES = {
    "corner": (100, 70, 50, 40),
    "first": (0, 0, 20, 9),
    "inside": (37, 29, 61, 33),
    "last pixel": (149, 109, 1, 1),
    "last column": (149, 0, 1, 110),
    "all": (0, 0, 150, 110),
}


def photo(**options: Any) -> bytes:
    return encoded(upright(0, *SIZE), "JPEG", **{"quality": 88} | options)


def soft(place: tuple[int, int, int, int], *, grey: bool = False) -> Mark:
    """A soft ellipse with a shadow, as large as the place."""
    region = Region(*place)
    ink = Image.radial_gradient("L").resize((region.width, region.height))
    ink = ImageOps.invert(ink)
    shadow = ink.filter(ImageFilter.GaussianBlur(2)).point(lambda value: value // 2)
    colour = (210, 210, 210) if grey else (250, 180, 40)
    return Mark(region, (Layer((0, 0, 0), shadow.tobytes()), Layer(colour, ink.tobytes())))


def logo(place: tuple[int, int, int, int]) -> Mark:
    """An image with soft edges, a colour for each pixel, as large as the place."""
    region = Region(*place)
    sides = (region.width, region.height)
    ink = ImageOps.invert(Image.radial_gradient("L").resize(sides))
    colours = Image.merge(
        "RGB", [Image.linear_gradient("L").rotate(90 * turn).resize(sides) for turn in range(3)]
    )
    return Mark(region, (Layer((0, 0, 0), ink.tobytes(), colours.tobytes()),))


def spliced(data: bytes, *edits: Edit) -> bytes:
    """The file with its marks; it must not be refused."""
    file = io.BytesIO()
    done = splice.splice(data, Size(*opened(data).size), edits, file)
    assert isinstance(done, Spliced), done
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def composed(image: Image.Image, *marks: Mark) -> Image.Image:
    """The exact result: the decoded picture, blended."""
    image = image.copy()
    for mark in marks:
        where = mark.region
        for layer in mark.layers:
            mask = Image.frombytes("L", (where.width, where.height), layer.alpha)
            ink: Any = layer.colour if image.mode == "RGB" else layer.colour[0]
            if layer.pixels is not None:
                ink = Image.frombytes("RGB", mask.size, layer.pixels)
            image.paste(
                ink, (where.left, where.top, where.left + where.width, where.top + where.height), mask
            )
    return image


def drawn(data: bytes, *marks: Mark) -> Image.Image:
    """The pixels' way: decoded, blended, coded by the same tables, decoded."""
    image = opened(data)
    tables = {"qtables": image.quantization}  # type: ignore[attr-defined]
    if image.mode == "RGB":
        tables["subsampling"] = JpegImagePlugin.get_sampling(image)
    return opened(encoded(composed(image, *marks), "JPEG", **tables))


def alike(one: Image.Image, other: Image.Image, exact: Image.Image, mark: Mark, near: float = 0) -> None:
    """Under the mark, `one` looks like `other`, and is as near to the exact result, or `near` levels in the mean."""
    where = mark.region
    part = (where.left, where.top, where.left + where.width, where.top + where.height)
    parts = [image.convert("RGB").crop(part) for image in (one, other, exact)]
    if where.width < 16 or where.height < 16:
        return  # too few blocks: what quantising rounds this way or that does not even out
    apart = [ImageStat.Stat(ImageChops.difference(image, parts[2])).mean for image in parts]
    assert max(apart[0]) <= max(near, max(apart[1]) + 0.2)
    assert likeness(parts[0], parts[2]) >= likeness(parts[1], parts[2]) - 0.005
    grey, other_grey = (image.convert("L").convert("RGB") for image in parts[:2])
    assert likeness(grey, other_grey) >= min(0.99, 2 * likeness(parts[1], parts[2]) - 1)


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    """The box in which two pictures differ."""
    difference = ImageChops.difference(before.convert("RGB"), after.convert("RGB"))
    return difference.getbbox() or (0, 0, 0, 0)


def allowed(data: bytes, *marks: Mark) -> tuple[int, int, int, int]:
    """The MCUs under the marks, and two pixels around them: decoders smooth chroma over an MCU's border."""
    image = opened(data)
    layers = [(across, down) for _, across, down, _ in image.layer]  # type: ignore[attr-defined]
    wide, high = (8 * max(factors) if len(layers) > 1 else 8 for factors in zip(*layers, strict=True))
    boxes = [
        (
            mark.region.left // wide * wide - 2,
            mark.region.top // high * high - 2,
            -(-(mark.region.left + mark.region.width) // wide) * wide + 2,
            -(-(mark.region.top + mark.region.height) // high) * high + 2,
        )
        for mark in marks
    ]
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def inside(inner: tuple[int, int, int, int], outer: tuple[int, int, int, int]) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def check(data: bytes, *marks: Mark) -> bytes:
    """Beside the marks nothing changes, and under them the picture looks as if it had been drawn. Return the file."""
    new = spliced(data, *marks)
    before, after = opened(data), opened(new)
    box = changed(before, after)
    assert box == (0, 0, 0, 0) or inside(box, allowed(data, *marks))
    assert after.layer == before.layer  # type: ignore[attr-defined]
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    for mark in marks:
        alike(after, drawn(data, *marks), composed(before, *marks), mark)
    return new


# --- whether there is a library or not ---------------------------------------------------------------------


def test_without_the_library_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels' way takes over where the package is missing."""
    monkeypatch.setitem(sys.modules, "safelight_splice", None)
    splice._library.cache_clear()
    try:
        assert not splice.available()
        file = io.BytesIO()
        assert splice.splice(photo(), Size(*SIZE), (), file) == Refused(splice.ABSENT)
        assert file.getvalue() == b""
    finally:
        splice._library.cache_clear()


# --- the picture ------------------------------------------------------------------------------------------


@needs_library
@pytest.mark.parametrize(
    "place", [(500, 600, 560, 200), (0, 0, 1100, 300), (600, 10, 500, 700), (3, 5, 450, 800)]
)
@pytest.mark.parametrize(
    "kind", ["4:2:0", "optimised", "restart markers", "a restart marker each row", "fine"]
)
def test_two_threads_write_what_one_writes(
    kind: str, place: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large marks are shared by two, wherever they lie; those that touch the end of a row are not."""
    data = encoded(upright(0, 1100, 820), "JPEG", **{"quality": 88} | FILES[kind])
    files = []
    for threads in (1, 2):
        monkeypatch.setattr(splice, "_threads", lambda threads=threads: threads)
        files.append(spliced(data, soft(place), soft((700, 30, 90, 40))))
    assert files[0] == files[1]


@needs_library
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", FILES)
def test_only_blocks_under_the_mark_change(kind: str, place: str) -> None:
    """However the file is coded and wherever the mark lies."""
    check(photo(**FILES[kind]), soft(PLACES[place]))


@needs_library
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("quality", [75, 90, 100])
def test_under_the_mark_it_is_the_picture_that_pixels_give(quality: int, subsampling: str) -> None:
    """By the same tables: a level apart at the most in the mean, and not farther from the exact result than that."""
    pixels = scene(320, 240, 3).write_to_memory()
    data = encoded(
        Image.frombytes("RGB", (320, 240), pixels), "JPEG", quality=quality, subsampling=subsampling
    )
    mark = soft((70, 50, 180, 130))
    part = (70, 50, 250, 180)
    whole = opened(spliced(data, mark)), drawn(data, mark), composed(opened(data), mark)
    one, other, exact = (image.convert("RGB").crop(part) for image in whole)

    def apart(left: Image.Image, right: Image.Image) -> list[float]:
        both = (image.convert("YCbCr") for image in (left, right))
        return ImageStat.Stat(ImageChops.difference(*both)).mean

    assert max(apart(one, other)) <= 1
    assert all(own <= usual + 0.1 for own, usual in zip(apart(one, exact), apart(other, exact), strict=True))
    assert likeness(one, exact) >= likeness(other, exact) - 0.002
    assert likeness(one, other) >= 0.97


SCANS = sorted((Path(__file__).parent / "scans").glob("*.jpg"))
"""The photo as `jpegtran -scans` writes it by scripts of our own: the bands of a component one by one; all bits from
the third on one by one, DC and AC; DC of two components together; and an end-of-band run over what lies between two
restart markers. Pillow and cameras write libjpeg's own script alone."""


@needs_library
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("file", SCANS, ids=lambda file: file.stem)
def test_scans_come_in_any_order(file: Path, place: str) -> None:
    """Whatever the order is in which a progressive file tells its coefficients."""
    check(file.read_bytes(), soft(PLACES[place]))


@needs_library
def test_a_progressive_file_stays_about_as_large() -> None:
    """Its codes are made for all of the picture, also where most of what is told stands in few rows."""
    page = Image.new("RGB", (800, 128), "white")
    page.paste(upright(0, 400, 100), (200, 20))
    for image in (page, upright(0, 800, 600)):
        data = encoded(image, "JPEG", quality=88, progressive=True)
        best = encoded(image, "JPEG", quality=88, optimize=True)
        assert len(spliced(data, soft((700, 90, 40, 20)))) < 1.1 * len(best)


@needs_library
@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0", "restart markers", "progressive"])
def test_images_are_marks_too(kind: str) -> None:
    """With a colour for each pixel, and beside a mark of one colour."""
    check(photo(**FILES[kind]), logo(PLACES["inside"]))
    check(photo(**FILES[kind]), soft(PLACES["corner"]), logo((9, 3, 40, 30)))


@needs_library
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"restart_marker_blocks": 2}, {"progressive": True}]
)
def test_grey_pictures_stay_grey(options: dict[str, Any], place: str) -> None:
    """A picture without colour takes a mark without colour."""
    data = encoded(upright(0, *SIZE).convert("L"), "JPEG", quality=85, **options)
    assert opened(check(data, soft(PLACES[place], grey=True))).mode == "L"
    file = io.BytesIO()
    assert isinstance(splice.splice(data, Size(*SIZE), [soft(PLACES[place])], file), Refused)


@needs_library
@pytest.mark.parametrize(
    ("subsampling", "factors", "size"),
    [("4:2:2", 0x12, (48, 128)), ("4:2:0", 0x41, (192, 32)), ("4:2:0", 0x14, (48, 128))],
)
def test_unusual_sampling(subsampling: str, factors: int, size: tuple[int, int]) -> None:
    """4:4:0, 4:1:1 and 4:1:0 turned: no encoder here writes them, so that a frame header is changed to say so."""
    data = bytearray(encoded(upright(0, 96, 64), "JPEG", quality=90, subsampling=subsampling))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", size[1], size[0])
    data[frame + 11] = factors
    mark = soft((11, 5, 30, 20))
    after = spliced(bytes(data), mark)
    assert inside(changed(opened(bytes(data)), opened(after)), allowed(bytes(data), mark))
    assert changed(opened(bytes(data)), opened(after)) != (0, 0, 0, 0)


@needs_library
def test_several_marks() -> None:
    """Apart from each other, one over the other, and one that is not to be seen."""
    data = photo(optimize=True)
    clear = Mark(Region(0, 90, 8, 8), (Layer((9, 9, 9), bytes(64)),))
    check(data, soft((0, 0, 30, 20)), soft((90, 60, 40, 30)), soft((110, 70, 40, 40)), clear)


@needs_library
def test_nothing_of_the_original_is_left_under_an_opaque_mark() -> None:
    """Two originals that differ only there give pictures that do not differ there."""
    region = Region(48, 32, 32, 32)
    cover = Mark(region, (Layer((30, 60, 90), b"\xff" * 1024),))
    one, other = upright(0, *SIZE), upright(0, *SIZE)
    other.paste((255, 0, 0), (48, 32, 80, 64))
    after = [opened(spliced(encoded(image, "JPEG", subsampling=0), cover)) for image in (one, other)]
    assert changed(*after) == (0, 0, 0, 0)


@needs_library
@pytest.mark.parametrize("kind", FILES)
def test_no_mark_is_no_change(kind: str) -> None:
    """Headers are written anew, and the picture data are the same bytes; of a progressive file they are the
    same values in one scan."""
    data = photo(**FILES[kind])
    after = spliced(data)
    if "progressive" in kind:
        assert "progressive" not in opened(after).info
        assert changed(opened(data), opened(after)) == (0, 0, 0, 0)
        assert len(after) < 1.1 * len(data) + 300  # tables
        return
    assert data[data.index(b"\xff\xda") :] == after[after.index(b"\xff\xda") :]


@needs_library
def test_codes_that_are_missing_are_made() -> None:
    """A flat picture with tables of its own has hardly any codes: a mark needs more than it has room for."""
    ways = set()
    for seed in range(12):
        noise = random.Random(seed)
        flat = Image.new("RGB", SIZE, (90, 120, 60))
        for _ in range(1 << seed):
            flat.putpixel((noise.randrange(150), noise.randrange(110)), (noise.randrange(256),) * 3)
        data = encoded(flat, "JPEG", quality=90, optimize=True, restart_marker_blocks=(seed % 3) * 7)
        file = io.BytesIO()
        mark = soft((40, 30, 70, 50))
        done = splice.splice(data, Size(*SIZE), [mark], file)
        assert isinstance(done, Spliced)
        ways.add(done.way)
        check(data, mark)
    assert {"grown", "recoded"} <= ways


# --- headers ----------------------------------------------------------------------------------------------


@needs_library
@pytest.mark.parametrize("make", [soft, logo])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_mark_is_turned_not_the_picture(
    orientation: int, make: Callable[[tuple[int, int, int, int]], Mark]
) -> None:
    """Shown by its tag, the picture stands upright with the mark where it belongs; the rest is as it was stored."""
    data = jpeg(upright(0, *SIZE), orientation, subsampling="4:2:0")
    mark = make((90, 70, 50, 30))
    turns = [Turn(orientation)] if orientation > 1 else []
    new = spliced(data, *turns, mark)
    shown, plain = ImageOps.exif_transpose(opened(new)), ImageOps.exif_transpose(opened(data))
    assert shown.size == SIZE
    assert inside(changed(plain, shown), (90 - 18, 70 - 18, 140 + 18, 100 + 18))
    usual = drawn(encoded(plain, "JPEG", quality=95, subsampling="4:2:0"), mark)
    alike(shown, usual, composed(plain, mark), mark)
    assert dict(opened(new).getexif()) == ({0x0112: orientation} if orientation > 1 else {})


@needs_library
def test_only_orientation_and_colours_are_told() -> None:
    """GPS, camera, comments, previews, profiles and what follows the picture are gone; a profile of ours goes along."""
    profile = bytes(random.Random(3).randbytes(150_000))
    data = jpeg(orientation=6, icc_profile=profile) + b"<script>"
    segment = b"\xff\xed" + struct.pack(">H", 12) + b"Photoshop!"
    data = data[:2] + segment + data[2:]
    after = spliced(data, Turn(6))
    for secret in (b"SecretCamera", b"<script>", b"Photoshop", b"2026:01:01"):
        assert secret in data
        assert secret not in after
    assert "icc_profile" not in opened(after).info
    assert profile[:40] not in after
    file = io.BytesIO()
    ours = b"ours" * 100
    assert isinstance(splice.splice(data, Size(*opened(data).size), [Turn(6)], file, icc=ours), Spliced)
    assert opened(file.getvalue()).info["icc_profile"] == ours


# --- what is refused --------------------------------------------------------------------------------------


def adobe(data: bytes, transform: int) -> bytes:
    return data[:2] + b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([transform]) + data[2:]


def refusals() -> Iterator[tuple[str, bytes]]:
    """Files, and a word of why they are refused."""
    data = photo()
    yield "progressive", data.replace(b"\xff\xc0\x00\x11", b"\xff\xc3\x00\x11")
    yield "colours", encoded(upright(0, *SIZE).convert("CMYK"), "JPEG")
    yield "colours", adobe(data, 0)
    yield "too early", data[:-2]
    yield "too early", data[: len(data) // 2]
    yield "too early", data[:100]
    yield "damaged", data[: len(data) // 2] + b"\xff\xd9"
    yield "damaged", data[:-2] + b"hidden text\xff\xd9"
    yield "damaged", photo(restart_marker_blocks=2).replace(b"\xff\xd1", b"\xff\xd2", 1)
    yield "JPEG", b"\x89PNG"
    yield "8 bits", data.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c")
    yield "arithmetically", data.replace(b"\xff\xc0\x00\x11", b"\xff\xc9\x00\x11")
    steps = photo(progressive=True)
    last = steps.rindex(b"\xff\xda")
    yield "scans", steps[:last] + b"\xff\xd9"
    yield "scans", steps[:-2] + steps[last:]
    yield "too early", steps[: len(steps) // 2]
    yield "damaged", steps[:-2] + b"hidden text\xff\xd9"
    sides, large = (struct.pack(">HH", side[1], side[0]) for side in (SIZE, (8000, 6000)))
    yield "too early", steps.replace(sides, large, 1)
    yield "large", steps.replace(sides, large, 1) + bytes(300_000)
    yield "damaged", photo(progressive=True, restart_marker_blocks=5).replace(b"\xff\xd1", b"\xff\xd2", 1)


@needs_library
@pytest.mark.parametrize(
    ("why", "data"), list(refusals()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_it_can_not_do_it_says(why: str, data: bytes) -> None:
    """With the reason, and nothing is written."""
    file = io.BytesIO()
    outcome = splice.splice(data, Size(*SIZE), [soft((0, 0, 20, 20))], file)
    assert isinstance(outcome, Refused)
    assert why in outcome.reason
    assert file.getvalue() == b""


@needs_library
def test_marks_must_fit() -> None:
    """Neither beyond the picture nor with the wrong number of pixels."""
    for mark in (
        soft((100, 0, 51, 9)),
        Mark(Region(0, 0, 9, 9), (Layer((1, 2, 3), bytes(80)),)),
        Mark(Region(2**32 - 4, 0, 8, 8), (Layer((1, 2, 3), bytes(64)),)),
    ):
        assert isinstance(splice.splice(photo(), Size(*SIZE), [mark], io.BytesIO()), Refused)


@needs_library
@pytest.mark.parametrize(
    "kind",
    [
        "4:2:0",
        "4:4:4",
        "optimised",
        "restart markers",
        "fine",
        "progressive",
        "progressive with restart markers",
    ],
)
def test_damaged_files_are_refused_or_come_out_whole(kind: str) -> None:
    """What libjpeg refuses is refused; what comes out can be decoded, and beside the mark it is what went in."""
    dice = random.Random(kind)
    whole = photo(**FILES[kind])
    mark = soft(PLACES["inside"])
    box = allowed(whole, mark)
    taken = 0
    for _ in range(1500):
        data = damaged(whole, dice)
        file = io.BytesIO()
        try:
            before = opened(data)
            before.load()
        except Exception:
            before = None
        size = Size(*before.size) if before else Size(*SIZE)
        outcome = splice.splice(data, size, [mark], file)
        if isinstance(outcome, Refused):
            continue
        taken += 1
        assert before is not None, f"libjpeg refuses {data.hex()}"
        after = opened(file.getvalue())
        after.load()
        assert before.size == after.size
        if before.size == SIZE and before.layer == opened(whole).layer:  # type: ignore[attr-defined]
            assert inside(changed(before, after), box) or changed(before, after) == (0, 0, 0, 0)
    assert taken > 10


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Bytes changed, left out, put in or cut off; headers more often than their length would have it."""
    new = bytearray(data)
    data_start = data.index(b"\xff\xda")
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        at = dice.randrange(2, data_start) if dice.random() < 0.5 else dice.randrange(len(new))
        at = min(at, len(new) - 1)
        match dice.randrange(6):
            case 0 | 1:
                new[at] = dice.randrange(256)
            case 2:
                new[at] ^= 1 << dice.randrange(8)
            case 3:
                del new[at : at + dice.choice((1, 2, 20))]
            case 4:
                new[at:at] = dice.randbytes(dice.choice((1, 2, 20)))
            case _:
                del new[-dice.randrange(1, 200) :]
        if len(new) < 300:
            return bytes(data)
    return bytes(new)


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
