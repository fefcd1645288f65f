"""The short way for photos: a JPEG that is only turned and marked, and stays a JPEG.

The shortest is not to decode it at all (see `splice`). Where that can not be, Pillow decodes it to RGB, the mark is
blended in place, and Pillow writes it again with the file's own quantisation tables and subsampling, so that what was
not touched changes as little as a second encoding allows. Measured on 2 to 24 MP this is as fast as streaming through
libvips where memory comes in small pages and faster where it comes in large ones (see `zygote`); decoding to YCbCr to
spare the colour conversion is slower, because Pillow packs RGB with wider instructions. With a second thread, what is
decoded and needs no mark any more is encoded while the rest is being decoded (see `strips`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from mmap import mmap
from typing import IO, Any, Final, cast

import pyvips
from PIL import Image, JpegImagePlugin

from safelight.imaging import exif, pictures, profiles, splice, strips
from safelight.imaging.headers import Header
from safelight.imaging.pictures import ORIENTATION, Quality, Tables, jpeg_options, to_pillow
from safelight.imaging.watching import Watch
from safelight.model import Facts
from safelight.operations import Coarse, Edit, Mark, Operation, Region, Size, Turn

NOTHING: Final = Facts()

PIECES: Final = 16
"""Pieces of a file that is encoded while it is being decoded."""

LOOKS: Final = 8
"""Pixels of a row that are looked at to see whether it is there."""

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def render(
    data: mmap,
    header: Header,
    chain: Sequence[Operation],
    quality: Quality,
    file: IO[bytes],
    *,
    splicing: bool = False,
    facts: Facts = NOTHING,
    wide: bool = True,
    threads: int = 1,
    watch: Watch | None = None,
) -> tuple[Size, Size] | None:
    """Write the photo, turned and marked, to `file`; return its size before and after, None if there is more to do.

    With `splicing`, pixels that no mark touches may stay as they are coded, and the photo as it lies. `facts` go along
    as EXIF; a colour profile other than sRGB's does if `wide` and if we know it, and else there is more to do.
    Whatever Pillow raises passes through.
    """
    data.seek(0)
    with _Photo(cast("IO[bytes]", data)) as photo:
        size = Size(*photo.size, orientation_of(photo))
        edits = _edits(chain, size)
        fits, icc = profiles.outgoing(photo.info.get("icc_profile"), keep=wide)
        watch = watch or Watch()
        if edits is None or not fits:
            watch.reasons.append(
                "the steps do more than turn it and mark parts of it"
                if fits
                else "its colours are converted to sRGB"
            )
            return None
        if splicing and quality == "keep":
            # All of a progressive file is decoded for its first row: then its pixels may as well be drawn on.
            decode = None if header.scans > 1 else partial(_streamed, data, header, wide=wide)
            spliced = splice.splice(
                data, size, edits, file, facts=facts, icc=icc, threads=threads, decode=decode
            )
            if isinstance(spliced, splice.Spliced):
                watch.way = f"spliced ({spliced.way})"
                return size, spliced.size
            watch.reasons.append(f"not spliced: {spliced.reason}")
        else:
            watch.reasons.append(f"not spliced: {'quality is not keep' if splicing else 'it is turned off'}")
        if not _takes(photo.mode, edits):
            watch.reasons.append(f"no mark can be drawn on {photo.mode} as it is")
            return None
        watch.way = "marked in place"
        options = jpeg_options(photo, quality, _tables(photo, edits), icc, exif.build(facts))
        draws = [edit for edit in edits if not isinstance(edit, Turn)]
        streams = threads > 1 and header.sequential and len(draws) == len(edits)
        if streams and strips.Strips.can(photo, file, options):
            photo.decodermaxblock = max(len(data) // PIECES, 1)
            _stream(photo, draws, file, options)
            return size, size
        photo.decodermaxblock = len(data)  # Pillow would pile it up in pieces of 64 kB
        image = _drawn(photo, edits)
        strips.save(image, file, options, threads)
        return size, Size(*image.size)


class _Photo(JpegImagePlugin.JpegImageFile):
    """A JPEG that is decoded piece by piece."""

    look: Callable[[], object] | None = None
    """Called before each piece, when the ones before it are decoded."""

    def load_read(self, read_bytes: int) -> bytes:
        """What Pillow decodes next."""
        if self.look:
            self.look()
        return super().load_read(read_bytes)

    def load_end(self) -> None:
        """All is decoded."""
        super().load_end()
        self.info.clear()  # from here Pillow would write comments and more into the new file


def rehearse(data: mmap, file: IO[bytes]) -> None:
    """Encode a photo, of two strips at least, while it is decoded: as `render` does with large ones."""
    data.seek(0)
    with _Photo(cast("IO[bytes]", data)) as photo:
        photo.decodermaxblock = len(data)
        _stream(photo, [], file, jpeg_options(photo, "keep", Tables.of(photo), None, None))


def _stream(
    photo: _Photo, draws: Sequence[Mark | Coarse], file: IO[bytes], options: Mapping[str, Any]
) -> None:
    """Decode, draw and encode at the same time."""
    waiting = list(draws)
    known = 0

    def look() -> None:
        nonlocal known
        photo.tile, photo.readonly = [], 0  # it can be drawn on, as if it were loaded already
        while (below := known + encoder.height) < photo.height and _begun(photo, below):
            known = below
        free = known  # rows that nothing is drawn on any more
        for draw in waiting.copy():
            if draw.region.top + draw.region.height <= free:
                _draw(photo, draw)
                waiting.remove(draw)
            else:
                free = min(free, draw.region.top)
        encoder.ready(free)

    with strips.Strips(photo, file, options) as encoder:
        photo.look = look
        photo.load()
        for draw in waiting:
            _draw(photo, draw)
        encoder.finish()


def _begun(photo: Image.Image, row: int) -> bool:
    """Whether a row is being decoded already, and those above it are: pixels were black before. Where the row itself is
    black, that is not seen, and what is ready is encoded a little later.
    """
    step = max(photo.width // LOOKS, 1)
    return any(photo.im.getpixel((x, row)) not in (0, (0, 0, 0)) for x in range(step // 2, photo.width, step))


def _streamed(data: mmap, header: Header, *, wide: bool) -> pyvips.Image:
    """The picture as it is stored, decoded as far as it is read: splicing sees whether the rest is broken."""
    return pictures.decode(data, header, wide=wide, whole=False).frames[0]


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or no sense in it."""
    tag = image.getexif().get(ORIENTATION, 1)
    return tag if tag in range(1, 9) else 1


