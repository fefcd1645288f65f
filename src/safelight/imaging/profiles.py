"""Colour profiles: which well-known space a stranger's profile describes, and profiles of our own for those.

A profile is a program of up to megabytes, with room for anything. So none goes out as it came: it is read, compared
with the spaces that cameras and editors use, and where it is one of them the output gets a profile written here, the
same bytes every time. sRGB needs none: it is what every program takes for granted. Pictures in any other space (tables
of printers and scanners, ink, displays that somebody measured) are converted to sRGB by whoever decodes them.

Formats: ICC.1:2022 (v4). Colorants are adapted to D50, as profiles have them.
"""

import struct
from functools import cache
from typing import Final, Literal, NamedTuple

Space = Literal["srgb", "display-p3", "adobe-rgb", "rec2020", "prophoto"]
Point = tuple[float, float, float]

MAX_TAGS: Final = 100
CLOSE: Final = 0.003
"""How far colorants may be off: profiles round them, and adapt the white each in their own way."""
ALIKE: Final = 0.01
"""How far tone curves may be off."""


class Curve(NamedTuple):
    """Light from a value: (a·x + b)^g from d on, c·x below (ICC.1:2022, 10.18, function 3)."""

    g: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0

    def __call__(self, x: float) -> float:
        """The light of a value, both from 0 to 1; whatever the numbers are, which may be anybody's."""
        if x < self.d:
            return self.c * x
        try:
            return float(max(self.a * x + self.b, 0.0) ** self.g)
        except (OverflowError, ZeroDivisionError):
            return float("inf")


class Colours(NamedTuple):
    """A space: what its red, green and blue are (XYZ at D50), its tone curve, and its name."""

    red: Point
    green: Point
    blue: Point
    curve: Curve
    name: str


_SRGB: Final = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709: Final = Curve(1 / 0.45, 1 / 1.0993, 0.0993 / 1.0993, 1 / 4.5, 0.0812)

SPACES: Final[dict[Space, Colours]] = {
    "srgb": Colours(
        (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141), _SRGB, "sRGB"
    ),
    "display-p3": Colours(
        (0.51512, 0.2412, -0.00105),
        (0.29198, 0.69225, 0.04189),
        (0.1571, 0.06657, 0.78407),
        _SRGB,
        "Display P3",
    ),
    "adobe-rgb": Colours(
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
        Curve(563 / 256),
        "Compatible with Adobe RGB (1998)",
    ),
    "rec2020": Colours(
        (0.67346, 0.27904, -0.00193),
        (0.16569, 0.67536, 0.02998),
        (0.12505, 0.0456, 0.79686),
        _BT709,
        "Rec. 2020",
    ),
    "prophoto": Colours(
        (0.79771, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.8249), Curve(1.8), "ROMM RGB"
    ),
}

_D50: Final = (0.9642, 1.0, 0.8249)
_FROM_D65: Final = (
    1.04788, 0.02292, -0.0502, 0.02959, 0.99048, -0.01706, -0.00923, 0.01508, 0.75168,
)  # fmt: skip
"""Bradford's adaptation of white from D65, in which all of these but ROMM RGB are defined."""


def space_of(icc: bytes) -> Space | None:
    """The space that a profile describes; None if it is none of ours, or no profile at all."""
    try:
        return _recognised(icc)
    except (struct.error, IndexError, ValueError, OverflowError, ZeroDivisionError):
        return None


def outgoing(icc: bytes | None, *, keep: bool) -> tuple[bool, bytes | None]:
    """Whether pixels in the colours of this profile can go out as they are, and the profile that goes along then.

    Otherwise they have to be converted to sRGB. `keep` is whether any profile may go along.
    """
    space = "srgb" if icc is None else space_of(icc)
    if space is None or (space != "srgb" and not keep):
        return False, None
    return True, profile_of(space)


@cache
def profile_of(space: Space) -> bytes | None:
    """Our profile of the space, the same bytes every time; None for sRGB."""
    return None if space == "srgb" else _written(SPACES[space], adapted=space != "prophoto")


