"""A text watermark on a JPEG without decoding the rest of it, beside the usual way with Pillow, and sharp; and two
parts of one pixelated.

    python benchmarks/splice.py [--sharp FOLDER] [--rounds N] [--pixelate] [--write]

FOLDER holds `node_modules/sharp`; without it, sharp is left out, as are jpegtran and ImageMagick where they are not
installed. All ways run warm and take turns: Pillow and Safelight in process or in Safelight's sandbox; sharp in a Node
process that is asked for one picture at a time, by its own clock; the other two as the commands that they are. Figures
are medians. `--pixelate` measures the two parts alone. `--write` puts what was measured into
benchmarks/RESULTS-splice.md; what was not stays there.
"""

import argparse
import io
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Final, NamedTuple

from measuring import machine, median, table
from peers import Answering
from peers import sharp as start_sharp
from PIL import Image
from watermark import FONT_FILE, SIZES, TEXT, usual

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer, splice
from safelight.imaging.sample import photo
from safelight.imaging.sandbox import MEMORY
from safelight.model import Source
from safelight.operations import Size
from safelight.operations.watermark import Watermark, lay_out
from safelight.parameters import pixels
from safelight.recipes import build, canonical, default

RECIPE: Final = canonical(default(TEXT))
SOURCE: Final = Source(key="uploads/benchmark/photo.jpg", version="1", bytes=0, sha256="0" * 64)
PARTS: Final = [
    {"left": "40%", "top": "20%", "width": "12%", "height": "16%"},
    {"left": "60%", "top": "70%", "width": "15%", "height": "6%"},
]
RESULTS: Final = Path(__file__).parent / "RESULTS-splice.md"
PIXELATED: Final = "## Two parts pixelated"

KINDS: Final[dict[str, dict[str, object]]] = {
    "as cameras write them": {},
    "with restart markers, one a row of blocks": {"restart_marker_rows": 1},
    "with optimised Huffman tables": {"optimize": True},
}


def commands(file: Path, size: Size, folder: Path) -> dict[str, list[str]]:
    """The command lines of peers that are installed here."""
    out = str(folder / "out.jpg")
    found = {}
    if shutil.which("jpegtran"):
        # It puts blocks of another JPEG in place of the picture's: no text, no blending, but no decoding, either.
        tile = folder / "tile.jpg"
        wide, high = size.width // 5 // 16 * 16, size.height // 20 // 16 * 16
        Image.new("RGB", (wide, high), "white").save(tile, quality=90, subsampling="4:2:0")
        left, top = (size.width - wide) // 16 * 16, (size.height - high) // 16 * 16
        drop = ["-drop", f"+{left}+{top}", str(tile)]
        found["jpegtran"] = ["jpegtran", *drop, "-outfile", out, str(file)]
    if program := shutil.which("convert-im6.q16"):
        points, margin = min(size.width, size.height) * 4 // 100, min(size.width, size.height) * 2 // 100
        text = ["-gravity", "southeast", "-font", FONT_FILE, "-pointsize", str(points), "-fill", "#ffffff99"]
        found["magick"] = [
            program,
            str(file),
            *text,
            "-annotate",
            f"+{margin}+{margin}",
            TEXT,
            "-quality",
            "90",
            out,
        ]
    return found


