"""What comes back from drawing, before anybody trusts it; loads no codec, so that the worker can read it, too."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from typing import IO, Final

import msgspec

from safelight.config import Settings
from safelight.errors import OutputTooLarge
from safelight.imaging.headers import ImageFormat
from safelight.imaging.watching import Trace
from safelight.model import Facts, Source
from safelight.ports import Rendered, Rendering
from safelight.recipes import Recipe, parse

TYPES: Final[dict[ImageFormat, tuple[str, str]]] = {
    "jpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "webp": ("webp", "image/webp"),
    "gif": ("gif", "image/gif"),
    "avif": ("avif", "image/avif"),
    "tiff": ("tif", "image/tiff"),
    "heic": ("heic", "image/heic"),
}
"""Extension and content type of each format."""

_SAME: Final[dict[ImageFormat, tuple[ImageFormat, ...]]] = {
    "tiff": ("jpeg", "png"),
    "heic": ("jpeg", "png"),
}
"""What `format: same` may have become where it is not the original's format."""


class Look(msgspec.Struct, frozen=True):
    """What a picture is: its format, its size in pixels as displayed, and its frames."""

    format: ImageFormat
    width: int
    height: int
    frames: int = 1


class Drawing(msgspec.Struct, frozen=True):
    """How the original looks, and how each output of the recipe does, in the recipe's order."""

    source: Look
    outputs: tuple[Look, ...]
    facts: Facts | None = None
    trace: Trace | None = None
    threads: int = 1
    """How many encoded it."""


@lru_cache(maxsize=64)
def plan_of(recipe: bytes) -> Recipe:
    """The recipe; most jobs run the same few. What was read before the fork is not read again by each child."""
    return parse(recipe)


def new_file() -> IO[bytes]:
    """A file without a name: in memory on Linux, where it can be sealed, else in the temporary folder."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
    return tempfile.TemporaryFile()


def finish(
    drawing: Drawing, files: Sequence[IO[bytes]], source: Source, recipe: Recipe, settings: Settings
) -> Rendering:
    """The rendering: names come from the recipe, sizes and digests from the files themselves.

    The files belong to the rendering then. Raise OutputTooLarge; ValueError if the drawing is not what the recipe
    asks for.
    """
    sizes = check_total(files, settings)
    outputs = []
    for wanted, look, file, size in zip(recipe.files(), drawing.outputs, files, sizes, strict=True):
        same = _SAME.get(drawing.source.format, (drawing.source.format,))
        if wanted.format != "auto" and look.format not in (
            same if wanted.format == "same" else (wanted.format,)
        ):
            raise ValueError(f"{wanted.format} was wanted and {look.format} drawn")
        extension, content_type = TYPES[look.format]
        file.seek(0)
        outputs.append(
            Rendered(
                name=wanted.name,
                extension=extension,
                content_type=content_type,
                file=file,
                bytes=size,
                sha256=digest(file),
                width=look.width,
                height=look.height,
                frames=look.frames,
                primary=wanted.primary,
                placeholder=drawing.facts.placeholder if drawing.facts else None,
            )
        )
    look = drawing.source
    seen = msgspec.structs.replace(
        source,
        format=look.format,
        content_type=TYPES[look.format][1],
        width=look.width,
        height=look.height,
        frames=look.frames,
        facts=drawing.facts,
    )
    return Rendering(source=seen, outputs=tuple(outputs))


def check_total(files: Sequence[IO[bytes]], settings: Settings) -> list[int]:
    """The sizes of the files. Raise OutputTooLarge if they are larger than allowed, all together."""
    sizes = [os.fstat(file.fileno()).st_size for file in files]
    if sum(sizes) > settings.render_output:
        raise OutputTooLarge
    return sizes


_AT_ONCE: Final = 128 << 10
"""Bytes that are read and hashed at a time: few enough to stay in a core's cache."""


def digest(file: IO[bytes]) -> str:
    """The SHA-256 of a file, in hexadecimal. Its position stays where it is: others may share the descriptor."""
    hasher, at = hashlib.sha256(), 0
    part = memoryview(bytearray(_AT_ONCE))
    while count := os.preadv(file.fileno(), [part], at):
        hasher.update(part[:count])
        at += count
    return hasher.hexdigest()
