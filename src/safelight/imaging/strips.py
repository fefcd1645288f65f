"""A JPEG encoded strip by strip: by a second thread, while the strips below are still being decoded.

What is coded after a restart marker depends on nothing before it (ITU-T T.81, F.1.2.3), so strips that end at one can
be coded by themselves and joined. The file is, byte by byte, what one encoder writes that puts a marker after each row
of MCUs, however many threads there were. Its markers are a gift to the next mark: splicing walks only the rows that it
touches. They cost some bytes a row.
"""

import contextlib
import ctypes
import io
import os
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Any, ClassVar, Final, NamedTuple, Self

from PIL import Image

LEAST: Final = 500_000
"""Pixels from which a JPEG gets restart markers: what is smaller is done before a second thread has begun."""

ROWS: Final = 8
"""Rows of MCUs in a strip: markers are numbered from 0 to 7, and each strip begins at 0."""

ROOM: Final = 1 << 16
"""Bytes that an encoder hands out at once; a header has to fit into the first of them."""

_MCU_HEIGHT: Final = {0: 8, 1: 8}
"""Of an MCU by subsampling, as Pillow numbers it; anything else is written as 4:2:0."""

_ONCE: Final = ("icc_profile", "exif")
"""What the first strip's header has, and the others' do not."""

_SOF: Final = (0xC0, 0xC1)
"""Baseline, and extended: what tables of 16 bits make of it."""

_SOS: Final = 0xDA
_END: Final = b"\xff\xd9"
_LAST: Final = b"\xff\xd7"
"""The restart marker between strips, the eighth of its round, in place of the end."""

_LIBC: Final = ctypes.CDLL(None)


def save(image: Image.Image, file: IO[bytes], options: Mapping[str, Any], threads: int = 1) -> None:
    """Write a picture to a file, at its position, which is its end. Raise OSError where Pillow does.

    `options` are those of `Image.save` for baseline JPEGs: quality or qtables, subsampling, icc_profile and exif.
    """
    if threads > 1 and Strips.can(image, file, options):
        with Strips(image, file, options) as strips:
            strips.finish()
    else:
        _save(image, file, options)


def _save(image: Image.Image, file: IO[bytes], options: Mapping[str, Any]) -> None:
    marked = image.width * image.height >= LEAST
    image.save(file, "JPEG", **options, **({"restart_marker_rows": 1} if marked else {}))


class _Told(NamedTuple):
    """What Pillow's encoder is told."""

    whole: tuple[Any, ...]
    """For the first strip."""
    plain: tuple[Any, ...]
    """For the others: their headers hold no profile and no EXIF."""
    head: int
    """How long such a header is."""

    @classmethod
    def of(cls, mode: str, options: Mapping[str, Any]) -> Self:
        """Pillow keeps it on the picture that it has saved."""

        def saved(options: Mapping[str, Any]) -> tuple[tuple[Any, ...], int]:
            tiny, file = Image.new(mode, (1, 1)), io.BytesIO()
            tiny.save(file, "JPEG", **options, restart_marker_rows=1)
            return tiny.encoderconfig, _places(file.getbuffer())[1]

        whole, head = saved(options)
        plain = whole
        if any(options.get(name) for name in _ONCE):
            plain, head = saved({name: value for name, value in options.items() if name not in _ONCE})
        return cls(whole, plain, head)


