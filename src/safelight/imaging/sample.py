"""A photograph made by code, for the demo, the tests and the benchmarks: the same bytes for the same arguments.

Mountains at dusk. What matters for measuring is the entropy: detail at every scale, smooth sky and sensor noise, so
that at quality 90 and 4:2:0 it takes 0.3 to 0.45 bytes a pixel, as photographs do.
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyvips

_RIDGES: Final = 4


def photo(width: int, height: int, seed: int = 0, quality: int = 90) -> bytes:
    """A JPEG of `width` × `height` pixels in sRGB, 4:2:0, without metadata. About 0.15 s a megapixel on one core.

    Renders in this process: see `renderer.render_in_process` on forking afterwards.
    """
    image: Any = scene(width, height, seed)
    data: bytes = image.jpegsave_buffer(Q=quality, subsample_mode="on", keep="none")
    return data


def scene(width: int, height: int, seed: int = 0) -> "pyvips.Image":
    """The same as pixels: 8 bits, three bands."""
    import pyvips

    def noise(scale: int, number: int) -> Any:
        """Standard normal noise with details of `scale` pixels. The finest is a tile repeated: nobody will see."""
        columns, rows = -(-width // scale) + 2, -(-height // scale) + 2
        side = 509 if scale == 1 else max(columns, rows)
        size = (min(columns, side), min(rows, side))
        tile = pyvips.Image.gaussnoise(*size, mean=0, sigma=1, seed=1000 * seed + number).copy_memory()
        if scale == 1:
            tile = tile.replicate(-(-width // size[0]), -(-height // size[1]))
        else:
            tile = tile.resize(scale, kernel="linear")
        return tile.crop(0, 0, width, height)

    unit = max(2, min(width, height) // 1000 * 2)
    place = pyvips.Image.xyz(width, height)
    across, down = place[0] / max(width, height), place[1] / height
    texture = (
        noise(unit * 32, 1)
        + noise(unit * 8, 2) * 0.7
        + noise(unit * 2, 3) * 0.5
        + noise(unit, 4) * 0.5
        + noise(1, 8) * 0.6
    )

    glow = ((across - 0.62) ** 2 * 9 + (down - 0.36) ** 2 * 5) * -1
    image = _tint(down, (88, 112, 168), (250, 178, 128)) + _tint(glow.exp(), (0, 0, 0), (70, 58, 22))
    for ridge in range(_RIDGES):
        line = pyvips.Image.black(width, 1)
        for octave in range(1, 9):
            points = 2**octave + 2
            peaks = pyvips.Image.gaussnoise(
                points, 1, mean=0, sigma=1, seed=1000 * seed + 20 * ridge + octave
            )
            scale = max(width, height) / 2**octave
            line = (
                line
                + peaks.resize(scale, vscale=1, kernel="linear").crop(0, 0, width, 1) * 0.12 / 1.8**octave
            )
        below = down > (line + 0.42 + 0.14 * ridge).embed(0, 0, width, height, extend="copy")
        near = (ridge + 1) / _RIDGES
        colour = [136 - 92 * near, 128 - 62 * near, 150 - 108 * near]
        rock = texture.bandjoin([texture, texture]) * [9 + 13 * near, 9 + 14 * near, 8 + 8 * near] + colour
        image = below.ifthenelse(rock, image)
    grain = noise(1, 5)
    image = image + grain.bandjoin([grain, grain]) * [5, 4.5, 5.5]
    return image.cast("uchar").copy(interpretation="srgb")


def _tint(amount: Any, low: tuple[int, int, int], high: tuple[int, int, int]) -> Any:
    """A colour between two, by an image of 0 to 1."""
    bands = [amount * (top - bottom) + bottom for bottom, top in zip(low, high, strict=True)]
    return bands[0].bandjoin(bands[1:])
