"""The engine beside its peers, job by job: time, memory, bytes and likeness. `make bench-engine` writes the report.

    python benchmarks/engine.py [--peers FOLDER] [--rounds N] [--only WORD] [--write]

FOLDER (build/engine) gets the peers and photographs at the first run, see `peers`. Everybody is warm, pinned to one and
the same core, and takes turns; each has a new process for each job, so that the first lap tells its memory. Figures are
medians. Safelight's time is that of whole renderings in its sandbox; its memory and its files are those of the same
drawing in a process alone.
"""

import argparse
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import peers as others
from measuring import machine, median, table
from peers import Answer, Job, Peer
from PIL import Image, ImageOps
from pillow_ways import recipe
from tests.pictures import likeness
from watermark import TEXT

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer
from safelight.imaging.sample import photo
from safelight.model import Source

RESULTS: Final = Path(__file__).with_name("RESULTS-engine.md")
NAMES: Final = {
    "usual": "usual Pillow",
    "best": "best Pillow",
    "sharp": "sharp",
    "thumbor": "thumbor",
    "imagor": "imagor",
    "imgproxy": "imgproxy",
    "magick": "ImageMagick",
    "alone": "Safelight, no sandbox",
    "safelight": "**Safelight**",
}
_OWN: Final = ("safelight", "alone")
SIZES: Final = [320, 1024, 2048]
PATCH: Final = 1200
"""The sides of what is compared, in pixels: the whole of 24 MP would take longer than all else."""


class Row(NamedTuple):
    """A job, and what the design promises of it: times as fast as usual Pillow, and as sharp."""

    title: str
    original: str
    job: Job
    goals: tuple[float, float] = (1.0, 1.0)
    matched: bool = False
    """Whether peers get the quality at which they look as good as Safelight's file."""
    without: tuple[str, ...] = ()
    note: str = ""


def _marked(**more: Any) -> Job:
    return {"kind": "watermark", "text": TEXT, "format": "jpeg", "quality": 90, "splice": "off"} | more


def _sized(kind: str, quality: int, **more: Any) -> Job:
    return {"kind": "resize", "widths": SIZES, "format": kind, "quality": quality, "effort": 2} | more


ROWS: Final = (
    Row("text watermark, 2 MP, decoded (no accelerator)", "small", _marked(), (1.8, 3)),
    Row("text watermark, 12 MP, decoded (no accelerator)", "middle", _marked(), (1.8, 3)),
    Row("text watermark, 12 MP, progressive", "progressive", _marked(splice="auto"), (1.8, 3)),
    Row("text watermark, 24 MP, decoded (no accelerator)", "large", _marked(), (1.8, 3)),
    Row("three JPEG renditions of 12 MP", "middle", _sized("jpeg", 80), (8, 4)),
    Row("three WebP renditions of 12 MP, everybody at effort 2", "middle", _sized("webp", 80), (2.4, 1.6)),
    Row(
        "three AVIF renditions of 12 MP at matched quality, sharp at effort 0",
        "middle",
        _sized("avif", 60, effort=0),
        (9, 2),
        matched=True,
    ),
    Row("one JPEG of 1024 px, 24 MP", "large", _sized("jpeg", 80, widths=[1024])),
    Row("text watermark on a PNG with alpha, 2 MP", "clear", _marked(format="png")),
    Row("PNG with alpha to 640 px", "clear", _sized("png", 80, widths=[640])),
    Row("AVIF of 12 MP to JPEG", "avif", _sized("jpeg", 90, widths=[0])),
    Row(
        "animated GIF of 24 frames to half its size",
        "moving",
        _sized("gif", 80, widths=[240], animated=True),
        note="Likeness is that of the first frame.",
    ),
    Row("animated GIF of 24 frames to WebP", "moving", _sized("webp", 80, widths=[240], animated=True)),
)

# --- originals --------------------------------------------------------------------------------------------

_REAL: Final = {
    "small": "mate/nature/Storm.jpg",
    "middle": "sunset_by_Aitzol_Berasategi.jpg",
    "large": "Kleiber_by_Lukas_Baubkus.jpg",
    "clear": "mate/abstract/Gulp.png",
}
_MADE: Final = {"small": (1600, 1200), "middle": (4000, 3000), "large": (6000, 4000), "clear": (1600, 1200)}


