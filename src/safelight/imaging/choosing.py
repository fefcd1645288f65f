"""What the picture itself decides: `quality: auto`, `format: auto`, and the quality that fits `max_bytes`.

    quality: auto    the lowest quality at which the file looks like the picture (TARGET)
    format: auto     of the formats that can hold the picture, the one that looks as good in the fewest bytes
    max_bytes        the highest quality at which the file is small enough

Likeness is structural similarity of luma (Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment, IEEE TIP 13(4),
2004, equation 13, Gaussian window of 1.5 pixels), measured at half the size: finer than that is grain, which nobody
misses and which would cost most of the bytes. The quarter of the picture that came out worst counts: an empty sky says
nothing about the tree. On photos and scenes of every grain, files of all three formats that are as like their picture
as TARGET score 66 to 75 on SSIMULACRA2, whose authors call 70 high quality.

Trials are made on a sample of the picture's own pixels, so that none takes longer than SAMPLE pixels do; a picture that
is no larger is its own sample.
"""

import copy  # noqa: F401 - Pillow imports it late, for a palette, and a child can import nothing any more
import io
import math
import os
from collections.abc import Callable
from typing import IO, Final, Literal

import msgspec
import pyvips
from PIL import AvifImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from safelight.errors import Unprocessable
from safelight.imaging.headers import ImageFormat
from safelight.imaging.pictures import KEEP, WHITE, Picture, Quality, encode, to_pillow
from safelight.pixels import full

TARGET: Final = 0.98
"""The likeness that `quality: auto` asks for."""

QUALITIES: Final = {"jpeg": range(40, 96), "webp": range(40, 96), "avif": range(30, 91)}
"""What `quality: auto` may come to. Below, pictures fall apart in ways no number tells; above, nobody sees more."""

STEP: Final = 3
"""How finely quality is sought: at most five trials a format."""

SAMPLE: Final = 1 << 18
"""The most pixels that trials are made with."""

TILE: Final = 128
"""The sides of a sample's tiles. They begin at multiples of 16 pixels, where the blocks of every encoder do."""

CELL: Final = 32
"""The sides of the cells by which likeness is judged, in pixels at half the size."""

STILL: Final[tuple[ImageFormat, ...]] = ("jpeg", "png", "webp", "avif")
CLEAR: Final[tuple[ImageFormat, ...]] = ("png", "webp", "avif")
MOVING: Final[tuple[ImageFormat, ...]] = ("gif", "webp", "avif")
"""What can hold a picture as it is: opaque, with transparency, with several frames. The formats that more programs read
come first: of two that are equally small, the first is taken."""