class Strips:
    """Writes a picture whose upper part is ready before the rest. As a context, it ends its thread."""

    made: ClassVar[int] = 0
    """How many there were in this process."""

    @staticmethod
    def can(image: Image.Image, file: IO[bytes], options: Mapping[str, Any]) -> bool:
        """Whether the picture has strips enough to be worth a thread, and the file a descriptor."""
        try:
            file.fileno()
        except OSError:
            return False
        enough = image.width * image.height >= LEAST and image.height > height_of(image.mode, options)
        return enough and image.mode in ("L", "RGB")

    def __init__(self, image: Image.Image, file: IO[bytes], options: Mapping[str, Any]) -> None:
        """See `save` for the arguments. Of the picture only mode and size are looked at before `ready`."""
        Strips.made += 1
        self.height: Final = height_of(image.mode, options)
        """Rows of pixels in a strip."""
        self._image = image
        self._file = file
        self._options = options
        file.flush()
        self._begin = file.tell()
        self._descriptor = file.fileno()
        self._room = ROOM + sum(len(options.get(name) or b"") for name in _ONCE)
        self._given = 0  # rows that the thread has got
        self._other = ThreadPoolExecutor(1)
        self._done: list[Future[None]] = []
        self._told: Future[_Told] | None = None
        self._short = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._other.shutdown(cancel_futures=True)

    def ready(self, row: int) -> None:
        """All rows above this one are as they are to be written, and stay so."""
        # Whole strips, and never the last one: `finish` has to have something left.
        row = min(row, self._image.height - 1) // self.height * self.height
        if row <= self._given or self._short:
            return
        try:
            # Not before: its first task keeps the interpreter, which whoever decodes could want to begin.
            self._told = self._told or self._other.submit(_begin, self._image.mode, self._options, _core())
            self._done.append(self._other.submit(self._append, self._told, self._given, row))
            self._given = row
        except RuntimeError:  # there is no thread
            self._short = True

    def finish(self) -> None:
        """Write what is left, when all rows are ready. Raise OSError if anything could not be written.

        Where there is no thread or no memory for it, one encoder writes all of it.
        """
        left = self._image.height - self._given
        middle = self._given + -(-(left // 2) // self.height) * self.height
        lower: list[bytes] = []
        try:
            self.ready(middle)
            time.sleep(0)  # let the thread have the interpreter, to begin: what follows keeps it
            told = self._told.result() if self._told and not self._short else None
            if told:
                lower = self._pieces(told)
            for done in self._done:
                done.result()
        except MemoryError:
            told = None
        if told is None:
            self._other.shutdown(cancel_futures=True)  # it may be writing
            self._file.seek(self._begin)
            self._file.truncate()
            _save(self._image, self._file, self._options)
            return
        self._join(lower, told)

    def _append(self, telling: Future[_Told], first: int, end: int) -> None:
        """Write the strips with these rows behind the last ones. Runs in the thread: it needs no interpreter while it
        encodes."""
        told = telling.result()
        if first == 0:
            self._encode(told.whole, first, end)
            return
        # The encoder begins with a header. It is laid over the end of the strip before, which is then put back, with a
        # marker where that strip's file ended.
        at = os.lseek(self._descriptor, -told.head, os.SEEK_CUR)
        covered = os.pread(self._descriptor, told.head - len(_END), at)
        self._encode(told.plain, first, end)
        os.pwrite(self._descriptor, covered + _LAST, at)

    def _encode(self, config: tuple[Any, ...], first: int, end: int) -> None:
        encoder = self._encoder(config, first, end)
        try:
            _check(encoder.encode_to_file(self._descriptor, self._room))
        finally:
            encoder.cleanup()

    def _pieces(self, told: _Told) -> list[bytes]:
        """What the thread has not got, encoded. Keeps the interpreter, piece by piece."""
        encoder = self._encoder(told.plain, self._given, self._image.height)
        pieces: list[bytes] = []
        done = 0
        try:
            while not done:
                _, done, piece = encoder.encode(self._room)
                pieces.append(piece)
        finally:
            encoder.cleanup()
        _check(done)
        return pieces

    def _encoder(self, config: tuple[Any, ...], first: int, end: int) -> Any:
        # What `save` calls for the whole of a picture; to give it a part, other than as a copy, there is no public way.
        image = self._image
        encoder = Image._getencoder(image.mode, "jpeg", image.mode, config)  # noqa: SLF001
        encoder.setimage(image.im, (0, first, image.width, end))
        return encoder

    def _join(self, lower: list[bytes], told: _Told) -> None:
        """Let the file go on with the lower part, and its header tell the height of all."""
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR) - len(_END)
        frame, _ = _places(os.pread(self._descriptor, self._room, self._begin))
        os.pwrite(self._descriptor, self._image.height.to_bytes(2, "big"), self._begin + frame)
        self._file.seek(end)
        self._file.write(_LAST)
        self._file.write(memoryview(lower[0])[told.head :])
        self._file.writelines(lower[1:])
        self._file.flush()


def _begin(mode: str, options: Mapping[str, Any], taken: int) -> _Told:
    """The thread's first task."""
    _step_aside(taken)
    return _Told.of(mode, options)


def _core() -> int:
    """The core that this thread runs on; -1 if that is not known."""
    return _LIBC.sched_getcpu() if hasattr(_LIBC, "sched_getcpu") else -1


def _step_aside(taken: int) -> None:
    """Move this thread to another core than that one, if there is any, and let it go wherever the system wants then.

    Linux wakes it on the core of the thread that feeds it, and on small machines that are a little busy it does not
    look for an idle one (SIS_UTIL in kernel/sched/fair.c): both would share one for as long as such a drawing takes.
    """
    if taken < 0:
        return
    with contextlib.suppress(OSError):  # as where a filter does not know the call
        allowed = os.sched_getaffinity(0)
        if others := allowed - {taken}:
            os.sched_setaffinity(0, others)
            os.sched_setaffinity(0, allowed)


def height_of(mode: str, options: Mapping[str, Any]) -> int:
    """Rows of pixels in a strip of a picture that is saved so."""
    return ROWS * (8 if mode == "L" else _MCU_HEIGHT.get(options["subsampling"], 16))


def _check(code: int) -> None:
    """A positive code is the end of the picture."""
    if code < 0:
        raise OSError(f"encoder error {code} when writing a JPEG")


def _places(head: bytes | memoryview) -> tuple[int, int]:
    """Where the height of the picture stands in a JPEG's header, and where its scan begins."""
    frame, at = None, 2
    while (marker := head[at + 1]) != _SOS:
        if marker in _SOF:
            frame = at + 5  # after the marker, the length and the precision
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    assert frame is not None, "baseline and extended are all that is asked for"
    return frame, at + 2 + int.from_bytes(head[at + 2 : at + 4], "big")
