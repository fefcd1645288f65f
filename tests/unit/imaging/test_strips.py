"""A JPEG that two threads have encoded is, byte by byte, what one would have written."""

import io
import os
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin
from tests.unit.imaging.conftest import COPY, Render, content

from safelight.imaging import strips
from safelight.imaging.pictures import Picture, encode
from safelight.imaging.strips import LEAST, Strips
from safelight.operations import Size

MODES = ("RGB", "L")
MARKERS = re.compile(rb"\xff[\xd0-\xd7]")
ENCODED: dict[str, Any] = {"quality": 90, "subsampling": 2}


def grain(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """No two parts of it are alike."""
    coarse = Image.effect_noise((width // 8 + 1, height // 8 + 1), 80)
    return (
        Image.merge("RGB", [coarse, coarse.transpose(Image.Transpose.ROTATE_180), coarse])
        .resize((width, height))
        .convert(mode)
    )


def written(write: Callable[[Any], object], before: bytes = b"") -> bytes:
    """What is written to a file behind what is in it before."""
    with TemporaryFile() as file:
        file.write(before)
        write(file)
        assert file.tell() == file.seek(0, io.SEEK_END)
        file.seek(0)
        data = file.read()
    assert data.startswith(before)
    return data[len(before) :]


def shared(image: Image.Image, before: bytes = b"", **options: Any) -> bytes:
    """By two threads."""
    threads = set()
    append = Strips._append

    def noted(self: Strips, *args: Any) -> None:
        threads.add(threading.get_ident())
        append(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Strips, "_append", noted)
        data = written(lambda file: strips.save(image, file, options, threads=2), before)
    assert len(threads - {threading.get_ident()}) == 1
    return data


def alone(image: Image.Image, **options: Any) -> bytes:
    """By one."""
    return written(lambda file: strips.save(image, file, options))


def without_a_warning(data: bytes) -> pyvips.Image:
    """The decoder's picture, if it finds nothing strange in the file."""
    return pyvips.Image.jpegload_buffer(data, fail_on="warning").copy_memory()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("subsampling", [0, 1, 2, -1, "4:2:0"])
@pytest.mark.parametrize("size", [(800, 704), (777, 813), (1700, 300), (3900, 130)], ids=str)
def test_two_threads_write_what_one_writes(size: tuple[int, int], subsampling: int | str, mode: str) -> None:
    """Edges that fill no block, strips that are not full, and every way to store colours."""
    image = grain(*size, mode)
    data = shared(image, quality=88, subsampling=subsampling)
    assert data == alone(image, quality=88, subsampling=subsampling)
    assert (without_a_warning(data).width, without_a_warning(data).height) == size


def test_what_belongs_to_the_file_stays() -> None:
    """Profile, EXIF and tables are written once, in front; 16-bit tables too."""
    tables = {0: [300, *range(2, 65)], 1: [*range(3, 67)]}
    options = {
        "icc_profile": b"x" * 70_000,
        "exif": b"Exif\0\0" + b"y" * 60_000,
        "qtables": tables,
        "subsampling": 2,
    }
    image = grain(1000, 600)
    data = shared(image, b"before", **options)
    assert data == alone(image, **options)
    with Image.open(io.BytesIO(data)) as made:
        assert isinstance(made, JpegImagePlugin.JpegImageFile)
        assert made.info["icc_profile"] == options["icc_profile"]
        assert made.info["exif"] == options["exif"]
        assert made.quantization == tables
    assert data.count(b"x" * 60_000) == 1
    assert data.count(b"\xff\xd8\xff") == 1
    assert data.count(b"\xff\xd9") == 1


def test_markers_change_no_pixel() -> None:
    """They stand after each row of MCUs, numbered through: a decoder that meets another number takes it for damage."""
    image = grain(1000, 1000)
    data = shared(image, **ENCODED)
    numbers = [marker[1] - 0xD0 for marker in MARKERS.findall(data[data.index(b"\xff\xda") :])]
    assert numbers == [row % 8 for row in range(1000 // 16)]
    plain = written(lambda file: image.save(file, "JPEG", **ENCODED))
    with Image.open(io.BytesIO(data)) as made, Image.open(io.BytesIO(plain)) as expected:
        assert made.tobytes() == expected.tobytes()
    assert len(data) < 1.005 * len(plain)


@given(st.lists(st.integers(0, 900), max_size=12).map(sorted))
def test_strips_may_become_ready_in_any_portions(rows: list[int]) -> None:
    """One row more, several strips at once, all but the end, or nothing before the end."""
    assert written(lambda file: _fed(file, rows)) == FED_ALONE


FED = grain(700, 900)
FED_ALONE = alone(FED, **ENCODED)


def _fed(file: Any, rows: list[int]) -> None:
    with Strips(FED, file, ENCODED) as encoder:
        for row in rows:
            encoder.ready(row)
        encoder.finish()


def test_a_strip_is_written_when_it_is_ready() -> None:
    """Not at the end: the rest is still to be decoded."""
    with TemporaryFile() as file, Strips(FED, file, ENCODED) as encoder:
        encoder.ready(400)
        for done in encoder._done:
            done.result(timeout=60)
        assert file.seek(0, io.SEEK_END) > len(FED_ALONE) // 4


def test_the_thread_leaves_the_core_of_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """To any other that it may use; then it may use all of them again. Where there is no other, it stays."""
    asked: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2, 5}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: asked.append(set(cores)), raising=False)
    strips._step_aside(2)
    assert asked == [{1, 5}, {1, 2, 5}]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2}, raising=False)
    strips._step_aside(2)
    strips._step_aside(-1)
    assert len(asked) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_where_a_thread_runs_is_known() -> None:
    """As a number of one of the cores that it may use."""
    assert strips._core() in os.sched_getaffinity(0)


def test_every_jpeg_may_be_encoded_by_two() -> None:
    """Whatever it is made of: what comes out is the same."""
    source = pyvips.Image.new_from_memory(FED.tobytes(), FED.width, FED.height, 3, "uchar")
    picture = Picture(frames=[source.copy(interpretation="srgb")], size=Size(FED.width, FED.height))
    for threads in (1, 2):
        assert written(partial(encode, picture, "jpeg", 90, threads=threads)) == FED_ALONE


def test_who_stops_leaves_no_thread() -> None:
    """As when the rest turns out to be broken."""
    before = threading.active_count()
    with TemporaryFile() as file, suppress(ValueError), Strips(FED, file, ENCODED) as encoder:
        encoder.ready(400)
        assert threading.active_count() == before + 1
        raise ValueError("broken")
    assert threading.active_count() == before


@pytest.mark.parametrize("size", [(700, 700), (8000, 128)], ids=["too small", "too low"])
def test_what_is_not_worth_a_thread(size: tuple[int, int]) -> None:
    """Too few pixels, or a single strip."""
    with TemporaryFile() as file:
        assert not Strips.can(grain(*size), file, ENCODED)


def test_small_ones_have_no_markers() -> None:
    """They would be a larger part of the file."""
    image = grain(500, 500)
    assert image.width * image.height < LEAST
    assert b"\xff\xdd" not in written(lambda file: strips.save(image, file, ENCODED, threads=2))


def test_what_lies_in_memory_is_written_by_one() -> None:
    """Encoders write to descriptors."""
    file = io.BytesIO()
    strips.save(FED, file, ENCODED, threads=2)
    assert file.getvalue() == FED_ALONE


@pytest.mark.parametrize("rows", [[], [400]])
@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_without_a_thread_one_encoder_does_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, rows: list[int]
) -> None:
    """No photo is called damaged because the machine is short of something; and what was written before stays."""

    def refuse(*_: Any) -> None:
        raise error

    if isinstance(error, MemoryError):
        monkeypatch.setattr(Strips, "_pieces", refuse)
    else:
        monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    assert written(lambda file: _fed(file, rows), b"before") == FED_ALONE