def originals(photographs: Path, folder: Path) -> dict[str, Path]:
    """Photos of each size as baseline JPEGs of quality 90 and 4:2:0, and what is made of them."""
    found = {}
    for name, path in _REAL.items():
        real = photographs / "usr/share/backgrounds" / path
        with Image.open(real if real.exists() else io.BytesIO(photo(*_MADE[name]))) as image:
            if name == "clear":
                clear = image.convert("RGBA")
                if not real.exists():
                    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
                clear.save(folder / "clear.png")
            else:
                image.convert("RGB").save(folder / f"{name}.jpg", quality=90, subsampling="4:2:0")
        found[name] = folder / ("clear.png" if name == "clear" else f"{name}.jpg")
    with Image.open(found["middle"]) as image:
        image.save(folder / "progressive.jpg", quality=90, subsampling="4:2:0", progressive=True)
        image.save(folder / "avif.avif", quality=70, speed=9)
    with Image.open(found["small"]) as image:
        wide = image.resize((720, round(image.height * 720 / image.width)))
        frames = [wide.crop((10 * at, at, 10 * at + 480, at + 320)) for at in range(24)]
        frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=60, loop=0)
    return found | {
        "progressive": folder / "progressive.jpg",
        "avif": folder / "avif.avif",
        "moving": folder / "moving.gif",
    }


# --- Safelight in its sandbox -----------------------------------------------------------------------------


class Sandboxed:
    """Safelight's renderer as a worker uses it."""

    def __init__(self) -> None:
        self._alone = others.python("safelight")
        self._renderers: dict[str, SandboxedRenderer] = {}

    def do(self, job: Job) -> Answer:
        """Do a job; files come from the process that draws alone."""
        if job.get("out"):
            return self._alone.do(job)
        splice = job.get("splice", "auto")
        renderer = self._renderers.setdefault(splice, SandboxedRenderer(Settings(splice=splice)))
        renderer.start()  # a child waits, as it does for a worker
        source = Source(key="uploads/benchmark/photo", version="1", bytes=0, sha256="0" * 64)
        said = recipe(job)
        with Path(job["file"]).open("rb") as file:
            began = time.perf_counter()
            rendering = renderer.render(file, source, said)
            seconds = time.perf_counter() - began
        rendering.close()
        return Answer(seconds, [])

    def peak(self) -> int:
        """The most memory of the process that draws alone."""
        return self._alone.peak()

    def close(self) -> None:
        """End all of it."""
        self._alone.close()
        for renderer in self._renderers.values():
            renderer.close()


# --- measuring --------------------------------------------------------------------------------------------


class Figures(NamedTuple):
    """Of one program on one job. Times in seconds, memory and files in bytes."""

    seconds: float
    peak: int
    bytes: int
    likeness: float
    quality: int


@contextmanager
def started(folder: Path, files: Path, missing: dict[str, str]) -> Iterator[dict[str, Peer]]:
    """Everybody, in new processes."""
    makers: dict[str, Callable[[], Peer]] = {
        "usual": lambda: others.python("usual"),
        "best": lambda: others.python("best"),
        "sharp": lambda: others.sharp(folder),
        "thumbor": lambda: others.Thumbor(folder / "thumbor", files),
        "imagor": lambda: others.Imagor(folder / "imagor", files),
        "imgproxy": lambda: others.Imgproxy(folder / "imgproxy", files),
        "magick": others.Magick,
        "alone": lambda: others.python("safelight"),
        "safelight": Sandboxed,
    }
    made = {name: make() for name, make in makers.items() if NAMES[name].strip("*") not in missing}
    try:
        yield made
    finally:
        for peer in made.values():
            peer.close()


