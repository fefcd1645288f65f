"""Photos to upload: landscapes that are drawn, so that a person who looks at the screenshots sees pictures."""

import io
from random import Random

from PIL import Image, ImageDraw, ImageFilter

SKIES = [
    ((24, 32, 74), (244, 140, 96), (255, 214, 150)),
    ((70, 130, 190), (180, 215, 235), (250, 240, 220)),
    ((40, 20, 60), (190, 60, 90), (255, 170, 110)),
    ((15, 40, 60), (60, 130, 140), (230, 230, 200)),
    ((90, 110, 130), (190, 195, 200), (235, 225, 215)),
]

Colour = tuple[int, int, int]


def landscape(seed: int, size: tuple[int, int] = (1200, 800)) -> Image.Image:
    """Hills under a sky, different for each seed and the same every time."""
    random = Random(seed)
    width, height = size
    top, middle, low = SKIES[seed % len(SKIES)]
    strip = Image.new("RGB", (1, 3))
    for row, colour in enumerate((top, middle, low)):
        strip.putpixel((0, row), colour)
    picture = strip.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    x, y = random.randint(width // 5, width * 4 // 5), random.randint(height // 4, height // 2)
    radius = height // random.randint(9, 16)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 244, 222))
    picture = picture.filter(ImageFilter.GaussianBlur(height / 200))
    layers = 5
    for layer in range(layers):
        near = (layer + 1) / layers
        colour = mixed(middle, (14, 18, 26), 0.25 + 0.7 * near)
        ridge = _ridge(
            random, width, height, height * (0.42 + 0.13 * layer), height * 0.09 * (1.3 - near / 2)
        )
        ImageDraw.Draw(picture).polygon([(0, height), *ridge, (width, height)], fill=colour)
    return picture


def _ridge(random: Random, width: int, height: int, level: float, swing: float) -> list[tuple[float, float]]:
    points = 24
    heights = [level + random.uniform(-swing, swing) for _ in range(points + 1)]
    smooth = [
        sum(heights[max(0, i - 1) : i + 2]) / len(heights[max(0, i - 1) : i + 2]) for i in range(points + 1)
    ]
    return [(width * i / points, min(height - 1.0, value)) for i, value in enumerate(smooth)]


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """A colour between two."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return (red, green, blue)


def photo(seed: int, size: tuple[int, int] = (1200, 800), kind: str = "JPEG") -> bytes:
    """The same as a file."""
    file = io.BytesIO()
    landscape(seed, size).save(file, kind, quality=88)
    return file.getvalue()