def _edits(chain: Sequence[Operation], size: Size) -> list[Edit] | None:
    """What the operations do, as turns, marks and blocks; None if one of them does more."""
    edits: list[Edit] = []
    for operation in chain:
        own = operation.edits(size)
        if own is None:
            return None
        edits += own
        size = operation.size(size)
    return edits


def _takes(mode: str, edits: Sequence[Edit]) -> bool:
    """Whether pixels of this mode can carry the marks: not CMYK, and no colour on grey."""
    marks = [edit for edit in edits if isinstance(edit, Mark)]
    return mode == "RGB" or (mode == "L" and all(layer.grey for mark in marks for layer in mark.layers))


def _tables(photo: JpegImagePlugin.JpegImageFile, edits: Sequence[Edit]) -> Tables:
    """The file's own, for the picture as it will lie."""
    tables = Tables.of(photo)
    for edit in edits:
        if isinstance(edit, Turn) and edit.orientation >= 5:
            tables = tables.turned()
    return tables


def _drawn(photo: Image.Image, edits: Sequence[Edit]) -> Image.Image:
    photo.load()
    image = photo
    for edit in edits:
        if isinstance(edit, Turn):
            image = image.transpose(_TURNS[edit.orientation])
        else:
            _draw(image, edit)
    return image


def _draw(image: Image.Image, edit: Mark | Coarse) -> None:
    if isinstance(edit, Mark):
        _blend(image, edit)
    else:
        _coarsen(image, edit)


def _blend(image: Image.Image, mark: Mark) -> None:
    where = mark.region
    for layer in mark.layers:
        mask = Image.frombuffer("L", (where.width, where.height), layer.alpha, "raw", "L", 0, 1)
        ink: Image.Image | tuple[int, int, int] | int = (
            layer.colour if image.mode == "RGB" else layer.colour[0]
        )
        if layer.pixels is not None:
            ink = Image.frombuffer("RGB", mask.size, layer.pixels, "raw", "RGB", 0, 1)
        image.paste(ink, _box(where), mask)


def _coarsen(image: Image.Image, edit: Coarse) -> None:
    part = image.crop(_box(edit.region))
    pixels = pyvips.Image.new_from_memory(
        part.tobytes(), part.width, part.height, len(part.getbands()), "uchar"
    )
    image.paste(to_pillow(edit.blocks(pixels), alpha=False), _box(edit.region))


def _box(where: Region) -> tuple[int, int, int, int]:
    return where.left, where.top, where.left + where.width, where.top + where.height
