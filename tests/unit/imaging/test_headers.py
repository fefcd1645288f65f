"""What a container of HEIF says of itself, against files that libavif and libheif wrote."""

import io
from struct import pack

import pillow_heif
import pytest
from PIL import Image
from tests.pictures import upright

from safelight.config import Settings
from safelight.errors import TooMuchMetadata
from safelight.imaging import headers


def written(kind: headers.ImageFormat, **told: bytes) -> bytes:
    """A small picture with this told beside it."""
    file = io.BytesIO()
    if kind == "heic":
        pillow_heif.from_pillow(upright()).save(file, quality=50, **told)
    else:
        upright().save(file, "AVIF", speed=10, max_threads=1, **told)
    return file.getvalue()


def exif(size: int) -> bytes:
    """EXIF of about so many bytes."""
    made = Image.Exif()
    made[0x010E] = "x" * size
    return made.tobytes()


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_exif_and_xmp_count_as_metadata(kind: headers.ImageFormat) -> None:
    """As much as they take in the file, and a handful of bytes around them."""
    bare = headers.read(written(kind), [kind]).metadata
    with_exif = headers.read(written(kind, exif=exif(10_000)), [kind]).metadata
    with_both = headers.read(written(kind, exif=exif(10_000), xmp=b"<x>" + bytes(5_000)), [kind]).metadata
    assert bare < 100
    assert 10_000 <= with_exif - bare < 10_200
    assert 5_000 <= with_both - with_exif < 5_200


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_too_much_of_it_is_refused(kind: headers.ImageFormat) -> None:
    """Before a decoder sees it."""
    settings = Settings(formats=(kind,), max_metadata=9_000)
    headers.check(headers.read(written(kind, exif=exif(8_000)), [kind]), settings)
    with pytest.raises(TooMuchMetadata):
        headers.check(headers.read(written(kind, exif=exif(10_000)), [kind]), settings)


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_it_counts_under_whatever_name(kind: headers.ImageFormat) -> None:
    """Decoders read an item of a kind that nobody knows, too, and entries with sizes of 64 bits."""
    data = written(kind, exif=exif(10_000))
    bare = headers.read(written(kind), [kind]).metadata
    renamed = data.replace(b"Exif", b"abcd", 1)
    assert headers.read(renamed, [kind]).metadata - bare >= 10_000
    at = data.index(b"infe") - 4
    long = data[:at] + pack(">I4sQ", 1, b"infe", 8 + int.from_bytes(data[at : at + 4])) + data[at + 8 :]
    for around in (b"meta", b"iinf"):
        at = data.index(around) - 4
        long = long[:at] + pack(">I", 8 + int.from_bytes(long[at : at + 4])) + long[at + 4 :]
    assert headers.read(long, [kind]).metadata == headers.read(data, [kind]).metadata


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_an_item_is_no_picture_because_a_second_entry_says_so(kind: headers.ImageFormat) -> None:
    """Which of the two a decoder believes, nobody knows."""
    data = written(kind, exif=exif(10_000))
    at = data.index(b"Exif") - 16
    entry = data[at : at + int.from_bytes(data[at : at + 4])]
    twice = data[: at + len(entry)] + entry.replace(b"Exif", b"av01") + data[at + len(entry) :]
    for around in (b"meta", b"iinf"):
        at = data.index(around) - 4
        length = len(entry) + int.from_bytes(twice[at : at + 4])
        twice = twice[:at] + pack(">I", length) + twice[at + 4 :]
    assert headers.read(twice, [kind]).metadata == headers.read(data, [kind]).metadata


def test_a_table_of_places_costs_what_it_weighs() -> None:
    """However many extents of nothing it claims."""
    table = pack(">I4s", 22, b"iloc") + bytes(6) + pack(">HHHH", 1, 1, 0, 0xFFFF)
    assert headers.read(written("avif") + table, ["avif"]).metadata < 100
    with pytest.raises(TooMuchMetadata):
        headers.read(written("avif") + table * 2, ["avif"])
