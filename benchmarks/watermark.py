"""A text watermark on a JPEG, end to end through the sandbox, beside the usual way with Pillow.

The usual way is what tutorials show: open, convert to RGBA, draw on an overlay of the same size, alpha_composite,
convert to RGB, save at quality 90. All ways take turns in one run; figures are medians.
"""

import io
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from measuring import chart, cpu_seconds, machine, median, table
from PIL import Image, ImageDraw, ImageFont

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer, render_in_process, splice
from safelight.imaging.sample import photo
from safelight.lettering import FONTS
from safelight.model import Source
from safelight.recipes import canonical, default

SIZES: Final = ((1600, 1200), (4000, 3000), (6000, 4000))
ROUNDS: Final = 15
TINY_ROUNDS: Final = 200

TEXT: Final = "© Amodhbh Media"
RECIPE: Final = canonical(default(TEXT))
SOURCE: Final = Source(key="uploads/benchmark/photo.jpg", version="1", bytes=0)
FONT_FILE: Final = str(Path(__file__).parents[1] / "src/safelight/imaging/fonts" / FONTS["sans"])


def marked(image: Image.Image) -> Image.Image:
    """The usual way to draw the mark with Pillow, RGBA."""
    image = image.convert("RGBA")
    overlay = Image.new("RGBA", image.size, (255, 255, 255, 0))
    draw = ImageDraw.Draw(overlay)
    font = ImageFont.truetype(FONT_FILE, min(image.size) * 4 // 100)
    margin = min(image.size) * 2 // 100
    _, _, right, bottom = draw.textbbox((0, 0), TEXT, font=font)
    place = (image.width - right - margin, image.height - bottom - margin)
    draw.text(place, TEXT, font=font, fill=(255, 255, 255, 153))
    return Image.alpha_composite(image, overlay)


def usual(file: IO[bytes]) -> bytes:
    """The usual way with Pillow."""
    file.seek(0)
    result = io.BytesIO()
    marked(Image.open(file)).convert("RGB").save(result, "JPEG", quality=90)
    return result.getvalue()


def run(sizes: Sequence[tuple[int, int]] = SIZES, rounds: int = ROUNDS) -> str:
    """Measure, and give the section of the report."""
    settings = Settings(splice="off")
    by_pixels = SandboxedRenderer(settings)
    spliced = SandboxedRenderer(Settings())
    layers = by_pixels.start()

    def sandboxed(file: IO[bytes]) -> None:
        by_pixels.render(file, SOURCE, RECIPE).close()

    def bare(file: IO[bytes]) -> None:
        render_in_process(file, SOURCE, RECIPE, settings).close()

    def splicing(file: IO[bytes]) -> None:
        spliced.render(file, SOURCE, RECIPE).close()

    ways: dict[str, Callable[[IO[bytes]], object]] = {"usual": usual, "bare": bare, "sandboxed": sandboxed}
    head = ["photo", "usual Pillow, ms", "by pixels, in process, ms", "by pixels, in the sandbox, ms"]
    if splice.available():
        ways["splicing"] = splicing
        head.append("spliced, in the sandbox, ms")
    rows = []
    bars = {}
    for width, height in sizes:
        with tempfile.TemporaryFile() as file:
            file.write(photo(width, height))
            file.flush()
            waiting = (by_pixels, spliced)
            times = {name: median(series) for name, series in _in_turns(ways, file, rounds, waiting).items()}
        megapixels = f"{width * height / 1e6:.0f} MP"
        for name, words in (("sandboxed", "pixels"), ("splicing", "spliced")):
            if name in times:
                bars[f"{megapixels} {words}"] = times["usual"] / times[name]
        rows.append(
            [
                megapixels,
                f"{1000 * times['usual']:.0f}",
                *(
                    f"{1000 * times[name]:.1f} ({times['usual'] / times[name]:.1f} ×)"
                    for name in ways
                    if name != "usual"
                ),
            ]
        )
    wall, cpu = _own_cost(sandboxed, bare, by_pixels)
    by_pixels.close()
    spliced.close()
    return (
        f"## Watermark, JPEG to JPEG\n\n{machine()}. Locks: {', '.join(layers)}.\n\n{table(head, rows)}\n\n"
        f"The sandbox itself, by a picture of one pixel: {1000 * wall:.1f} ms of waiting and "
        f"{1000 * cpu:.1f} ms of CPU a job more than in process (goals: 3 and 10). "
        "By pixels, in the sandbox, the goal is 1.8 × the usual way.\n\n"
        f"{chart('Times as fast as the usual Pillow, in the sandbox', list(bars), '×', list(bars.values()))}\n"
    )


def _in_turns(
    ways: dict[str, Callable[[IO[bytes]], object]],
    file: IO[bytes],
    rounds: int,
    waiting: Sequence[SandboxedRenderer],
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for lap in range(rounds + 1):
        for name, way in ways.items():
            for renderer in waiting:
                renderer.start()  # the next child is ready, as it is unless jobs are shorter than a fork
            began = time.perf_counter()
            way(file)
            if lap:  # the first warms up
                times[name].append(time.perf_counter() - began)
    return times


def _own_cost(
    sandboxed: Callable[[IO[bytes]], object], bare: Callable[[IO[bytes]], object], renderer: SandboxedRenderer
) -> tuple[float, float]:
    """What the sandbox adds to a job: waiting and CPU, in seconds."""
    with tempfile.TemporaryFile() as file:
        Image.new("RGB", (1, 1)).save(file, "JPEG")
        file.flush()
        wall, cpu = [], []
        for way in (sandboxed, bare):
            used = cpu_seconds(os.getpid())
            wall.append(median(_in_turns({"way": way}, file, TINY_ROUNDS, (renderer,))["way"]))
            cpu.append((cpu_seconds(os.getpid()) - used) / (TINY_ROUNDS + 1))
    return wall[0] - wall[1], cpu[0] - cpu[1]


if __name__ == "__main__":
    print(run())