def test_one_file_is_written_again() -> None:
    """Where a quality is sought, each try begins at 0 in what the last one left empty."""
    with TemporaryFile() as file:
        for quality in (95, 90):
            file.seek(0)
            file.truncate()
            strips.save(FED, file, ENCODED | {"quality": quality}, threads=2)
        file.seek(0)
        assert file.read() == FED_ALONE


@pytest.mark.parametrize("rows", [[], [400, 800]])
def test_a_full_disk_is_told(rows: list[int]) -> None:
    """By whichever part meets it."""
    with Path("/dev/full").open("r+b", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        _fed(file, rows)


def test_what_can_not_be_written_is_told(tmp_path: Path) -> None:
    """The thread's error is not lost."""
    path = tmp_path / "read-only.jpg"
    path.write_bytes(b"")
    with path.open("rb") as file, pytest.raises(OSError, match="Bad file descriptor"):
        strips.save(FED, file, ENCODED, threads=2)


@pytest.mark.parametrize("mode", MODES)
def test_photos_are_encoded_so_in_the_sandbox(render: Render, mode: str) -> None:
    """However many threads there were; smaller ones get no markers."""
    image = grain(1200, 900, mode)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    made = content(render(file.getvalue(), COPY))
    assert len(MARKERS.findall(made)) >= 900 // 16
    with Image.open(io.BytesIO(made)) as picture:
        assert picture.size == image.size
    image.crop((0, 0, 640, 480)).save(small := io.BytesIO(), "JPEG", quality=90)
    assert b"\xff\xdd" not in content(render(small.getvalue(), COPY))
