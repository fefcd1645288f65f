"""A JPEG encoded in two halves at the same time, by two threads, and joined where a restart marker stands.

What is coded after a restart marker depends on nothing before it (ITU-T T.81, F.1.2.3), so the lower half can begin
before the upper one is done. Decoded, the result is what one thread would have written, sample by sample; its bytes
are the same on every machine, however many cores there are. Its intervals are a gift to the next mark: splicing walks
only those that it touches.
"""

import io
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Final, NamedTuple

from PIL import Image

INTERVALS: Final = 16
"""How many there are at least; a few more where rows can not be dealt out evenly. The upper half has eight or a
multiple of it, since markers are numbered from 0 to 7 and each half begins at 0."""

LONGEST: Final = 0xFFFF
"""MCUs of an interval at most (T.81, B.2.4.4)."""

ROOM: Final = 1 << 18
"""Bytes that an encoder hands out at once; a header has to fit into the first of them."""

_MCU: Final = {0: (8, 8), 1: (16, 8)}
"""Width and height of an MCU by subsampling, as Pillow numbers it; anything else is written as 4:2:0."""

_SOF: Final = (0xC0, 0xC1)
"""Baseline, and extended: what tables of 16 bits make of it."""

_SOS: Final = 0xDA
_EOI_BYTES: Final = 2
_LAST: Final = b"\xff\xd7"
"""The restart marker between the halves: the eighth of its round."""


class Cut(NamedTuple):
    """Where the picture is cut."""

    row: int
    """The first row of pixels of the lower half."""
    rows: int
    """Rows of MCUs from one restart marker to the next."""


def cut_of(width: int, height: int, mcu: tuple[int, int]) -> Cut | None:
    """Where to cut a picture in pixels, coded in MCUs of this size; None if it is too low for that."""
    across, down = -(-width // mcu[0]), -(-height // mcu[1])
    rows = min(down // INTERVALS, LONGEST // across)
    if rows < 1:
        return None
    rounds = round(down / (INTERVALS * rows))
    return Cut(8 * rounds * rows * mcu[1], rows)


def save(image: Image.Image, file: IO[bytes], options: Mapping[str, Any]) -> bool:
    """Write a picture to a file, at its position, which is its end. Raise OSError where Pillow does.

    `options` are those of `Image.save` for baseline JPEGs: quality or qtables, subsampling, icc_profile and exif.
    False, with nothing written, for what is not halved: what is too low, neither RGB nor grey, or for a file without a
    descriptor; and where there is no thread or no memory for it, which one encoder may still do with.
    """
    mcu = (8, 8) if image.mode == "L" else _MCU.get(options["subsampling"], (16, 16))
    cut = cut_of(*image.size, mcu)
    if cut is None or image.mode not in ("L", "RGB"):
        return False
    try:
        descriptor = file.fileno()
    except OSError:
        return False
    file.flush()
    begin = file.tell()
    try:
        image.load()
        _save(image, file, descriptor, options, cut)
    except (RuntimeError, MemoryError):
        file.seek(begin)
        file.truncate()
        return False
    return True


def _save(image: Image.Image, file: IO[bytes], descriptor: int, options: Mapping[str, Any], cut: Cut) -> None:
    begin = file.tell()
    config = _config(image.mode, options, cut)
    room = ROOM + sum(len(options.get(name) or b"") for name in ("icc_profile", "exif"))
    with ThreadPoolExecutor(1) as other:
        # This encoder writes by itself and needs no interpreter meanwhile; the lower half's keeps it, piece by piece.
        upper = other.submit(_to_file, image, config, (0, cut.row), descriptor, room)
        lower = _pieces(image, config, (cut.row, image.height), room)
        upper.result()
    frame, scan = _places(lower[0])
    end = os.lseek(descriptor, 0, os.SEEK_CUR) - _EOI_BYTES
    file.seek(begin + frame)
    file.write(image.height.to_bytes(2, "big"))
    file.seek(end)
    file.write(_LAST)
    file.write(memoryview(lower[0])[scan:])
    file.writelines(lower[1:])
    file.flush()


def _config(mode: str, options: Mapping[str, Any], cut: Cut) -> tuple[Any, ...]:
    """What Pillow's encoder is told. Pillow keeps it on the picture that it has saved."""
    tiny = Image.new(mode, (1, 1))
    tiny.save(io.BytesIO(), "JPEG", **options, restart_marker_rows=cut.rows)
    config: tuple[Any, ...] = tiny.encoderconfig
    return config


def _encoder(image: Image.Image, config: tuple[Any, ...], rows: tuple[int, int]) -> Any:
    # What `save` calls for the whole of a picture; to give it a part, other than as a copy, there is no public way.
    encoder = Image._getencoder(image.mode, "jpeg", image.mode, config)  # noqa: SLF001
    encoder.setimage(image.im, (0, rows[0], image.width, rows[1]))
    return encoder


def _to_file(
    image: Image.Image, config: tuple[Any, ...], rows: tuple[int, int], descriptor: int, room: int
) -> None:
    encoder = _encoder(image, config, rows)
    try:
        _check(encoder.encode_to_file(descriptor, room))
    finally:
        encoder.cleanup()


def _pieces(image: Image.Image, config: tuple[Any, ...], rows: tuple[int, int], room: int) -> list[bytes]:
    encoder = _encoder(image, config, rows)
    pieces: list[bytes] = []
    done = 0
    try:
        while not done:
            _, done, piece = encoder.encode(room)
            pieces.append(piece)
    finally:
        encoder.cleanup()
    _check(done)
    return pieces


def _check(code: int) -> None:
    """A positive code is the end of the picture."""
    if code < 0:
        raise OSError(f"encoder error {code} when writing a JPEG")


def _places(head: bytes) -> tuple[int, int]:
    """Where the height of the picture stands in a JPEG's header, and where its scan begins."""
    frame, at = None, 2
    while (marker := head[at + 1]) != _SOS:
        if marker in _SOF:
            frame = at + 5  # after the marker, the length and the precision
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    assert frame is not None, "baseline and extended are all that is asked for"
    return frame, at + 2 + int.from_bytes(head[at + 2 : at + 4], "big")
