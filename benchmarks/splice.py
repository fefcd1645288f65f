"""A text watermark on a JPEG without decoding the rest of it, beside the usual way with Pillow, and sharp.

    python benchmarks/splice.py [--sharp FOLDER] [--rounds N] [--write]

FOLDER holds `node_modules/sharp`; without it, sharp is left out. All ways run warm and take turns, in process; sharp
in a Node process that is asked for one picture at a time, by its own clock. Figures are medians. `--write` puts them
into benchmarks/RESULTS-splice.md.
"""

import argparse
import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from measuring import machine, median, table
from PIL import Image
from watermark import SIZES, TEXT, usual

from safelight.config import Settings
from safelight.imaging import render_in_process, splice
from safelight.imaging.sample import photo
from safelight.model import Source
from safelight.operations import Size
from safelight.operations.watermark import Watermark, lay_out
from safelight.recipes import canonical, default

RECIPE: Final = canonical(default(TEXT))
SOURCE: Final = Source(key="uploads/benchmark/photo.jpg", version="1", bytes=0, sha256="0" * 64)
RESULTS: Final = Path(__file__).parent / "RESULTS-splice.md"

KINDS: Final[dict[str, dict[str, object]]] = {
    "as cameras write them": {},
    "with restart markers, one a row of blocks": {"restart_marker_rows": 1},
    "with optimised Huffman tables": {"optimize": True},
}

SHARP: Final = """
const sharp = require('sharp'); sharp.concurrency(1); sharp.cache(false);
require('readline').createInterface({input: process.stdin}).on('line', async line => {
  const {file, width, height, text} = JSON.parse(line);
  const began = process.hrtime.bigint();
  const size = Math.round(Math.min(width, height) * 0.04), margin = Math.round(Math.min(width, height) * 0.02);
  const svg = `<svg width="${width}" height="${height}"><text x="${width - margin}" y="${height - margin}"
    text-anchor="end" font-size="${size}" fill="white" fill-opacity="0.6">${text}</text></svg>`;
  await sharp(file).composite([{input: Buffer.from(svg)}]).jpeg({quality: 90}).toBuffer();
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
});
"""


class Sharp:
    """A Node process that watermarks pictures."""

    def __init__(self, folder: Path) -> None:
        """`folder` has sharp installed."""
        self._process = subprocess.Popen(
            ["node", "-e", SHARP], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, file: Path, size: Size) -> float:
        """Watermark once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"file": str(file), "width": size.width, "height": size.height, "text": TEXT}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def row(name: str, size: Size, options: dict[str, object], sharp: Sharp | None, rounds: int) -> list[str]:
    """Measure one kind of file at one size."""
    data = photo(size.width, size.height)
    if options:
        again = io.BytesIO()
        Image.open(io.BytesIO(data)).save(again, "JPEG", quality="keep", **options)
        data = again.getvalue()
    marks = lay_out(Watermark(text=TEXT), size.width, size.height)

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()

        def timed(way: Callable[[], object]) -> float:
            began = time.perf_counter()
            way()
            return time.perf_counter() - began

        def renderer(setting: str) -> float:
            settings = Settings(splice=setting)  # type: ignore[arg-type]
            return timed(lambda: render_in_process(file, SOURCE, RECIPE, settings).close())

        done = splice.splice(data, size, marks, io.BytesIO())
        assert isinstance(done, splice.Spliced), done
        ways: dict[str, Callable[[], float]] = {
            "usual": lambda: timed(lambda: usual(file)),
            "pixels": lambda: renderer("off"),
            "job": lambda: renderer("auto"),
            "splice": lambda: timed(lambda: splice.splice(data, size, marks, io.BytesIO())),
        }
        if sharp:
            ways["sharp"] = lambda: sharp.seconds(Path(file.name), size)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for lap in range(rounds + 1):
            for way, run in ways.items():
                seconds = run()
                if lap:  # the first warms up
                    times[way].append(seconds)
    middle = {way: median(series) for way, series in times.items()}
    ratio = f"**{middle['usual'] / middle['splice']:.1f} ×**"
    against = f"{middle['sharp'] / middle['splice']:.1f} ×" if sharp else "–"
    columns = [f"{1000 * middle[way]:.1f}" if way in middle else "–" for way in _WAYS]
    return [f"{size.width * size.height / 1e6:.0f} MP, {name}", done.way, *columns, ratio, against]


_WAYS: Final = ("usual", "sharp", "pixels", "job", "splice")


def run(folder: Path | None, rounds: int) -> str:
    """Measure, and give the report."""
    sharp = Sharp(folder) if folder else None
    rows = [
        row(name, Size(*sides), options, sharp, rounds) for sides in SIZES for name, options in KINDS.items()
    ]
    if sharp:
        sharp.close()
    head = [
        "photo",
        "way",
        "usual Pillow, ms",
        "sharp, ms",
        "Safelight decoding, ms",
        "Safelight splicing, ms",
        "the splice alone, ms",
        "splice against usual Pillow",
        "against sharp",
    ]
    return (
        f"# A watermark without decoding\n\n{machine()}. Medians of {rounds} rounds, in process, warm. Load "
        f"average at the end {os.getloadavg()[0]:.1f}: above 1, only the ratios mean something.\n\n"
        f"{table(head, rows)}\n\n"
        "The usual way is what tutorials show; sharp composes an SVG, on one thread. Safelight's two columns are whole "
        "renderings in process: header checks, laying out, drawing, and the digest of the result. The splice alone is "
        "from bytes to bytes. `copied`: every bit beside the mark is the old one; `grown`: and the Huffman tables got "
        "new codes; `recoded`: there was no room for them, and all codes changed, but no coefficient beside the mark.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure splicing.")
    parser.add_argument("--sharp", type=Path, help="a folder with node_modules/sharp")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    report = run(arguments.sharp, arguments.rounds)
    if arguments.write:
        RESULTS.write_text(report)
    print(report)
