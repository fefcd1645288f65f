"""From a file to its renditions: header, limits, plan, decode, draw, encode. Where it runs, `sandbox` decides."""

import errno
import mmap
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import IO

import msgspec
import pyvips
from PIL import Image

from safelight.assets import AssetError
from safelight.config import Settings
from safelight.errors import (
    AssetUnusable,
    OutputTooLarge,
    RenderCrashed,
    SafelightError,
    Truncated,
    Unprocessable,
)
from safelight.imaging import choosing, exif, facts, graph, headers, photos, pictures
from safelight.imaging.drawing import Drawing, Look, digest, finish, new_file, plan_of
from safelight.imaging.graph import Graph
from safelight.imaging.headers import Header, ImageFormat
from safelight.imaging.pictures import Picture
from safelight.imaging.strips import Strips
from safelight.imaging.watching import Node, Watch
from safelight.model import Facts, Source
from safelight.operations import ORIGINAL, Size, catalogue
from safelight.ports import Rendering
from safelight.recipes import File, Recipe, canonical, default

ANIMATED: frozenset[ImageFormat] = frozenset({"gif", "webp", "avif"})


def prepare() -> None:
    """Load what is loaded late, so that drawing opens no file. Decodes nothing but a pixel of its own."""
    plan_of(_smallest())  # which also fills the caches of what recipes may say
    for operation in catalogue().values():
        operation.prepare()
    # Once where children are forked from: what is made at the first use is then shared, and not made by each of them.
    rehearse(Settings(), threads=2)


def rehearse(settings: Settings, threads: int) -> None:
    """Draw a picture of one pixel. A fork's memory is copied when it is touched: this touches it ahead of the job.

    With two threads each such copy has both cores stop, so for them the way by pixels is rehearsed as well: at 2 MP
    that saves a fifth of the time. A backlog, which has one thread, has no time for it.
    """
    ours = msgspec.structs.replace(settings, formats=(*settings.formats, "jpeg"))  # whatever may be uploaded
    with new_file() as output:
        draw(_tiny(), _smallest(), ours, [output])
    if threads > 1:
        with new_file() as output:
            photos.rehearse(_two_strips(), output)


def anticipate(recipe: bytes, width: int, height: int) -> None:
    """Compute what drawing this recipe on a photo of this size takes that is not in its pixels. To be shared by forks.

    Nothing here comes from a file: the recipe is the operator's, and the size has passed the limits.
    """
    size: Size | None = Size(width, height)
    plan = plan_of(recipe)
    for operation in plan.chain(next(iter(plan.outputs))):
        if size is None or operation.looks(size):
            break
        operation.anticipate(size)
        size = operation.size(size)


@cache
def _smallest() -> bytes:
    return canonical(default("©"))


@cache
def _two_strips() -> mmap.mmap:
    file = new_file()
    Image.new("RGB", (16, 256), "white").save(file, "JPEG")
    file.flush()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@cache
def _tiny() -> IO[bytes]:
    file = new_file()
    Image.new("RGB", (1, 1)).save(file, "JPEG")
    file.flush()
    return file


def render_in_process(file: IO[bytes], source: Source, recipe: bytes, settings: Settings) -> Rendering:
    """What `ports.Renderer.render` does, but in this process, with no limit on time and memory: for files of one's own.

    Afterwards this process must not fork: libvips' threads do not come along.
    """
    plan = plan_of(recipe)
    source = msgspec.structs.replace(source, sha256=source.sha256 or digest(file))
    with ExitStack() as stack:
        files = [stack.enter_context(new_file()) for _ in plan.files()]
        rendering = finish(draw(file, recipe, settings, files), files, source, plan, settings)
        stack.pop_all()
        return rendering


def draw(
    file: IO[bytes],
    recipe: bytes,
    settings: Settings,
    files: Sequence[IO[bytes]],
    *,
    threads: int = 1,
    explain: bool = False,
) -> Drawing:
    """Draw the outputs of the recipe into `files`, one each, with at most so many threads (see `pace`); with
    `explain`, tell what it took.

    Raise FileError if the original is at fault; OutputTooLarge; RenderCrashed if memory ran out.
    """
    plan = plan_of(recipe)
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        headers.read(b"")  # an empty file can not be mapped, and is refused here
        raise
    header = headers.read(data, settings.formats)
    headers.check(header, _limited(settings, plan))
    with _judged():
        said = exif.read(data, header.format) if plan.metadata.of_file else Facts()
        kept = said.chosen(plan.metadata.keep)
        splicing = settings.splice == "auto" and plan.sanitize == "auto"
        before = Strips.made
        watch = Watch() if explain else None
        short = _photo(data, header, plan, kept, files, splicing=splicing, threads=threads, watch=watch)
        drawing = short or _pictures(data, header, plan, kept, files, threads, watch)
        for output in files:
            output.flush()
        drawing = msgspec.structs.replace(
            drawing, facts=_facts(data, header, plan, said), threads=2 if Strips.made > before else 1
        )
        return msgspec.structs.replace(drawing, trace=watch.trace()) if watch else drawing


def _facts(data: mmap.mmap, header: Header, recipe: Recipe, said: Facts) -> Facts | None:
    """What the recipe wants to know of the original; `said` is what its EXIF says."""
    wanted = recipe.metadata.read
    if not wanted:
        return None
    found = said.chosen(wanted)
    if longest := facts.side(wanted):
        first = msgspec.structs.replace(header, frames=1)
        picture = pictures.decode(
            data, first, shrink=lambda size: max(size.width, size.height) / longest, wide=False
        )
        seen = facts.measured(picture, wanted)
        found = msgspec.structs.replace(
            seen,
            **{
                name: value for name in Facts.__struct_fields__ if (value := getattr(found, name)) is not None
            },
        )
    return found


