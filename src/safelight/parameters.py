"""What operations are told: lengths, colours, places. Types that check themselves, and what they come to in pixels."""

import math
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

LONGEST: Final = 10_000
"""The most pixels that a parameter can ask for."""

Percent = Annotated[
    str, Meta(pattern=r"^(100|[0-9]{1,2}(\.[0-9]{1,3})?)%$", title="a percentage such as '4%'")
]
Pixels = Annotated[int, Meta(ge=1, le=LONGEST, extra={"unit": "px"})]
Space = Annotated[int, Meta(ge=0, le=LONGEST, extra={"unit": "px"})]
Length = Pixels | Percent
"""A length of at least a pixel; the parameter says what its percentages are of."""
Room = Space | Percent
"""A length that may be nothing."""

Degrees = Annotated[float, Meta(ge=-360, le=360, extra={"unit": "degrees"})]
Part = Annotated[float, Meta(ge=0, le=1)]
"""From nothing to all of it."""

NAMED_COLOURS: Final = {
    "transparent": "00000000",
    "black": "000000",
    "silver": "c0c0c0",
    "gray": "808080",
    "white": "ffffff",
    "maroon": "800000",
    "red": "ff0000",
    "purple": "800080",
    "fuchsia": "ff00ff",
    "green": "008000",
    "lime": "00ff00",
    "olive": "808000",
    "yellow": "ffff00",
    "navy": "000080",
    "blue": "0000ff",
    "teal": "008080",
    "aqua": "00ffff",
    "orange": "ffa500",
}
"""The colours that have had a name since CSS 2.1, and `transparent`."""

Colour = Annotated[
    str,
    Meta(
        pattern=rf"^(#[0-9a-fA-F]{{6}}([0-9a-fA-F]{{2}})?|{'|'.join(NAMED_COLOURS)})$",
        title="a colour such as '#ffffff'",
    ),
]
"""A colour in sRGB as CSS writes it: #rrggbb, #rrggbbaa with opacity, or a name."""

Ink = Annotated[
    str,
    Meta(
        pattern=rf"^(#[0-9a-fA-F]{{6}}|{'|'.join(name for name in NAMED_COLOURS if name != 'transparent')})$",
        title="an opaque colour such as '#ffffff'",
    ),
]
"""A colour that lets nothing through: #rrggbb, or a name."""

Gravity = Literal[
    "north_west", "north", "north_east", "west", "center", "east", "south_west", "south", "south_east"
]
Interest = Literal[
    "north_west", "north", "north_east", "west", "center", "east", "south_west", "south", "south_east",
    "attention", "entropy",
]  # fmt: skip
"""A gravity, or what decides by the picture: colour and contrast that draw the eye, or the most detail."""

SOUGHT: Final = frozenset({"attention", "entropy"})
"""What only the pixels can tell."""


class Area(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rectangle of a picture: pixels, or percentages of its width and height."""

    left: Room
    top: Room
    width: Length
    height: Length

    def within(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Left, top, width and height in a picture of this size, rounded outwards and clipped; None if outside."""
        left, top = pixels(self.left, width), pixels(self.top, height)
        right = min(width, math.ceil(left + pixels(self.width, width)))
        bottom = min(height, math.ceil(top + pixels(self.height, height)))
        left, top = math.floor(left), math.floor(top)
        return (left, top, right - left, bottom - top) if left < right and top < bottom else None


def pixels(length: int | str, whole: int) -> float:
    """A length in pixels, where percentages are of `whole`."""
    return float(length[:-1]) / 100 * whole if isinstance(length, str) else float(length)


def rgba(colour: str) -> tuple[int, int, int, int]:
    """Red, green, blue and opacity, 0 to 255 each."""
    digits = NAMED_COLOURS.get(colour, colour.removeprefix("#"))
    red, green, blue, alpha = bytes.fromhex(digits if len(digits) == 8 else digits + "ff")
    return red, green, blue, alpha


def place(gravity: str, whole: tuple[int, int], part: tuple[int, int], margin: int = 0) -> tuple[int, int]:
    """The left and top of a part that hangs on a gravity, `margin` pixels from the edge."""
    left = {"west": margin, "east": whole[0] - part[0] - margin}
    top = {"north": margin, "south": whole[1] - part[1] - margin}
    vertical, _, horizontal = gravity.rpartition("_")
    return (
        left.get(horizontal, (whole[0] - part[0]) // 2),
        top.get(vertical or horizontal, (whole[1] - part[1]) // 2),
    )
