"""The shortest way for photos: marks on a JPEG, and every block that is not under them copied bit by bit.

What is pixelated is decoded first, to see what it shows, and becomes a mark like any other (see `blocks`).

The work is done by a library of its own, `safelight-splice` (see native/), which is a package apart: where it is not
installed, or refuses a file, the pixels are decoded instead, and the picture looks the same. Its files differ in this:

    the picture is not turned       it keeps its EXIF orientation
    its colours are not coded anew  beside the marks every pixel is the original's
"""

import ctypes
import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from mmap import mmap
from typing import IO, Final, NamedTuple

import msgspec
import pyvips
from PIL import Image

from safelight.edits import area
from safelight.imaging import blocks, exif
from safelight.model import Facts
from safelight.operations import Coarse, Edit, Layer, Mark, Region, Size, Turn

NOTHING: Final = Facts()

Decode = Callable[[], pyvips.Image]
"""Gives the picture as it is stored, streamed."""

MOST_LAYERS: Final = 256
"""The most layers that the library takes. A part in blocks is one, or two where the picture is grey."""

INTERFACE: Final = 4
"""The version of the library's interface that this file speaks."""

STORED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How upright pixels come to lie as a camera with this orientation stores them."""

ABSENT: Final = "the library safelight-splice is not installed"


class Spliced(msgspec.Struct, frozen=True):
    """What came of it."""

    size: Size
    """The size after the edits, as displayed."""
    way: str
    """`copied`, `grown` (new codes in the file's Huffman tables) or `recoded` (no room in them)."""


class Refused(msgspec.Struct, frozen=True):
    """Nothing was written."""

    reason: str


_WAYS: Final = ("copied", "grown", "recoded")


class _Layer(ctypes.Structure):
    _fields_ = (
        ("left", ctypes.c_uint32),
        ("top", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("colour", ctypes.c_uint8 * 3),
        ("alpha", ctypes.c_char_p),
        ("alpha_length", ctypes.c_size_t),
        ("pixels", ctypes.c_char_p),
    )


class _Kept(ctypes.Structure):
    """Bytes of the original that go on where so many new ones have been written."""

    _fields_ = (("before", ctypes.c_size_t), ("begin", ctypes.c_size_t), ("end", ctypes.c_size_t))


class _Spliced(ctypes.Structure):
    _fields_ = (
        ("own", ctypes.c_void_p),
        ("own_length", ctypes.c_size_t),
        ("own_capacity", ctypes.c_size_t),
        ("kept", ctypes.POINTER(_Kept)),
        ("kept_length", ctypes.c_size_t),
        ("kept_capacity", ctypes.c_size_t),
        ("way", ctypes.c_int32),
    )

    def pieces(self, original: memoryview) -> Iterator[memoryview]:
        """The new file: the library's bytes, and the original's in between. The first piece has the whole head."""
        own = memoryview((ctypes.c_char * self.own_length).from_address(self.own)).cast("B")
        at = 0
        for kept in self.kept[: self.kept_length]:
            yield own[at : kept.before]
            yield original[kept.begin : kept.end]
            at = kept.before
        yield own[at:]


class _Buffer(ctypes.Structure):
    """CPython's Py_buffer, whose layout its stable ABI fixes."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


def splice(
    data: mmap | bytes,
    size: Size,
    edits: Sequence[Edit],
    file: IO[bytes],
    *,
    facts: Facts = NOTHING,
    icc: bytes | None = None,
    threads: int = 1,
    decode: Decode | None = None,
) -> Spliced | Refused:
    """Write the JPEG with its marks to `file`, or say why not. `size` is the picture's as it is stored.
    What is pixelated is decoded by `decode`; without that, pixelating is refused. Two `threads` share large files and
    large marks.

    Its metadata is nothing but `facts` and the orientation as EXIF, and `icc`, whatever the original had.
    Turns are met by the orientation tag, and marks that come after them are turned back. Raise OSError from writing.
    """
    library = _library()
    if library is None:
        return Refused(ABSENT)
    if sum(isinstance(edit, Turn) for edit in edits) > 1:
        return Refused("it is turned twice")
    marks = _marks(edits, size, decode)
    if isinstance(marks, Refused):
        return marks
    turn, layers = None, []
    for edit in marks:
        if isinstance(edit, Turn):
            turn = edit
        else:
            layers += [_stored(edit.region, layer, size, turn) for layer in edit.layers]
    orientation = turn.orientation if turn else 1
    number = _run(
        library, data, layers, orientation, _Head(exif.build(facts, orientation), icc), file, threads
    )
    if isinstance(number, Refused):
        return number
    sides = (size.height, size.width) if orientation >= 5 else (size.width, size.height)
    return Spliced(Size(*sides), _WAYS[number])


def _marks(edits: Sequence[Edit], size: Size, decode: Decode | None) -> list[Turn | Mark] | Refused:
    """The edits with marks in place of blocks."""
    marks = [edit for edit in edits if not isinstance(edit, Coarse)]
    if len(marks) == len(edits):
        return marks
    if decode is None:
        return Refused("it would have to be decoded whole")
    # What the library would refuse afterwards is not worth decoding, nor what takes longer than the whole picture.
    parts = [edit.region for edit in edits if isinstance(edit, Coarse)]
    if len(parts) + sum(len(edit.layers) for edit in marks if isinstance(edit, Mark)) > MOST_LAYERS:
        return Refused("too many parts are pixelated")
    if area(parts) > size.width * size.height:
        return Refused("more is pixelated than it has pixels")
    try:
        return blocks.as_marks(edits, size, decode())
    except pyvips.Error:  # what is wrong with the file, the pixels' way says
        return Refused("what is pixelated can not be decoded")


def available() -> bool:
    """Whether the library is there, in a version that this file knows."""
    return _library() is not None


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(importlib.import_module("safelight_splice").LIBRARY))
        library.safelight_splice_interface.restype = ctypes.c_uint32
        if library.safelight_splice_interface() != INTERFACE:
            return None
    except (ImportError, OSError, AttributeError):
        return None
    library.safelight_splice.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.POINTER(_Layer),
        ctypes.c_size_t,
        ctypes.c_uint8,
        ctypes.c_uint32,
        ctypes.POINTER(_Spliced),
    )
    library.safelight_splice_free.argtypes = (ctypes.POINTER(_Spliced),)
    library.safelight_splice_free.restype = None
    library.safelight_splice_reason.restype = ctypes.c_char_p
    return library


def _stored(region: Region, layer: Layer, size: Size, turn: Turn | None) -> _Layer:
    """A layer as it lies on the stored picture, whose size this is."""
    alpha, pixels = layer.alpha, layer.pixels
    if turn:
        sides = (region.width, region.height)
        alpha = _turned("L", sides, alpha, turn.orientation)
        pixels = pixels and _turned("RGB", sides, pixels, turn.orientation)
        region = turn.stored(region, size)
    colour = (ctypes.c_uint8 * 3)(*layer.colour)
    return _Layer(region.left, region.top, region.width, region.height, colour, alpha, len(alpha), pixels)


def _turned(mode: str, sides: tuple[int, int], pixels: bytes, orientation: int) -> bytes:
    image = Image.frombuffer(mode, sides, pixels, "raw", mode, 0, 1)
    return image.transpose(STORED[orientation]).tobytes()


def _run(
    library: ctypes.CDLL,
    data: mmap | bytes,
    layers: Sequence[_Layer],
    orientation: int,
    head: "_Head",
    file: IO[bytes],
    threads: int,
) -> int | Refused:
    view, spliced = _Buffer(), _Spliced()
    # ctypes itself hands out no address of memory that can only be read, such as a mapped file.
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(data), ctypes.byref(view), 0)
    try:
        error = library.safelight_splice(
            view.buf,
            view.len,
            (_Layer * len(layers))(*layers),
            len(layers),
            orientation,
            threads,
            ctypes.byref(spliced),
        )
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
    if error:
        return Refused(library.safelight_splice_reason(error).decode())
    try:
        pieces = spliced.pieces(memoryview(data))
        head.write(next(pieces), file)
        for piece in pieces:
            file.write(piece)
        return int(spliced.way)
    finally:
        library.safelight_splice_free(ctypes.byref(spliced))


class _Head(NamedTuple):
    """The metadata of the new file, ours alone: EXIF and a colour profile."""

    exif: bytes | None
    icc: bytes | None

    def write(self, jpeg: memoryview, file: IO[bytes]) -> None:
        """Write a JPEG's beginning with this in place of what it has. JFIF's and Adobe's segments, which say what the
        numbers mean, stay. Raise ValueError if it is none."""
        before, after, at = [jpeg[:2]], [], 2
        while jpeg[at] == 0xFF and 0xE0 <= jpeg[at + 1] <= 0xEF:
            end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
            if jpeg[at + 1] == 0xE0:
                before.append(jpeg[at:end])
            elif jpeg[at + 1] == 0xEE:
                after.append(jpeg[at:end])
            at = end
        for part in before:
            file.write(part)
        if self.exif:
            file.write(_segment(0xE1, self.exif))
        if self.icc:
            file.write(_segment(0xE2, b"ICC_PROFILE\0\1\1" + self.icc))
        for part in (*after, jpeg[at:]):
            file.write(part)


def _segment(code: int, content: bytes) -> bytes:
    if len(content) > 65_533:
        raise ValueError(f"a segment of {len(content)} bytes")
    return bytes([0xFF, code]) + (len(content) + 2).to_bytes(2) + content