def _photo(
    data: mmap.mmap,
    header: Header,
    recipe: Recipe,
    kept: Facts,
    files: Sequence[IO[bytes]],
    *,
    splicing: bool,
    threads: int,
    watch: Watch | None,
) -> Drawing | None:
    """The short way, if there is one."""
    ((name, output), *more) = recipe.outputs.items()
    quality = output.quality
    one_jpeg = not more and header.format == "jpeg" and output.kinds in (("same",), ("jpeg",))
    if not one_jpeg or output.max_bytes is not None or quality == "auto":
        if watch:
            reason = "its quality is sought" if one_jpeg else "it is more than one JPEG made of a JPEG"
            watch.reasons.append(reason if header.format == "jpeg" else "it is no JPEG")
        return None
    begin = time.perf_counter()
    sizes = photos.render(
        data,
        header,
        recipe.chain(name),
        quality,
        files[0],
        splicing=splicing,
        facts=kept,
        wide="icc" in recipe.metadata.keep,
        threads=threads,
        watch=watch,
    )
    if sizes and watch:
        seconds, length = time.perf_counter() - begin, files[0].tell()
        watch.nodes.append(Node(name, watch.way, ORIGINAL, sizes[1].width, sizes[1].height, seconds, length))
    return sizes and Drawing(_look("jpeg", sizes[0]), (_look("jpeg", sizes[1]),))


def _pictures(
    data: mmap.mmap,
    header: Header,
    recipe: Recipe,
    kept: Facts,
    files: Sequence[IO[bytes]],
    threads: int,
    watch: Watch | None,
) -> Drawing:
    """The way for everything."""
    wide = "icc" in recipe.metadata.keep
    original = pictures.decode(data, header, shrink=partial(graph.shrink, recipe), wide=wide)
    original.exif = exif.build(kept)
    if not header.agrees(original.size.width, original.size.height, len(original.frames)):
        raise Unprocessable("The file says two different things about its size.")
    drawn = Graph(recipe, original, watch)
    looks = []
    for made, file in zip(recipe.files(), files, strict=True):
        picture = drawn.picture(made.rendition.use)
        begin = time.perf_counter()
        looks.append(look := _encoded(picture, made, header, file, threads))
        if watch:
            file.flush()
            does, length = f"encode {look.format}", os.fstat(file.fileno()).st_size
            seconds = time.perf_counter() - begin
            watch.nodes.append(
                Node(f"→ {made.name}", does, made.rendition.use, look.width, look.height, seconds, length)
            )
    return Drawing(_look(header.format, original.size, header.frames), tuple(looks))


def _encoded(picture: Picture, made: File, header: Header, file: IO[bytes], threads: int) -> Look:
    """Write one file, and tell how it looks."""
    quality, most = made.rendition.quality, made.rendition.most
    if made.rendition.animation == "first":
        picture = _still(picture)
    if most is not None or "auto" in (made.format, quality):
        picture = graph.kept(picture)
    target: ImageFormat
    if made.format == "auto":
        target, quality = choosing.smallest(picture, quality, fitting=most is not None)
    else:
        target = header.same if made.format == "same" else made.format
        quality = choosing.quality_for(picture, target) if quality == "auto" else quality
    if target not in ANIMATED:
        picture = _still(picture)
    if most is None:
        pictures.encode(picture, target, quality, file, threads=threads)
    else:
        choosing.encode_within(picture, target, quality, most, file)
    return _look(target, picture.size, len(picture.frames))


def _still(picture: Picture) -> Picture:
    """The first frame alone."""
    return msgspec.structs.replace(picture, frames=picture.frames[:1], delays=[])


def _limited(settings: Settings, recipe: Recipe) -> Settings:
    """The settings with the recipe's limits, where those are tighter."""
    pixels, frames = recipe.limits.pixels, recipe.limits.frames
    return msgspec.structs.replace(
        settings,
        max_pixels=min(settings.max_pixels, pixels) if isinstance(pixels, int) else settings.max_pixels,
        max_frames=min(settings.max_frames, frames) if frames is not None else settings.max_frames,
    )


def _look(kind: ImageFormat, size: Size, frames: int = 1) -> Look:
    """How a picture of this size looks: 5 to 8 are the orientations that lie on their side."""
    sides = (size.height, size.width) if size.orientation >= 5 else (size.width, size.height)
    return Look(kind, *sides, frames)


@contextmanager
def _judged() -> Iterator[None]:
    """Tell what the libraries raise in the words of `errors`. Their own words stay in the cause, for the log."""
    try:
        yield
    except SafelightError:
        raise
    except AssetError as error:
        raise AssetUnusable from error
    # These say nothing about the file: memory ran out, a lock was too tight, or we have made a mistake.
    except (MemoryError, PermissionError, TypeError, AttributeError, NameError, AssertionError) as error:
        raise RenderCrashed from error
    # Anything else a decoder may raise for a damaged file: struct.error, IndexError, SyntaxError, ...
    except Exception as error:
        said = str(error).lower()
        if getattr(error, "errno", None) == errno.EFBIG or "file too large" in said:
            raise OutputTooLarge from error
        if isinstance(error, pyvips.Error) and ("out of memory" in said or "unable to allocate" in said):
            raise RenderCrashed from error
        if "unexpected c++ exception" in said or (
            "memory allocation error" in said and "security limit" not in said
        ):  # libheif's words
            raise RenderCrashed from error
        if (
            "truncated" in said
            or "premature end" in said
            or "end of stream" in said
            or "unexpected eof" in said
            or "unexpected end of file" in said
        ):
            raise Truncated from error
        raise Unprocessable from error
