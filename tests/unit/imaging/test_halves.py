"""A JPEG that two threads have encoded is, sample by sample, what one would have written."""

import io
import re
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin
from tests.unit.imaging.conftest import COPY, Render, content

from safelight.imaging import halves
from safelight.imaging.halves import INTERVALS, LONGEST, Cut, cut_of
from safelight.imaging.pictures import HALVED

MODES = ("RGB", "L")
MARKERS = re.compile(rb"\xff[\xd0-\xd7]")


def grain(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """No two parts of it are alike."""
    coarse = Image.effect_noise((width // 8 + 1, height // 8 + 1), 80)
    return (
        Image.merge("RGB", [coarse, coarse.transpose(Image.Transpose.ROTATE_180), coarse])
        .resize((width, height))
        .convert(mode)
    )


def halved(image: Image.Image, before: bytes = b"", **options: Any) -> bytes:
    """The file that is written after what is in it before."""
    with TemporaryFile() as file:
        file.write(before)
        assert halves.save(image, file, options)
        assert file.tell() == file.seek(0, io.SEEK_END)
        file.seek(0)
        written = file.read()
    assert written.startswith(before)
    return written[len(before) :]


def whole(image: Image.Image, **options: Any) -> Image.Image:
    """What comes of the picture by one thread."""
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return Image.open(file)


def without_a_warning(data: bytes) -> pyvips.Image:
    """The decoder's picture, if it finds nothing strange in the file."""
    return pyvips.Image.jpegload_buffer(data, fail_on="warning").copy_memory()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("subsampling", [0, 1, 2, -1, "4:2:0"])
@pytest.mark.parametrize("size", [(800, 704), (777, 813), (300, 257), (2100, 300)], ids=str)
def test_the_picture_is_the_same(size: tuple[int, int], subsampling: int | str, mode: str) -> None:
    """Edges that fill no block, and every way to store colours."""
    image = grain(*size, mode)
    data = halved(image, quality=88, subsampling=subsampling)
    with Image.open(io.BytesIO(data)) as made, whole(image, quality=88, subsampling=subsampling) as expected:
        assert made.size == size
        assert made.tobytes() == expected.tobytes()
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
    image = grain(640, 512)
    data = halved(image, b"before", **options)
    with Image.open(io.BytesIO(data)) as made, whole(image, **options) as expected:
        assert isinstance(made, JpegImagePlugin.JpegImageFile)
        assert isinstance(expected, JpegImagePlugin.JpegImageFile)
        assert made.info["icc_profile"] == options["icc_profile"]
        assert made.info["exif"] == options["exif"]
        assert made.quantization == expected.quantization
        assert made.tobytes() == expected.tobytes()
    assert data.count(b"x" * 60_000) == 1
    assert data.count(b"\xff\xd8\xff") == 1
    assert data.count(b"\xff\xd9") == 1


@pytest.mark.parametrize(("size", "intervals"), [((640, 1024), INTERVALS), ((1500, 1000), 21)])
def test_markers_are_numbered_through(size: tuple[int, int], intervals: int) -> None:
    """0 to 7 and again, also from one half to the other: a decoder that meets another number takes it for damage."""
    data = halved(grain(*size), quality=90, subsampling=2)
    scan = data[data.index(b"\xff\xda") :]
    numbers = [marker[1] - 0xD0 for marker in MARKERS.findall(scan)]
    assert numbers == [n % 8 for n in range(intervals - 1)]


def test_what_is_too_low_is_left_alone() -> None:
    """Fewer rows of blocks than intervals."""
    with TemporaryFile() as file:
        assert not halves.save(grain(640, 240), file, {"quality": 90, "subsampling": 2})
        assert file.tell() == 0


def test_what_lies_in_memory_is_left_alone() -> None:
    """Encoders write to descriptors."""
    file = io.BytesIO()
    assert not halves.save(grain(640, 512), file, {"quality": 90, "subsampling": 2})
    assert file.getvalue() == b""


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_without_a_thread_nothing_is_left(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """One encoder may do it, then: no photo is called damaged because the machine is short of something."""

    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(halves, "_pieces" if isinstance(error, MemoryError) else "ThreadPoolExecutor", refuse)
    with TemporaryFile() as file:
        file.write(b"before")
        assert not halves.save(grain(640, 512), file, {"quality": 90, "subsampling": 2})
        file.seek(0)
        assert file.read() == b"before"


def test_one_file_is_written_again() -> None:
    """Where a quality is sought, each try begins at 0 in what the last one left empty."""
    image = grain(640, 512)
    with TemporaryFile() as file:
        for quality in (95, 40):
            file.seek(0)
            file.truncate()
            assert halves.save(image, file, {"quality": quality, "subsampling": 2})
        file.seek(0)
        assert file.read() == halved(image, quality=40, subsampling=2)


def test_a_full_disk_is_told() -> None:
    """By whichever half meets it."""
    with Path("/dev/full").open("r+b", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        halves.save(grain(640, 512), file, {"quality": 90, "subsampling": 2})


def test_what_can_not_be_written_is_told(tmp_path: Path) -> None:
    """The thread's error is not lost."""
    path = tmp_path / "read-only.jpg"
    path.write_bytes(b"")
    with path.open("rb") as file, pytest.raises(OSError, match="Bad file descriptor"):
        halves.save(grain(640, 512), file, {"quality": 90, "subsampling": 2})


@given(st.integers(1, 65_500), st.integers(1, 65_500), st.sampled_from([(8, 8), (16, 8), (16, 16)]))
def test_a_cut_is_one_that_the_format_allows(width: int, height: int, mcu: tuple[int, int]) -> None:
    """At a multiple of eight intervals, none of them too long, and both halves worth a thread."""
    cut = cut_of(width, height, mcu)
    across, down = -(-width // mcu[0]), -(-height // mcu[1])
    if cut is None:
        assert down < INTERVALS
        return
    assert cut.rows * across <= LONGEST
    upper, rest = divmod(cut.row, mcu[1])
    assert rest == 0
    assert upper % (8 * cut.rows) == 0
    assert 0.25 <= upper / down <= 0.75


def test_where_a_photo_is_cut() -> None:
    """24 MP, as a camera writes it."""
    assert cut_of(6000, 4000, (16, 16)) == Cut(row=1920, rows=15)


@pytest.mark.parametrize("mode", MODES)
def test_photos_are_encoded_so_in_the_sandbox(render: Render, mode: str) -> None:
    """Its locks let a thread begin; smaller ones are encoded by one."""
    image = grain(4624, 3464, mode)
    assert image.width * image.height >= HALVED
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    made = content(render(file.getvalue(), COPY))
    assert len(MARKERS.findall(made)) >= INTERVALS - 1
    with Image.open(io.BytesIO(made)) as picture:
        assert picture.size == image.size
    image.crop((0, 0, 640, 480)).save(small := io.BytesIO(), "JPEG", quality=90)
    assert b"\xff\xdd" not in content(render(small.getvalue(), COPY))