# --- reading ----------------------------------------------------------------------------------------------


def _recognised(icc: bytes) -> Space | None:
    if icc[12:24] != b"mntrRGB XYZ " or icc[36:40] != b"acsp":
        return None
    tags = _tags(icc)
    if any(kind.startswith((b"A2B", b"D2B")) for kind in tags):
        return None  # tables win over colorants, and may say anything
    points = tuple(_point(tags[kind]) for kind in (b"rXYZ", b"gXYZ", b"bXYZ") if kind in tags)
    curves = [tags[kind] for kind in (b"rTRC", b"gTRC", b"bTRC") if kind in tags]
    if len(points) < 3 or len(curves) < 3:
        return None
    for space, colours in SPACES.items():
        near = all(
            abs(one - other) <= CLOSE
            for point, own in zip(points, colours[:3], strict=True)
            for one, other in zip(point, own, strict=True)
        )
        if near and all(_follows(curve, colours.curve) for curve in curves):
            return space
    return None


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    tags = {}
    for at in range(min(count, MAX_TAGS)):
        kind, start, length = struct.unpack_from(">4sII", icc, 132 + 12 * at)
        tags[kind] = icc[start : start + length]
    return tags


def _point(tag: bytes) -> Point:
    x, y, z = struct.unpack_from(">iii", tag, 8)
    return x / 65536, y / 65536, z / 65536


def _follows(tag: bytes, curve: Curve) -> bool:
    return all(abs(_light(tag, x) - curve(x)) <= ALIKE for x in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0))


def _light(tag: bytes, x: float) -> float:
    """What a tone curve of a profile gives for a value (10.6 and 10.18)."""
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        numbers = [one / 65536 for one in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
        if kind == 0:
            return Curve(numbers[0])(x)
        if kind == 3:
            return Curve(*numbers)(x)
        raise ValueError(f"no space of ours is written with function {kind}")
    if tag[:4] != b"curv":
        raise ValueError("no tone curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return x
    if count == 1:
        return Curve(struct.unpack_from(">H", tag, 12)[0] / 256)(x)
    at = min(int(x * (count - 1)), count - 2)
    low, high = struct.unpack_from(">HH", tag, 12 + 2 * at)
    return float((low + (high - low) * (x * (count - 1) - at)) / 65535)


# --- writing ----------------------------------------------------------------------------------------------


def _written(colours: Colours, *, adapted: bool) -> bytes:
    text = _text(colours.name)
    curve = b"para\0\0\0\0\0\3\0\0" + _numbers(*colours.curve)
    tags = {
        b"desc": text,
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": _xyz(_D50),
        b"rXYZ": _xyz(colours.red),
        b"gXYZ": _xyz(colours.green),
        b"bXYZ": _xyz(colours.blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    if adapted:
        tags[b"chad"] = b"sf32\0\0\0\0" + _numbers(*_FROM_D65)
    table, body, start, places = b"", b"", 132 + 12 * len(tags), dict[bytes, int]()
    for kind, tag in tags.items():
        if tag not in places:
            places[tag] = start + len(body)
            body += tag + b"\0" * (-len(tag) % 4)
        table += struct.pack(">4sII", kind, places[tag], len(tag))
    head = struct.pack(
        ">I4sI4s4s4s12s4s4sI4s4sQI12s4s44x",
        start + len(body),
        b"\0\0\0\0",
        0x04400000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0),
        b"acsp",
        b"\0\0\0\0",
        0,
        b"\0\0\0\0",
        b"\0\0\0\0",
        0,
        0,
        _numbers(*_D50),
        b"\0\0\0\0",
    )
    return head + struct.pack(">I", len(tags)) + table + body


def _numbers(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(point: Point) -> bytes:
    return b"XYZ \0\0\0\0" + _numbers(*point)


def _text(text: str) -> bytes:
    encoded = b"".join(b"\0" + text[at : at + 1].encode() for at in range(len(text)))  # UTF-16 of ASCII
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded
