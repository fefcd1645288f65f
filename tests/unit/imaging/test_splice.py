"""Marks on a JPEG whose other blocks are copied bit by bit. Without the library, most of these are skipped."""

import io
import random
import re
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat
from tests.pictures import ORIENTATIONS, encoded, jpeg, likeness, upright
from tests.unit.imaging.splicing import (
    FILES,
    PLACES,
    SIZE,
    alike,
    allowed,
    changed,
    check,
    composed,
    damaged,
    drawn,
    inside,
    logo,
    needs_library,
    opened,
    photo,
    soft,
    spliced,
)

from safelight.imaging import splice
from safelight.imaging.sample import scene
from safelight.imaging.splice import Refused, Spliced
from safelight.operations import Layer, Mark, Region, Size, Turn

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
def test_two_threads_write_what_one_writes(kind: str, place: tuple[int, int, int, int]) -> None:
    """Large marks are shared by two, wherever they lie; those that touch the end of a row are not."""
    data = encoded(upright(0, 1100, 820), "JPEG", **{"quality": 88} | FILES[kind])
    one, two = (spliced(data, soft(place), soft((700, 30, 90, 40)), threads=threads) for threads in (1, 2))
    assert one == two


class Handed(io.BytesIO):
    """A file that knows what came straight from the original."""

    def __init__(self, original: bytes) -> None:
        super().__init__()
        self._original = original
        self.lengths: list[int] = []

    def write(self, piece: Any) -> int:
        if isinstance(piece, memoryview) and piece.obj is self._original:
            self.lengths.append(len(piece))
        return super().write(piece)


@needs_library
@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("place", [(900, 100, 200, 60), (0, 0, 300, 40), (1900, 215, 100, 25)])
def test_what_stays_is_handed_on(place: tuple[int, int, int, int], rows: int) -> None:
    """Up to the first block under the mark, and between restart markers where there is none, bytes are the original's
    and nobody copies them; bytes that fill up before a restart marker are not needed."""
    noise = Image.frombytes("RGB", (2000, 240), random.Random(5).randbytes(3 * 2000 * 240))
    plain = encoded(noise, "JPEG", quality=90, restart_marker_rows=rows)
    new = spliced(plain, soft(place))
    box = changed(opened(plain), opened(new))
    assert inside(box, allowed(plain, soft(place)))
    assert box != (0, 0, 0, 0)
    for data in (plain, re.sub(rb"\xff([\xd0-\xd7])", lambda marker: b"\xff" + marker[0], plain)):
        file = Handed(data)
        done = splice.splice(data, Size(2000, 240), [soft(place)], file)
        assert isinstance(done, Spliced)
        assert done.way == "copied"
        assert file.getvalue() == new
        beside = len(plain) * (place[1] // 16 + (rows and 15 - -(-(place[1] + place[3]) // 16))) // 15
        assert sum(file.lengths) >= 0.9 * beside


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
