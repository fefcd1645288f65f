"""EXIF: read from a stranger's file into plain values, and written anew from those that may stay.

Nothing is copied: no maker notes, no embedded preview, no comment, no tag that is not listed here. Text is cut to what
a person would write there. Damaged EXIF is as good as none. Tags: EXIF 2.32 (CIPA DC-008).
"""

import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from mmap import mmap
from typing import IO, Any, Final, cast

import msgspec
from PIL import AvifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from safelight.imaging import heic
from safelight.imaging.headers import ImageFormat
from safelight.model import Camera, Facts, Place

ORIENTATION: Final = 0x0112
_MAKE, _MODEL, _ARTIST, _COPYRIGHT = 0x010F, 0x0110, 0x013B, 0x8298
_EXIF, _GPS = 0x8769, 0x8825
_EXPOSURE, _APERTURE, _ISO, _FOCAL = 0x829A, 0x829D, 0x8827, 0x920A
_TAKEN, _OFFSET, _LENS = 0x9003, 0x9011, 0xA434
_LATITUDE, _LONGITUDE, _ALTITUDE = 2, 4, 6

LONGEST: Final = 200
"""The most characters of a text."""

_WHAT_A_BAD_FILE_RAISES: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""Pillow reads EXIF without a check of types, and says so in many ways. `struct.error` is a ValueError."""

_OPENERS: Final[dict[ImageFormat, Callable[[IO[bytes]], Image.Image]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}


def read(data: mmap, kind: ImageFormat) -> Facts:
    """What the file's EXIF says, place and all; what is not there or makes no sense is None."""
    try:
        if kind == "heic":
            return _of_heic(data)
        if kind not in _OPENERS:
            return Facts()
        data.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow tells of every tag that it skips
            with _OPENERS[kind](cast("IO[bytes]", data)) as image:
                return _facts(image.getexif())
    except _WHAT_A_BAD_FILE_RAISES:
        return Facts()


def build(facts: Facts, orientation: int = 1) -> bytes | None:
    """EXIF with these facts and this orientation, as files hold it; None if there is nothing to say."""
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    _put(exif, {_ARTIST: facts.artist, _COPYRIGHT: facts.copyright})
    if camera := facts.camera:
        _put(exif, {_MAKE: camera.make, _MODEL: camera.model})
        inner = {
            _LENS: camera.lens,
            _EXPOSURE: _ratio(camera.exposure_seconds),
            _APERTURE: _ratio(camera.aperture),
            _ISO: camera.iso,
            _FOCAL: _ratio(camera.focal_length),
        }
        _put(exif.get_ifd(_EXIF), inner)
    if facts.taken_at:
        taken, offset = facts.taken_at[:19].replace("-", ":").replace("T", " "), facts.taken_at[19:]
        _put(exif.get_ifd(_EXIF), {_TAKEN: taken, _OFFSET: offset or None})
    if place := facts.gps:
        _put(exif.get_ifd(_GPS), dict(_gps(place)))
    silent = orientation == 1 and facts == msgspec.structs.replace(Facts(), orientation=facts.orientation)
    return None if silent else exif.tobytes()


# --- reading ----------------------------------------------------------------------------------------------


def _facts(exif: Image.Exif) -> Facts:
    inner = exif.get_ifd(_EXIF)
    camera = Camera(
        make=_text(exif.get(_MAKE)),
        model=_text(exif.get(_MODEL)),
        lens=_text(inner.get(_LENS)),
        exposure_seconds=_number(inner.get(_EXPOSURE), 0, 86_400),
        aperture=_number(inner.get(_APERTURE), 0, 1_000),
        iso=_whole(inner.get(_ISO), 1, 10_000_000),
        focal_length=_number(inner.get(_FOCAL), 0, 100_000),
    )
    return Facts(
        orientation=_whole(exif.get(ORIENTATION), 1, 8),
        taken_at=_moment(inner.get(_TAKEN), inner.get(_OFFSET)),
        camera=camera if camera != Camera() else None,
        artist=_text(exif.get(_ARTIST)),
        copyright=_text(exif.get(_COPYRIGHT)),
        gps=_place(exif.get_ifd(_GPS)),
    )


