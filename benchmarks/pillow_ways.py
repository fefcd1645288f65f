"""The jobs of `engine.py` in a process of their own: `python benchmarks/pillow_ways.py usual|best|safelight`.

One job a line on stdin, as JSON; the answer a line on stdout, by this process's own clock. `usual` is what tutorials
show; `best` is what someone writes who knows Pillow: decoding smaller, one decode for all sizes, a tile instead of an
overlay. `safelight` draws in this process, which is how its memory is measured: in the sandbox it is a child's.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont, ImageSequence
from watermark import FONT_FILE, TEXT, marked

Job = dict[str, Any]


def save(image: Image.Image, job: Job, *, best: bool) -> bytes:
    """Encode as the job asks."""
    options: dict[str, Any] = {} if job["format"] in ("png", "gif") else {"quality": job["quality"]}
    if job["format"] == "webp":
        options["method"] = job["effort"]
    if job["format"] == "avif" and best:
        options |= {"speed": 9, "max_threads": 1}
    if job["format"] == "png" and best:
        options["compress_level"] = 3
    if job["format"] in ("jpeg", "webp", "avif") and image.mode == "P":
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, job["format"], **options)
    return file.getvalue()


# --- the usual way ----------------------------------------------------------------------------------------


def usual(job: Job) -> list[bytes]:
    """As tutorials show it."""
    if job.get("animated"):
        return [animation(job, best=False)]
    if job["kind"] == "watermark":
        image = Image.open(job["file"])
        colours = "RGBA" if image.mode == "RGBA" else "RGB"
        return [save(marked(image).convert(colours), job, best=False)]
    made = []
    for width in job["widths"]:
        image = Image.open(job["file"])
        if width:
            image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        made.append(save(image, job, best=False))
    return made


# --- as good as Pillow gets -------------------------------------------------------------------------------


def best(job: Job) -> list[bytes]:
    """As someone does it who knows Pillow."""
    if job.get("animated"):
        return [animation(job, best=True)]
    image = Image.open(job["file"])
    if job["kind"] == "watermark":
        image.load()
        font = ImageFont.truetype(FONT_FILE, min(image.size) * 4 // 100)
        margin = min(image.size) * 2 // 100
        left, top, right, bottom = font.getbbox(TEXT)
        mask = Image.new("L", (int(right - left), int(bottom - top)))
        ImageDraw.Draw(mask).text((-left, -top), TEXT, font=font, fill=153)
        place = (image.width - mask.width - margin, image.height - mask.height - margin)
        image.paste("white", (*place, place[0] + mask.width, place[1] + mask.height), mask)
        return [save(image, job, best=True)]
    widths = sorted((width for width in job["widths"] if width), reverse=True)
    if not widths:
        return [save(image, job, best=True)]
    first = (widths[0], round(image.height * widths[0] / image.width))
    image.draft(None, (2 * first[0], 2 * first[1]))
    image = image.resize(first, Image.Resampling.LANCZOS, reducing_gap=2.0)
    made = [save(image, job, best=True)]
    for width in widths[1:]:
        image = image.resize((width, round(first[1] * width / first[0])), Image.Resampling.LANCZOS)
        made.append(save(image, job, best=True))
    return made[::-1]


def animation(job: Job, *, best: bool) -> bytes:
    """All frames, resized."""

    def frames(image: Image.Image) -> Iterator[Image.Image]:
        (width,) = job["widths"]
        for frame in ImageSequence.Iterator(image):
            size = (width, round(frame.height * width / frame.width))
            made = frame.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            yield made.quantize(method=Image.Quantize.FASTOCTREE) if best and job["format"] == "gif" else made

    options: dict[str, Any] = {"quality": job["quality"], "method": job["effort"]}
    with Image.open(job["file"]) as image:
        first, *rest = frames(image)
        times = {"duration": image.info.get("duration", 100), "loop": 0}
        file = io.BytesIO()
        more = options if job["format"] == "webp" else {}
        first.save(file, job["format"], save_all=True, append_images=rest, **times, **more)
    return file.getvalue()


# --- Safelight, in process --------------------------------------------------------------------------------


def recipe(job: Job) -> bytes:
    """The job as a recipe."""
    from safelight.recipes import build, canonical

    output: dict[str, Any] = {"format": job["format"]}
    if job["format"] in ("jpeg", "webp", "avif"):
        output["quality"] = job["quality"]
    if job["kind"] == "watermark":
        step = {"op": "watermark", "text": TEXT, "use": "upright"}
        steps: dict[str, Any] = {"upright": {"op": "auto_orient"}, "marked": step}
        if job["format"] == "jpeg" and not job.get("convert"):
            output = {"format": "jpeg"}  # by the photo's own tables
        return canonical(build({"version": 1, "steps": steps, "outputs": {"o": output | {"use": "marked"}}}))
    steps = {f"w{width}": {"op": "resize", "width": width} for width in job["widths"] if width}
    outputs = {f"o{width:05}": output | ({"use": f"w{width}"} if width else {}) for width in job["widths"]}
    return canonical(build({"version": 1, "steps": steps, "outputs": outputs}))


def safelight(job: Job) -> list[bytes]:
    """By Safelight's renderer, without its sandbox."""
    from safelight.config import Settings
    from safelight.imaging import render_in_process
    from safelight.model import Source

    with Path(job["file"]).open("rb") as file:
        source = Source(key="uploads/benchmark/photo", version="1", bytes=0, sha256="0" * 64)
        rendering = render_in_process(file, source, recipe(job), Settings(splice=job.get("splice", "auto")))
        made = [output.file.read() for output in rendering.outputs]
        rendering.close()
    return made


WAYS: Final[dict[str, Callable[[Job], list[bytes]]]] = {"usual": usual, "best": best, "safelight": safelight}


def main(name: str) -> None:
    """Do what is asked until stdin ends."""
    way = WAYS[name]
    for line in sys.stdin:
        job = json.loads(line)
        began = time.perf_counter()
        made = way(job)
        seconds = time.perf_counter() - began
        files = []
        for index, data in enumerate(made if job.get("out") else []):
            file = Path(job["out"]) / f"{name}-{index}.{job['format']}"
            file.write_bytes(data)
            files.append(str(file))
        print(json.dumps({"seconds": seconds, "files": files}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
