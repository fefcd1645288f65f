"""Honest files that end too early: at every border of their structure, and a byte before and after each."""

import struct
from collections.abc import Iterator

from tests.hostile.parts import moving, photo, segments
from tests.hostile.verdicts import BROKEN, DONE, File
from tests.pictures import encoded, upright

SAMPLES = {
    "JPEG": photo(),
    "progressive JPEG": encoded(upright(3, 48, 32), "JPEG", progressive=True),
    "PNG": photo("PNG"),
    "GIF": moving("GIF"),
    "WebP": photo("WEBP"),
    "moving WebP": moving("WEBP"),
    "AVIF": photo("AVIF"),
}


def borders(kind: str, data: bytes) -> Iterator[int]:
    """Where the parts of a file end."""
    if "JPEG" in kind:
        yield from (at for _, at, _ in segments(data))
    elif kind == "PNG":
        at = 8
        while at < len(data):
            yield at
            at += 12 + int(struct.unpack_from(">I", data, at)[0])
    elif "WebP" in kind:
        at = 12
        while at < len(data):
            yield at
            (length,) = struct.unpack_from("<I", data, at + 4)
            at += 8 + length + length % 2
    elif kind == "AVIF":
        yield from _boxes(data, 0, len(data))
    else:
        yield from (at for at in range(13, len(data) - 1) if data[at : at + 1] in (b"\x2c", b"\x21"))


def _boxes(data: bytes, at: int, end: int) -> Iterator[int]:
    while at < end:
        yield at
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"meta", b"iprp", b"ipco"):
            yield from _boxes(data, at + (12 if kind == b"meta" else 8), at + length)
        at += length


def _cuts(kind: str, data: bytes) -> list[int]:
    """At most fifty cuts, spread over the file."""
    found = sorted(
        {cut for at in borders(kind, data) for cut in (at - 1, at, at + 1) if 16 < cut < len(data) - 2}
    )
    return found[:: max(1, len(found) // 50)]


# A GIF or a JPEG may lack its last bytes and still be whole; what is whole may be drawn.
FILES: dict[str, File] = {
    f"{kind} of {cut} bytes": File(lambda data=data, cut=cut: data[:cut], *BROKEN)  # type: ignore[misc]
    for kind, data in SAMPLES.items()
    for cut in _cuts(kind, data)
} | {f"{kind}, whole": File(lambda data=data: data, DONE) for kind, data in SAMPLES.items()}  # type: ignore[misc]