def measure(
    row: Row, programs: dict[str, Peer], original: Path, scratch: Path, rounds: int
) -> dict[str, Figures]:
    """All programs on one job, in turns. One that can not do it is left out."""
    with Image.open(original) as image:
        sides = {"width": image.width, "height": image.height}
    base = row.job | sides | {"file": str(original), "scratch": str(scratch)}
    first: dict[str, tuple[Job, Answer, int]] = {}
    for name in ("safelight", *(other for other in programs if other != "safelight")):
        if name in row.without or name not in programs:
            continue
        program = programs[name]
        out = scratch / name
        out.mkdir(exist_ok=True)
        job = base
        try:
            answer = program.do(job | {"out": str(out)})
            peak = program.peak()  # before anything else has run in it
            if row.matched and name not in _OWN:
                job = _matched(program, base, like=first["safelight"], original=original, out=out)
                answer = program.do(job | {"out": str(out)})
        except RuntimeError as error:
            print(f"  {name} can not: {error}", flush=True)
            continue
        first[name] = job, answer, peak
        if name == "safelight":
            program.do(job)
    times: dict[str, list[float]] = {name: [] for name in first}
    for _ in range(rounds):
        for name, (job, _, _) in first.items():
            times[name].append(programs[name].do(job).seconds)
    return {
        name: Figures(
            median(times[name]),
            peak,
            sum(Path(file).stat().st_size for file in answer.files),
            min(alike(file, original) for file in answer.files),
            job["quality"],
        )
        for name, (job, answer, peak) in first.items()
    }


def _matched(program: Peer, job: Job, *, like: tuple[Job, Answer, int], original: Path, out: Path) -> Job:
    """The job at the lowest quality at which its middle size looks as good as Safelight's does."""
    at = job["widths"].index(1024)
    goal = alike(like[1].files[at], original)
    low, high = 20, 95
    while low < high:
        middle = (low + high) // 2
        trial = program.do(job | {"widths": [1024], "quality": middle, "out": str(out)})
        low, high = (low, middle) if alike(trial.files[0], original) >= goal - 0.0005 else (middle + 1, high)
    return job | {"quality": low}


