"""A photo that two threads draw, while it is still being decoded, is byte by byte what one thread makes of it."""

import io
import mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from PIL import Image
from tests.unit.imaging.test_strips import grain

from safelight.imaging import headers, photos
from safelight.imaging.strips import Strips
from safelight.operations import Operation, Size
from safelight.recipes import build

WIDE, HIGH = 900, 1100
ARITHMETIC = Path(__file__).with_name("arithmetic.jpg")


def mark(gravity: str, text: str = "© Amodhbh Media") -> dict[str, Any]:
    return {"op": "watermark", "text": text, "gravity": gravity}


def area(top: int, height: int, left: int = 100, width: int = 300) -> dict[str, int]:
    return {"left": left, "top": top, "width": width, "height": height}


STEPS: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "below": [mark("south_east")],
    "above": [mark("north")],
    "in the middle": [mark("center")],
    "above, below and above again": [mark("north_west"), mark("south"), mark("north_east")],
    "one over the other": [
        mark("center", "The one below"),
        {"op": "redact", "regions": [area(500, 80), area(530, 20, 350, 500)]},
        mark("center", "The one above"),
    ],
    "everywhere": [{"op": "redact", "regions": [area(0, 20), area(1080, 20)]}],
    "blocks": [{"op": "pixelate", "regions": [area(300, 90), area(0, 40)], "block": 16}, mark("south")],
    "a part of a strip": [{"op": "redact", "regions": [area(255, 2)]}],
}


def chain(steps: list[dict[str, Any]]) -> list[Operation]:
    """These steps, one after the other."""
    names = ["original", *(f"s{number}" for number in range(len(steps)))]
    recipe = {
        "version": 1,
        "steps": {
            name: step | {"use": use} for name, use, step in zip(names[1:], names, steps, strict=False)
        },
        "outputs": {"out": {"use": names[-1]}},
    }
    return list(build(recipe).chain("out"))


def file_of(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **{"quality": 88} | options)
    return file.getvalue()


def rendered(data: bytes, operations: list[Operation], threads: int) -> bytes:
    """What so many threads make of it."""
    with TemporaryFile() as original, TemporaryFile() as output:
        original.write(data)
        original.flush()
        mapped = mmap.mmap(original.fileno(), 0, access=mmap.ACCESS_READ)
        header = headers.read(mapped)
        assert photos.render(mapped, header, operations, "keep", output, threads=threads) is not None
        output.flush()
        output.seek(0)
        return output.read()


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that were ready before the last one was decoded."""
    rows: list[int] = []
    ready, finish = Strips.ready, Strips.finish

    def noted(self: Strips, row: int) -> None:
        rows.append(row)
        ready(self, row)

    def finished(self: Strips) -> None:
        monkeypatch.setattr(Strips, "ready", ready)
        finish(self)

    monkeypatch.setattr(Strips, "ready", noted)
    monkeypatch.setattr(Strips, "finish", finished)
    return rows


PHOTO = file_of(grain(WIDE, HIGH))


@pytest.mark.parametrize("steps", STEPS)
def test_two_threads_draw_what_one_draws(early: list[int], steps: str) -> None:
    """Wherever the marks lie, and in whatever order: each is drawn when all of its rows are there, and not before."""
    operations = chain(STEPS[steps])
    assert rendered(PHOTO, operations, 2) == rendered(PHOTO, operations, 1)
    assert early == sorted(early)
    assert max(early) >= HIGH // 2, "nothing was encoded before all was decoded"


@pytest.mark.parametrize(
    "options",
    [{"subsampling": 0}, {"subsampling": 1}, {"restart_marker_rows": 1}, {"optimize": True}],
    ids=str,
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_so_it_is_however_the_photo_was_coded(early: list[int], mode: str, options: dict[str, int]) -> None:
    """Colours stored in any way, or none."""
    data = file_of(grain(WIDE, HIGH, mode), **options)
    operations = chain([{"op": "redact", "regions": [area(40, 70), area(900, 90)]}])
    assert rendered(data, operations, 2) == rendered(data, operations, 1)
    assert max(early) >= HIGH // 2


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_black_rows_are_waited_for(early: list[int], mode: str) -> None:
    """They look as if they were not decoded yet. What comes below them tells."""
    image = grain(WIDE, HIGH, mode)
    image.paste(0, (0, 200, WIDE, 700))
    operations = chain([mark("south")])
    data = file_of(image)
    assert rendered(data, operations, 2) == rendered(data, operations, 1)
    assert early == sorted(early)
    black = file_of(Image.new(mode, (WIDE, HIGH)))
    assert rendered(black, operations, 2) == rendered(black, operations, 1)


@pytest.mark.parametrize("orientation", [3, 6])
def test_what_is_turned_is_decoded_first(early: list[int], orientation: int) -> None:
    """And encoded by two, nevertheless."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(grain(WIDE, HIGH), exif=exif)
    operations = chain([{"op": "auto_orient"}, mark("north_west")])
    assert rendered(data, operations, 2) == rendered(data, operations, 1)
    assert early == []


def test_what_comes_in_several_scans_is_decoded_first(early: list[int]) -> None:
    """No row of it is there before all are."""
    data = file_of(grain(WIDE, HIGH), progressive=True)
    assert rendered(data, chain([mark("south")]), 2) == rendered(data, chain([mark("south")]), 1)
    assert early == []


def test_what_is_coded_arithmetically_is_decoded_at_once(early: list[int]) -> None:
    """Its decoder can not wait for the next piece."""
    data = ARITHMETIC.read_bytes()  # jpegtran -arithmetic
    assert rendered(data, chain([mark("south")]), 2) == rendered(data, chain([mark("south")]), 1)
    assert early == []


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_damaged_photos_end_the_same(kept: float) -> None:
    """However much of one is encoded already when the damage is met."""
    data = PHOTO[: int(len(PHOTO) * kept)] + b"\xff\xd9"

    def outcome(threads: int) -> bytes | str:
        try:
            return rendered(data, chain([mark("south")]), threads)
        except OSError as error:
            return str(error)

    assert outcome(2) == outcome(1)


def test_sizes_are_told(early: list[int]) -> None:
    """Those of the photo, before and after."""
    with TemporaryFile() as original, TemporaryFile() as output:
        original.write(PHOTO)
        original.flush()
        mapped = mmap.mmap(original.fileno(), 0, access=mmap.ACCESS_READ)
        sizes = photos.render(mapped, headers.read(mapped), chain([]), "keep", output, threads=2)
    assert sizes == (Size(WIDE, HIGH), Size(WIDE, HIGH))
    assert early
