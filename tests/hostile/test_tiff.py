"""Hostile TIFFs against a server that lets TIFF in: each costs its own job, and honest ones come out."""

from struct import pack

import pytest
from PIL import Image
from tests.hostile.conftest import EVERY, Besieged
from tests.hostile.parts import ifd, tiff
from tests.hostile.verdicts import BROKEN, DONE, File
from tests.journeys.serving import decoded
from tests.pictures import encoded, likeness, upright

FORMATS = EVERY
pytestmark = pytest.mark.timeout(300)


def grey(width: int, height: int, *, rows: int = 0, compression: int = 1, pixels: bytes = bytes(64)) -> bytes:
    """A grey TIFF that tells of this size, in one strip that holds what is given."""
    at = 8 + 2 + 12 * 8 + 4
    entries = (
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, 1, at), (278, 4, 1, rows or height), (279, 4, 1, len(pixels)),
    )  # fmt: skip
    return tiff(ifd(*entries)) + pixels


def pages(count: int) -> bytes:
    """A TIFF of so many pages of one pixel."""
    dots = [Image.new("L", (1, 1)) for _ in range(count)]
    return encoded(dots[0], "TIFF", save_all=True, append_images=dots[1:])


HONEST = encoded(upright(1, 640, 480), "TIFF", compression="tiff_lzw")

FILES = {
    "honest": File(lambda: HONEST, DONE),
    "2³² × 2³²": File(lambda: grey(2**32 - 1, 2**32 - 1), "too_many_pixels"),
    "12000 × 12000": File(lambda: grey(12_000, 12_000), "too_many_pixels"),
    "8000 × 8000 without pixels": File(lambda: grey(8_000, 8_000), *BROKEN),
    "8000 × 8000 of broken deflate": File(lambda: grey(8_000, 8_000, compression=8), *BROKEN),
    "8000 × 8000 of broken fax": File(lambda: grey(8_000, 8_000, compression=4), *BROKEN, DONE),
    "101 pages": File(lambda: pages(101), "too_many_frames"),
    "100 pages": File(lambda: pages(100), DONE),
    "pages for ever": File(lambda: tiff(ifd((256, 4, 1, 16), (257, 4, 1, 16), then=8)), "unprocessable"),
    "half of one": File(lambda: HONEST[: len(HONEST) // 2], *BROKEN),
    "directory beyond the end": File(lambda: b"II*\0" + pack("<I", 2**31), "truncated"),
    "BigTIFF": File(lambda: b"II+\0\x08\0\0\0" + bytes(60), "type_not_allowed"),
}


def test_each_ends_by_its_own_fault(besieged: Besieged) -> None:
    """With a code of the list, and nothing else comes to harm."""
    jobs = besieged.attack({name: file.make() for name, file in FILES.items()})
    ends = {
        name: job["error"]["code"] if job["status"] == "FAILED" else job["status"]
        for name, job in jobs.items()
    }
    assert {name: end for name, end in ends.items() if end not in FILES[name].ends} == {}
    besieged.check()


def test_an_honest_one_comes_out_as_a_jpeg(besieged: Besieged) -> None:
    """By the built-in recipe, from a signed upload to a signed download."""
    job = besieged.attack({"scan.tif": HONEST})["scan.tif"]
    assert job["status"] == "COMPLETED", job["errorMessage"]
    assert job["source"]["contentType"] == "image/tiff"
    assert job["outputs"][0]["contentType"] == "image/jpeg"
    picture = decoded(besieged.http.get(job["downloadUrl"]).content).convert("RGB")
    assert likeness(picture.crop((0, 0, 640, 240)), upright(1, 640, 480).crop((0, 0, 640, 240))) > 0.9