def timed(way: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def rendered(which: SandboxedRenderer, file: IO[bytes], recipe: bytes) -> float:
    """How long a rendering took for which a child was waiting."""
    which.start()
    return timed(lambda: which.render(file, SOURCE, recipe).close())


def medians(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The medians of what the ways say they took. They take turns; the first round warms up."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for lap in range(rounds + 1):
        for way, run in ways.items():
            seconds = run()
            if lap:
                times[way].append(seconds)
    return {way: median(series) for way, series in times.items()}


def usually_pixelated(file: IO[bytes]) -> None:
    """Parts in blocks as tutorials show it: crop, resize down and up, paste, save at quality 90."""
    file.seek(0)
    image = Image.open(file).convert("RGB")
    side = min(image.size) // 20
    for part in PARTS:
        left, width = (round(pixels(part[name], image.width)) for name in ("left", "width"))
        top, height = (round(pixels(part[name], image.height)) for name in ("top", "height"))
        seen = image.crop((left, top, left + width, top + height))
        small = seen.resize((max(1, width // side), max(1, height // side)), Image.Resampling.BOX)
        image.paste(small.resize(seen.size, Image.Resampling.NEAREST), (left, top))
    image.save(io.BytesIO(), "JPEG", quality=90)


def pixelated(peers: "Peers", rounds: int) -> str:
    """Measure parts in blocks, and give the section of the report."""
    step = {"op": "pixelate", "regions": PARTS}
    recipe = canonical(build({"version": 1, "chain": ["auto_orient", step], "outputs": {"main": {}}}))
    rows, spliced = [], {}
    for sides in SIZES:
        name = f"{sides[0] * sides[1] / 1e6:.0f} MP"
        with tempfile.NamedTemporaryFile() as file:
            file.write(photo(*sides))
            file.flush()
            rendering, trace = peers.splicing.explain(file, SOURCE, recipe)
            rendering.close()
            middle = medians(
                {
                    "usual": lambda file=file: timed(lambda: usually_pixelated(file)),
                    "pixels": lambda file=file: rendered(peers.pixels, file, recipe),
                    "job": lambda file=file: rendered(peers.splicing, file, recipe),
                },
                rounds,
            )
        columns = [f"{1000 * seconds:.1f}" for seconds in middle.values()]
        ratio = f"**{middle['usual'] / middle['job']:.1f} ×**"
        rows.append([name, trace.way, *columns, ratio])
        if trace.way.startswith("spliced"):
            spliced[name] = middle
    head = [
        "photo",
        "way",
        "usual Pillow, ms",
        "Safelight decoding, ms",
        "Safelight splicing, ms",
        "Safelight splicing against usual Pillow",
    ]
    return (
        f"{PIXELATED}\n\n{machine()}. Medians of {rounds} rounds, warm. Load average at the end "
        f"{os.getloadavg()[0]:.1f}.\n\n{table(head, rows)}\n\n"
        "A face of 12 % × 16 % and a plate of 15 % × 6 %, the lower one ending at 76 % of the height: so far the photo "
        "is decoded to see what the blocks are. Splicing and decoding are whole renderings in the sandbox, as above."
        f"{without_gain(spliced)}\n"
    )


def without_gain(spliced: dict[str, dict[str, float]]) -> str:
    """Where splicing takes longer than another way, said in a sentence; nothing where it never does."""
    ways = {"usual": "the usual way", "pixels": "decoding"}
    found = []
    for name, middle in spliced.items():
        if faster := [f"behind {said}" for way, said in ways.items() if middle[way] < middle["job"]]:
            found.append(f"{' and '.join(faster)} at {name}")
    if not found:
        return ""
    return f" Splicing is {', '.join(found)}: there its gain is that nothing else changes, and not time."


class Limits:
    """A process with memory as a child of the sandbox has it, for what is measured without a sandbox."""

    def __init__(self) -> None:
        os.environ["GLIBC_TUNABLES"] = MEMORY["GLIBC_TUNABLES"]  # which is read when a process starts
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._pool.submit(int).result()
        del os.environ["GLIBC_TUNABLES"]

    def seconds(self, way: str, file: str, size: Size) -> float:
        """What one way takes there."""
        return self._pool.submit(alone, way, file, size).result()

    def close(self) -> None:
        """End it."""
        self._pool.shutdown()


def alone(way: str, name: str, size: Size) -> float:
    """The seconds of the splice from bytes to bytes, of copying the file, or of reading its codes."""
    data = Path(name).read_bytes()
    if way == "copy":
        return timed(lambda: bytearray(data))
    if way == "huffman":
        return timed(lambda: huffman_decoded(io.BytesIO(data)))
    marks = lay_out(Watermark(text=TEXT), size.width, size.height)
    return timed(lambda: splice.splice(data, size, marks, io.BytesIO(), threads=Settings().render_threads))


def huffman_decoded(file: IO[bytes]) -> None:
    """One pass of libjpeg-turbo's Huffman decoding, with as little else as can be had: the picture at an eighth of its
    size takes each block's mean alone."""
    file.seek(0)
    image = Image.open(file)
    image.draft("YCbCr", (image.width // 8, image.height // 8))
    image.load()


def rows_of(
    name: str, size: Size, options: dict[str, object], peers: "Peers", rounds: int
) -> tuple[list[str], list[str]]:
    """Measure one kind of file at one size: what ways take, and how near the splice is to its limits."""
    data = photo(size.width, size.height)
    if options:
        again = io.BytesIO()
        Image.open(io.BytesIO(data)).save(again, "JPEG", quality="keep", **options)
        data = again.getvalue()
    marks = lay_out(Watermark(text=TEXT), size.width, size.height)

    with ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        file.write(data)
        file.flush()

        done = splice.splice(data, size, marks, io.BytesIO())
        assert isinstance(done, splice.Spliced), done
        ways: dict[str, Callable[[], float]] = {
            "usual": lambda: timed(lambda: usual(file)),
            "pixels": lambda: rendered(peers.pixels, file, RECIPE),
            "job": lambda: rendered(peers.splicing, file, RECIPE),
            **{
                way: partial(peers.limits.seconds, way, file.name, size)
                for way in ("splice", "copy", "huffman")
            },
        }
        if sharp := peers.sharp:
            sides = {"width": size.width, "height": size.height}
            order = {
                "kind": "watermark",
                "text": TEXT,
                "format": "jpeg",
                "quality": 90,
                "file": file.name,
            } | sides
            ways["sharp"] = lambda: sharp.do(order).seconds
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        for peer, command in commands(Path(file.name), size, Path(scratch)).items():
            ways[peer] = partial(timed, partial(subprocess.run, command, check=True))
        middle = medians(ways, rounds)
    ratio = f"**{middle['usual'] / middle['job']:.1f} ×**"
    against = f"{middle['sharp'] / middle['job']:.1f} ×" if sharp else "–"
    alone = f"{middle['usual'] / middle['splice']:.1f} ×"
    columns = [f"{1000 * middle[way]:.1f}" if way in middle else "–" for way in _WAYS]
    title = f"{size.width * size.height / 1e6:.0f} MP, {name}"
    limits = [f"{1000 * middle[way]:.1f}" for way in ("copy", "huffman", "splice")]
    share = f"**{middle['splice'] / middle['huffman']:.2f}**"
    return [title, done.way, *columns, ratio, against, alone], [
        title,
        f"{len(data) / 1e6:.1f} MB",
        *limits,
        share,
    ]


_WAYS: Final = ("usual", "sharp", "magick", "jpegtran", "pixels", "job", "splice")


class Peers(NamedTuple):
    """What is started once."""

    sharp: Answering | None
    pixels: SandboxedRenderer
    splicing: SandboxedRenderer
    limits: Limits

    def close(self) -> None:
        """End them."""
        self.limits.close()
        self.pixels.close()
        self.splicing.close()
        if self.sharp:
            self.sharp.close()


def run(peers: Peers, rounds: int) -> str:
    """Measure, and give the report."""
    measured = [
        rows_of(name, Size(*sides), options, peers, rounds)
        for sides in SIZES
        for name, options in KINDS.items()
    ]
    rows, limits = ([pair[which] for pair in measured] for which in (0, 1))
    limits_head = [
        "photo",
        "bytes",
        "copying them, ms",
        "libjpeg-turbo reading the codes, ms",
        "the splice alone, ms",
        "splice ÷ reading",
    ]
    head = [
        "photo",
        "way",
        "usual Pillow, ms",
        "sharp, ms",
        "ImageMagick, ms",
        "jpegtran -drop, ms",
        "Safelight decoding, ms",
        "Safelight splicing, ms",
        "the splice alone, ms",
        "Safelight splicing against usual Pillow",
        "against sharp",
        "the splice alone against usual Pillow",
    ]
    return (
        f"# A watermark without decoding\n\n{machine()}. Medians of {rounds} rounds, warm. Load "
        f"average at the end {os.getloadavg()[0]:.1f}: above 1, only the ratios mean something.\n\n"
        f"{table(head, rows)}\n\n"
        "The usual way is what tutorials show; sharp composes an SVG, on one thread. ImageMagick and jpegtran are "
        "commands, and their start is in their time; jpegtran puts a white tile in place of blocks, which is less than "
        "a watermark, and is the only other one here that decodes no pixels. Safelight's two columns are whole "
        "renderings in the sandbox, the result's digest included, by a worker that has a child waiting; the first two "
        "ratios are theirs. thumbor, imgproxy and imagor are not in this run. The splice alone is from bytes to bytes, "
        "in a process with large pages, as the sandbox has them. `copied`: every bit beside the mark is the old one; "
        "`grown`: and the Huffman tables got new codes; `recoded`: there was no room for them, and the rarest codes "
        "changed, but no coefficient beside the "
        f"mark.\n\n## How near the limits\n\n{table(limits_head, limits)}\n\n"
        "No splice is faster than copying the file. Without restart markers nothing says where a block begins, so all "
        "codes have to be read, by one who decodes nothing else: here libjpeg-turbo, told to give the picture at an "
        "eighth of its size, for which it reads every code and works out little. The splice reads ahead at several "
        "places, on two threads from 1 MB on. With restart markers it reads what the mark touches, and copies the "
        "rest.\n\n"
        f"{pixelated(peers, rounds)}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure splicing.")
    parser.add_argument("--sharp", type=Path, help="a folder with node_modules/sharp")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pixelate", action="store_true", help="measure parts in blocks alone")
    parser.add_argument(
        "--write", action="store_true", help=f"write {RESULTS.name}, or the part that is measured"
    )
    arguments = parser.parse_args()
    sharp = start_sharp(arguments.sharp) if arguments.sharp else None
    peers = Peers(sharp, SandboxedRenderer(Settings(splice="off")), SandboxedRenderer(Settings()), Limits())
    measure = pixelated if arguments.pixelate else run
    report = measure(peers, arguments.rounds)
    peers.close()
    print(report)
    if arguments.write:
        kept = RESULTS.read_text().partition(PIXELATED)[0] if arguments.pixelate else ""
        RESULTS.write_text(kept + report)