def _of_heic(data: mmap) -> Facts:
    """Without orientation: a HEIC is turned by its own boxes, whatever its EXIF says again (ISO 23008-12, A.2.1)."""
    return msgspec.structs.replace(_facts(heic.exif(data)), orientation=None)


def _text(value: Any) -> str | None:
    """Text for people: one line, without control characters and angle brackets."""
    if isinstance(value, str):  # Pillow takes all text for Latin-1
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return None
    value = value[: 10 * LONGEST]
    text = value.decode(errors="replace")
    if "\ufffd" in text[:-1]:  # at the end, a letter may be cut through
        text = value.decode("latin-1")
    kept = "".join(c if c.isprintable() and c not in "<>\ufffd" else " " for c in text)
    return " ".join(kept.split())[:LONGEST].strip() or None


def _number(value: Any, low: float, high: float) -> float | None:
    try:
        number = float(value)
    except _WHAT_A_BAD_FILE_RAISES:
        return None
    return round(number, 6) if math.isfinite(number) and low < number <= high else None


def _whole(value: Any, low: int, high: int) -> int | None:
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) and low <= value <= high else None


def _moment(taken: Any, offset: Any) -> str | None:
    """The camera's clock in ISO 8601, with its offset from UTC if it told that."""
    match = re.fullmatch(
        r"(\d{4}):(0[1-9]|1[0-2]):(0[1-9]|[12]\d|3[01]) ([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)",
        _text(taken) or "",
    )
    if match is None:
        return None
    zone = _text(offset) or ""
    year, month, day, hour, minute, second = match.groups()
    zone = zone if re.fullmatch(r"[+-](0\d|1[0-4]):[0-5]\d", zone) else ""
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone}"


def _place(tags: dict[int, Any]) -> Place | None:
    latitude = _angle(tags.get(_LATITUDE), tags.get(_LATITUDE - 1), "NS", 90)
    longitude = _angle(tags.get(_LONGITUDE), tags.get(_LONGITUDE - 1), "EW", 180)
    if latitude is None or longitude is None:
        return None
    altitude = _number(tags.get(_ALTITUDE), 0, 100_000)
    below = tags.get(_ALTITUDE - 1) in (1, b"\1")
    if altitude is not None and below:
        altitude = -altitude
    return Place(latitude=latitude, longitude=longitude, altitude=altitude)


def _angle(parts: Any, side: Any, sides: str, most: float) -> float | None:
    """Degrees, minutes and seconds as one number; south and west are below 0."""
    word = _text(side)
    if not isinstance(parts, Sequence) or len(parts) != 3 or word is None or word[0] not in sides:
        return None
    numbers = [0.0 if part == 0 else _number(part, 0, most) for part in parts]
    if None in numbers:
        return None
    angle = sum((number or 0.0) / 60**at for at, number in enumerate(numbers))
    return round(-angle if word[0] == sides[1] else angle, 6) if angle <= most else None


# --- writing ----------------------------------------------------------------------------------------------


def _put(tags: Any, values: dict[int, Any]) -> None:
    for tag, value in values.items():
        if value is not None:  # of text, Pillow writes ASCII only
            tags[tag] = value.encode() if isinstance(value, str) else value


def _ratio(value: float | None) -> Any:
    return None if value is None else TiffImagePlugin.IFDRational(round(value * 1_000_000), 1_000_000)


def _gps(place: Place) -> Iterator[tuple[int, Any]]:
    yield 0, b"\2\3\0\0"
    for tag, value, sides in ((_LATITUDE, place.latitude, "NS"), (_LONGITUDE, place.longitude, "EW")):
        seconds = round(abs(value) * 3_600_000)
        parts = (seconds // 3_600_000, seconds // 60_000 % 60, seconds % 60_000)
        yield tag - 1, sides[value < 0]
        yield (
            tag,
            tuple(TiffImagePlugin.IFDRational(part, 1000 if at == 2 else 1) for at, part in enumerate(parts)),
        )
    if place.altitude is not None:
        yield _ALTITUDE - 1, bytes([place.altitude < 0])
        yield _ALTITUDE, _ratio(abs(place.altitude))
