"""Every operation, and every fit, on one input of each kind: what `test_matrix` compares.

Each kind is drawn by a single recipe with one output for each case; its stored result is one sheet.
"""

import io
from collections.abc import Callable
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFilter, ImageOps
from tests.pictures import encoded, jpeg, upright, vips

from safelight.imaging import profiles
from safelight.recipes import build, canonical

WIDTH, HEIGHT = 48, 36
CELL: Final = 64
"""Results lie in a sheet, one in each cell of so many pixels; none is larger."""

ACROSS: Final = 8
BOX: Final = (32, 32)
AREAS: Final = [{"left": 8, "top": 6, "width": 16, "height": 12}]

OPERATIONS: Final[dict[str, dict[str, Any]]] = {
    "auto_orient": {},
    "blur": {"sigma": 1.5},
    "border": {"width": 3, "colour": "#ff8800"},
    "contrast": {"amount": 1.4},
    "crop": {"left": 8, "top": 4, "width": 24, "height": 20},
    "flatten": {"background": "#3366cc"},
    "flip": {"direction": "horizontal"},
    "gamma": {"exponent": 1.8},
    "grayscale": {},
    "modulate": {"brightness": 1.1, "saturation": 0.5, "hue": 40},
    "normalize": {},
    "pad": {"space": 4, "background": "#3366cc"},
    "pixelate": {"block": 6},
    "redact": {"regions": AREAS},
    "rotate": {"angle": 90},
    "round_corners": {"radius": 10},
    "sepia": {},
    "sharpen": {},
    "tint": {"colour": "#3366cc"},
    "trim": {"threshold": 40},
    "watermark": {"text": "©", "size": 12, "margin": 2},
}
"""Each with parameters that show what it does; `resize` is there once for each fit."""

FITS: Final = ("inside", "cover", "contain", "fill", "outside")
CASES: Final[dict[str, dict[str, Any]]] = {
    name: {"op": name} | parameters for name, parameters in OPERATIONS.items()
} | {
    f"resize_{fit}": {"op": "resize", "width": BOX[0], "height": BOX[1], "fit": fit, "background": "#3366cc"}
    for fit in FITS
}


def picture(seed: int = 0) -> Image.Image:
    """The scene that all of them show."""
    return upright(seed, WIDTH, HEIGHT)


def glass() -> bytes:
    """A PNG with all degrees of transparency, and colours under what is clear."""
    image = picture(2)
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return encoded(image, "PNG")


def deep() -> bytes:
    """A PNG of 16 bits a sample."""
    pixels = (vips(picture(4)) * 257).cast("ushort").copy(interpretation="rgb16")
    return bytes(pixels.pngsave_buffer())


def moving() -> bytes:
    """A GIF of three scenes."""
    first, *rest = [picture(seed) for seed in range(3)]
    return encoded(first, "GIF", save_all=True, append_images=rest, duration=60, loop=0)


INPUTS: Final[dict[str, Callable[[], bytes]]] = {
    "oriented": lambda: jpeg(picture(), orientation=6),
    "p3": lambda: jpeg(picture(1), icc_profile=profiles.profile_of("display-p3")),
    "cmyk": lambda: bytes(vips(picture(1)).icc_transform("cmyk").jpegsave_buffer(Q=97)),
    "deep": deep,
    "palette": lambda: encoded(picture(3).quantize(64), "PNG"),
    "glass": glass,
    "gif": moving,
}


def recipe(output: dict[str, Any]) -> bytes:
    """All cases at once, upright, each as such an output."""
    steps: dict[str, Any] = {"up": {"op": "auto_orient"}}
    steps |= {name: step | {"use": "up"} for name, step in CASES.items()}
    outputs = {name: output | {"use": name} for name in CASES}
    return canonical(build({"version": 1, "steps": steps, "outputs": outputs}))


def sheet(made: dict[str, Image.Image]) -> Image.Image:
    """All results, side by side."""
    rows = -(-len(CASES) // ACROSS)
    paper = Image.new("RGBA", (ACROSS * CELL, rows * CELL))
    for index, name in enumerate(CASES):
        paper.paste(made[name], (index % ACROSS * CELL, index // ACROSS * CELL))
    return paper


def cell(paper: Image.Image, name: str, size: tuple[int, int]) -> Image.Image:
    """One result out of a sheet."""
    index = list(CASES).index(name)
    left, top = index % ACROSS * CELL, index // ACROSS * CELL
    return paper.crop((left, top, left + size[0], top + size[1]))


# --- the same by Pillow -----------------------------------------------------------------------------------


def decoded(data: bytes) -> Image.Image:
    """The first frame as Pillow reads it, upright, with alpha."""
    opened = Image.open(io.BytesIO(data))
    return ImageOps.exif_transpose(opened if opened.mode == "RGBA" else opened.convert("RGBA"))


def premultiplied(work: Callable[[Image.Image], Image.Image]) -> Callable[[Image.Image], Image.Image]:
    """Do it to what is seen."""
    return lambda image: work(image.convert("RGBa")).convert("RGBA")


def _on_colours(image: Image.Image, work: Callable[[Image.Image], Image.Image]) -> Image.Image:
    made = work(image.convert("RGB")).convert("RGBA")
    made.putalpha(image.getchannel("A"))
    return made


def _grey(image: Image.Image) -> Image.Image:
    matrix = (0.2126, 0.7152, 0.0722, 0)
    return image.convert("L", matrix)


def _redacted(image: Image.Image) -> Image.Image:
    made = image.copy()
    ImageDraw.Draw(made).rectangle((8, 6, 23, 17), fill=(0, 0, 0, 255))
    return made


def _padded(image: Image.Image, space: int, colour: str) -> Image.Image:
    paper = Image.new("RGBA", (image.width + 2 * space, image.height + 2 * space), colour)
    paper.paste(image, (space, space))
    return paper


def _flat(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "#3366cc"), image)


def _contained(image: Image.Image) -> Image.Image:
    small = premultiplied(lambda it: ImageOps.contain(it, BOX, Image.Resampling.LANCZOS))(image)
    paper = Image.new("RGBA", BOX, "#3366cc")
    paper.paste(small, ((BOX[0] - small.width) // 2, (BOX[1] - small.height) // 2))
    return paper


LANCZOS: Final = Image.Resampling.LANCZOS
BY_PILLOW: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    "auto_orient": lambda image: image,
    "blur": premultiplied(lambda image: image.filter(ImageFilter.GaussianBlur(1.5))),
    "border": lambda image: _padded(image, 3, "#ff8800"),
    "crop": lambda image: image.crop((8, 4, 32, 24)),
    "flatten": _flat,
    "flip": ImageOps.mirror,
    "gamma": lambda image: _on_colours(
        image, lambda it: it.point([round(255 * (v / 255) ** (1 / 1.8)) for v in range(256)] * 3)
    ),
    "grayscale": lambda image: _on_colours(image, _grey),
    "pad": lambda image: _padded(image, 4, "#3366cc"),
    "redact": _redacted,
    "rotate": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "resize_inside": premultiplied(lambda image: ImageOps.contain(image, BOX, LANCZOS)),
    "resize_cover": premultiplied(lambda image: image.resize((43, 32), LANCZOS).crop((5, 0, 37, 32))),
    "resize_contain": _contained,
    "resize_fill": premultiplied(lambda image: image.resize(BOX, LANCZOS)),
    "resize_outside": premultiplied(lambda image: ImageOps.cover(image, BOX, LANCZOS)),
}
"""The operations that Pillow has, too, or that are a line of it."""