_OPENERS: Final[dict[ImageFormat, Callable[[IO[bytes]], Image.Image]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "gif": GifImagePlugin.GifImageFile,
}


class Trial(msgspec.Struct, frozen=True):
    """What came of encoding the sample once."""

    format: ImageFormat
    quality: Quality
    bytes: int
    likeness: float


def quality_for(picture: Picture, target: ImageFormat) -> Quality:
    """The lowest quality at which the picture, which is in memory, looks like itself in this format.

    The highest of QUALITIES if none is enough; `keep` for formats without qualities.
    """
    return _Sample(picture).least(target, TARGET).quality if target in QUALITIES else "keep"


def smallest(
    picture: Picture, quality: Quality | Literal["auto"], *, fitting: bool
) -> tuple[ImageFormat, Quality]:
    """The format, and its quality, that holds the picture as it is in the fewest bytes. The picture is in memory.

    All are made to look as good as a JPEG does at `quality`; with `auto`, as good as `quality_for` asks for. `fitting`
    leaves out formats whose size can not be brought down by quality.
    """
    sample = _Sample(picture)
    goal = TARGET if quality == "auto" else sample.trial("jpeg", quality).likeness
    able = MOVING if len(picture.frames) > 1 else CLEAR if _lets_through(picture) else STILL
    trials: list[Trial] = []
    if "jpeg" in able:
        found = sample.least("jpeg", goal) if quality == "auto" else sample.trial("jpeg", quality)
        trials.append(found)
        goal = min(goal, found.likeness)  # where no quality is enough, nothing has to be better than this
    for kind in able:
        if kind in QUALITIES and kind != "jpeg":
            trials.append(sample.least(kind, goal))
        elif kind not in QUALITIES and not fitting:
            trials.append(sample.trial(kind, "keep"))
    best = max(trial.likeness for trial in trials if trial.format in QUALITIES)
    good = [trial for trial in trials if trial.likeness >= min(goal, best)]
    chosen = min(good, key=lambda trial: (trial.bytes, able.index(trial.format)))
    return chosen.format, chosen.quality


def encode_within(
    picture: Picture, target: ImageFormat, quality: Quality, most: int, file: IO[bytes]
) -> None:
    """Encode in at most so many bytes, at the best quality for that. The picture is in memory.

    Raise Unprocessable if no quality is low enough.
    """

    def size(quality: Quality) -> int:
        file.seek(0)
        file.truncate()
        encode(picture, target, quality, file)
        file.flush()
        return os.fstat(file.fileno()).st_size

    if size(quality) <= most:
        return
    high = 0
    if target in KEEP:
        high = (KEEP[target] if quality == "keep" else quality) - (quality != "keep")
    best = _highest(lambda quality: size(quality) <= most, range(1, high + 1))
    if best is None:
        raise Unprocessable(
            f"No quality makes the {target} as small as the {most} bytes of max_bytes; resize it."
        )
    size(best)


# --- trials -----------------------------------------------------------------------------------------------


class _Sample:
    """Pixels of a picture to try encoders on."""

    def __init__(self, picture: Picture) -> None:
        frames = _middles(picture.frames) if len(picture.frames) > 1 else [_tiles(picture.frames[0])]
        self._picture = msgspec.structs.replace(picture, frames=frames)
        self._truth = _lumas(to_pillow(frames[0], alpha=True))

    def trial(self, target: ImageFormat, quality: Quality) -> Trial:
        """Encode the sample and look at it."""
        file = io.BytesIO()
        encode(self._picture, target, quality, file)
        length = file.tell()
        file.seek(0)
        made = _lumas(_OPENERS[target](file))
        likeness = min(_likeness(*pair) for pair in zip(self._truth, made, strict=False))
        return Trial(target, quality, length, likeness)

    def least(self, target: ImageFormat, goal: float) -> Trial:
        """The trial of the lowest quality that is as good as the goal, or of the highest there is."""
        trials: dict[int, Trial] = {}

        def falls_short(quality: int) -> bool:
            trials[quality] = self.trial(target, quality)
            return trials[quality].likeness < goal

        steps = QUALITIES[target][::STEP]
        short = _highest(falls_short, steps)
        wanted = steps[0] if short is None else min(short + STEP, steps[-1])
        return trials.get(wanted) or self.trial(target, wanted)


def _highest(holds: Callable[[int], bool], numbers: range) -> int | None:
    """The highest of the numbers for which it holds, where it holds for all below, too; None if for none."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if holds(numbers[middle]):
            low = middle + 1
        else:
            high = middle
    return numbers[low - 1] if low else None


def _lets_through(picture: Picture) -> bool:
    """Whether any of its pixels is not opaque."""
    return any(frame.hasalpha() and frame[-1].min() < full(frame) for frame in picture.frames)


def _tiles(frame: pyvips.Image) -> pyvips.Image:
    """At most SAMPLE pixels of a picture: all of it, or tiles from all over it, side by side."""
    if frame.width * frame.height <= SAMPLE:
        return frame
    width, height = min(TILE, frame.width), min(TILE, frame.height)
    most = SAMPLE // (width * height)
    down = max(1, min(frame.height // height, max(math.isqrt(most), most * width // frame.width)))
    across = max(1, min(frame.width // width, most // down))
    tiles = [
        frame.crop(left, top, width, height)
        for top in _spread(frame.height - height, down)
        for left in _spread(frame.width - width, across)
    ]
    return pyvips.Image.arrayjoin(tiles, across=across).copy_memory()


def _spread(room: int, count: int) -> list[int]:
    """So many positions from 0 to `room`, evenly apart, at multiples of 16."""
    return [room * at // max(1, count - 1) // 16 * 16 for at in range(count)]


def _middles(frames: list[pyvips.Image]) -> list[pyvips.Image]:
    """The middle of each frame, at most SAMPLE pixels in all but no smaller than 64 × 64: what moves is there."""
    side = max(64, math.isqrt(SAMPLE // len(frames)))
    width, height = min(side, frames[0].width), min(side, frames[0].height)
    left, top = (frames[0].width - width) // 2, (frames[0].height - height) // 2
    return [frame.crop(left, top, width, height).copy_memory() for frame in frames]


def _lumas(image: Image.Image) -> list[pyvips.Image]:
    """How light a picture is, at half its size: on white, and on black if it has transparency."""
    if image.mode not in ("RGBA", "LA", "P", "PA"):
        return [_halved(image)]
    clear = image.convert("RGBA")
    grounds = [Image.new("RGBA", clear.size, (ground, ground, ground, 255)) for ground in (int(WHITE), 0)]
    return [_halved(Image.alpha_composite(ground, clear)) for ground in grounds]


def _halved(image: Image.Image) -> pyvips.Image:
    grey = image.convert("L")
    pixels = pyvips.Image.new_from_memory(grey.tobytes(), grey.width, grey.height, 1, "uchar")
    return pixels.cast("float").shrink(min(2, grey.width), min(2, grey.height)).copy_memory()


def _likeness(one: pyvips.Image, other: pyvips.Image) -> float:
    """The structural similarity of two pictures, 1 for the same: the mean of its lowest quarter, in cells."""
    steady, varied = (0.01 * WHITE) ** 2, (0.03 * WHITE) ** 2

    def mean(image: pyvips.Image) -> pyvips.Image:
        return image.gaussblur(1.5, precision="float")

    a, b = mean(one), mean(other)
    aa, bb, ab = mean(one * one) - a * a, mean(other * other) - b * b, mean(one * other) - a * b
    similar = ((a * b * 2 + steady) * (ab * 2 + varied)) / ((a * a + b * b + steady) * (aa + bb + varied))
    cells = similar.cast("float").shrink(min(CELL, similar.width), min(CELL, similar.height))
    lowest = sorted(memoryview(cells.write_to_memory()).cast("f"))[: max(1, cells.width * cells.height // 4)]
    return sum(lowest) / len(lowest)