def alike(made: str, original: Path) -> float:
    """The structural similarity of a file with its original, which Pillow scales to its size at full precision.

    Of a patch above the middle, where no mark is.
    """
    with Image.open(made) as image, Image.open(original) as truth:
        one, other = (_on_white(ImageOps.exif_transpose(picture)) for picture in (image, truth))
        box = (0, 0, min(one.width, PATCH), min(one.height * 2 // 3, PATCH))
        if one.size != other.size:
            other = other.resize(one.size, Image.Resampling.LANCZOS)
        return likeness(one.crop(box), other.crop(box))


def _on_white(image: Image.Image) -> Image.Image:
    """What is seen of it: what transparency hides may differ."""
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


# --- the report -------------------------------------------------------------------------------------------

_LEAVES: Final = (
    "it has libjpeg decode to the size nearest above the wanted one, where Safelight leaves half of the scaling to a "
    "better kernel (`LEAVE` in `graph.py`): 0.988 to 0.995 like an exact scaling, against 0.997"
)
_MORE: Final = "in Safelight's time are its sandbox and the digests of both files, in the other's neither"
_PALETTES: Final = "Pillow finds palettes by median cut, libvips by libimagequant, which takes longer"
WHY: Final[dict[tuple[str, str], str]] = {
    ("watermark", "best"): _MORE,
    ("AVIF of", "best"): _MORE,
    ("PNG with alpha to", "sharp"): _MORE,
    ("renditions", "sharp"): _LEAVES,
    ("one JPEG", "sharp"): _LEAVES,
    ("one JPEG", "thumbor"): _LEAVES,
    ("to half its size", "usual"): _PALETTES,
    ("to half its size", "best"): "it takes colours by an octree and does not dither: see its likeness",
}
"""Why Safelight is behind a peer in a row, by words of the row's title and the peer's name."""

HEAD: Final = """# The engine beside its peers

Measured by `make bench-engine` on {machine}, in one run, everybody warm and pinned to one and the same core, in turns;
medians of {rounds} rounds. Load average at the end {load:.1f}.

{photos}
They are written anew as baseline JPEGs of quality 90 and 4:2:0 where a row says nothing else; the GIF pans over the
smallest. *Usual Pillow* is what tutorials show; *best Pillow* decodes smaller, once for all sizes, pastes a tile
instead of an overlay, and takes AVIF's speed 9 (`benchmarks/pillow_ways.py`). sharp composes an SVG; thumbor, imagor
and imgproxy (version 2) lay a PNG over it and are asked over HTTP; ImageMagick is a command whose start counts.
Safelight's time is a whole rendering in its sandbox, digests included. Memory is the most that the process had after
its first job, the runtime included. Likeness is SSIM with the original (scaled by Pillow), the worst of the files,
where no mark is.
{missing}
"""


def section(row: Row, found: dict[str, Figures]) -> tuple[str, list[str]]:
    """The report on one row, and its line in the summary."""
    own = found["safelight"]
    lines = [
        [
            NAMES[name] + (f", quality {seen.quality}" if row.matched else ""),
            f"{1000 * seen.seconds:.1f}",
            f"{seen.seconds / own.seconds:.1f} ×",
            f"{seen.peak / 1e6:.0f}",
            f"{seen.bytes / 1e3:.0f}",
            f"{seen.likeness:.4f}",
        ]
        for name, seen in found.items()
    ]
    behind = [name for name, seen in found.items() if name not in _OWN and seen.seconds < own.seconds]
    said = []
    for name in behind:
        why = next((why for (word, peer), why in WHY.items() if word in row.title and peer == name), "")
        said.append(f"Behind {NAMES[name]}: {why or 'no reason is known yet'}.")
    text = f"## {row.title[0].upper()}{row.title[1:]}\n\n" + table(
        ["program", "ms", "Safelight is faster by", "peak MB", "kB in all", "likeness"], lines
    )
    if row.note or said:
        text += "\n\n" + " ".join([*said, *([row.note] if row.note else [])])

    def against(name: str, goal: float) -> str:
        if name not in found:
            return "–"
        return f"{found[name].seconds / own.seconds:.1f} × ({goal:g})"

    memory = [f"{found[name].peak / own.peak:.1f} ×" if name in found else "–" for name in ("usual", "sharp")]
    faster = ", ".join(NAMES[name] for name in behind) or "nobody"
    goals = zip(("usual", "sharp"), row.goals, strict=True)
    return text, [row.title, *(against(name, goal) for name, goal in goals), *memory, faster]


def run(folder: Path, rounds: int, only: str) -> str:
    """Measure, and give the report."""
    missing = others.fetch(folder)
    here = machine()  # before this process is held to one core
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sections, summary = [], []
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary)
        sources = originals(folder / "photos", files)
        for row in ROWS:
            if only not in row.title:
                continue
            print(row.title, flush=True)
            scratch = files / "scratch"
            scratch.mkdir()
            with started(folder, files, missing) as programs:
                found = measure(row, programs, sources[row.original], scratch, rounds)
            shutil.rmtree(scratch)
            text, line = section(row, found)
            sections.append(text)
            summary.append(line)
            print(text, flush=True)
        sizes = {}
        for name, file in sources.items():
            with Image.open(file) as image:
                sizes[name] = f"{image.width} × {image.height}"
    photos = (
        "Photographs made by code, because none could be fetched."
        if "photographs" in missing
        else f"Photographs of Debian's wallpaper packages: {sizes['small']} (“2 MP”), {sizes['middle']} (“12 MP”), "
        f"{sizes['large']} (“24 MP”), and a drawing with transparency, {sizes['clear']}."
    )
    absent = "".join(f"\n{name} is missing: {why}." for name, why in missing.items())
    head = HEAD.format(machine=here, rounds=rounds, load=os.getloadavg()[0], photos=photos, missing=absent)
    columns = [
        *("job", "× usual Pillow (goal)", "× sharp (goal)"),
        *("memory: usual Pillow", "memory: sharp", "faster than Safelight"),
    ]
    return "\n".join([head, table(columns, summary), "", "\n\n".join(sections), ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the engine.")
    parser.add_argument("--peers", type=Path, default=Path("build/engine"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose title has this word")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    report = run(arguments.peers.absolute(), arguments.rounds, arguments.only)
    if arguments.write:
        RESULTS.write_text(report)
    else:
        print(report)
