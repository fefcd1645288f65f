"""What operations share when they draw: colours on any kind of picture, and work that has to mind the alpha.

Pictures are grey or RGB, with or without alpha, of 8 or 16 bits; never CMYK. Each function returns a picture of the
same kind, unless it says otherwise. Importing this loads no image library.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from safelight.parameters import rgba

if TYPE_CHECKING:
    import pyvips

LUMA: Final = (0.2126, 0.7152, 0.0722)
"""How light red, green and blue look (Rec. ITU-R BT.709), on values as they are stored, as CSS filters do it."""

Work = Callable[["pyvips.Image"], "pyvips.Image"]
Matrix = Sequence[Sequence[float]]


def full(picture: "pyvips.Image") -> float:
    """The value of full light, and of what is not transparent at all."""
    return 65535.0 if picture.format == "ushort" else 255.0


def restored(picture: "pyvips.Image", kind: "pyvips.Image") -> "pyvips.Image":
    """The result of a calculation as a picture of the same kind as `kind` again."""
    return picture.rint().cast(kind.format).copy(interpretation=kind.interpretation)


def coloured(picture: "pyvips.Image") -> "pyvips.Image":
    """The picture as RGB, also if it was grey."""
    if picture.bands >= 3:
        return picture
    bands = [picture[0]] * 3 + [picture[band] for band in range(1, picture.bands)]
    kind = "rgb16" if picture.format == "ushort" else "srgb"
    return bands[0].bandjoin(bands[1:]).copy(interpretation=kind)


def with_alpha(picture: "pyvips.Image") -> "pyvips.Image":
    """The picture with alpha, also if it had none."""
    if picture.hasalpha():
        return picture
    alpha = picture[0].linear([0], [full(picture)]).cast(picture.format)
    return picture.bandjoin(alpha).copy(interpretation=picture.interpretation)


def fit_for(picture: "pyvips.Image", colour: str) -> "pyvips.Image":
    """The picture, able to hold that colour: RGB if it is one, with alpha if it lets something through."""
    red, green, blue, alpha = rgba(colour)
    if alpha and not red == green == blue:
        picture = coloured(picture)
    return picture if alpha == 255 else with_alpha(picture)


def ink(picture: "pyvips.Image", colour: str) -> list[float]:
    """The colour as the picture's own values. The picture must be fit for it."""
    scale = full(picture) / 255
    *values, alpha = (value * scale for value in rgba(colour))
    return [*values[: picture.bands - picture.hasalpha()], *([alpha] if picture.hasalpha() else [])]


def on_premultiplied(picture: "pyvips.Image", work: Work) -> "pyvips.Image":
    """Do what mixes pixels with their neighbours, so that hidden colours under transparent ones do not bleed out."""
    if not picture.hasalpha():
        done = work(picture)
        return done if done.format == picture.format else restored(done, picture)
    return restored(work(picture.premultiply()).unpremultiply(), picture)


def on_colours(picture: "pyvips.Image", work: Work) -> "pyvips.Image":
    """Do what changes colours and leaves the alpha as it is."""
    if not picture.hasalpha():
        return restored(work(picture), picture)
    colours = restored(work(picture[:-1]), picture)
    return colours.bandjoin(picture[-1]).copy(interpretation=picture.interpretation)


def mixed(picture: "pyvips.Image", matrix: Matrix) -> "pyvips.Image":
    """The picture in RGB with each channel made of all three."""
    import pyvips

    numbers = pyvips.Image.new_from_array([list(row) for row in matrix])
    return on_colours(coloured(picture), lambda colours: colours.recomb(numbers))


def luma(colours: "pyvips.Image") -> "pyvips.Image":
    """How light each pixel of a picture without alpha is, on its own scale."""
    import pyvips

    return colours.recomb(pyvips.Image.new_from_array([list(LUMA)])) if colours.bands == 3 else colours


def sought(picture: "pyvips.Image", width: int, height: int, by: str) -> tuple[int, int]:
    """Left and top of the part of that size that is most worth to be seen, by `attention` or `entropy`."""
    if (width, height) == (picture.width, picture.height):
        return 0, 0
    seen = picture.colourspace("srgb")  # libvips judges 8 bits rightly only
    found = seen.smartcrop(width, height, interesting=by)
    return -found.xoffset, -found.yoffset
