"""Giving objects: GET and HEAD, whole or a range, with the type and the file name that the URL was signed for; and
public outputs to everybody, by their path."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import IO, Final

from safelight.backends.embedded.files import Files
from safelight.backends.embedded.links import Links
from safelight.backends.embedded.request import Request
from safelight.backends.embedded.s3 import S3Error
from safelight.backends.embedded.uploads import etag
from safelight.errors import BlobNotFound
from safelight.model import public_path
from safelight.ports import BlobInfo

_CHUNK: Final = 2**20

PUBLIC_HEADERS: Final = {
    "cache-control": "public, max-age=3600",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
}
"""What goes with a public output, here as from CloudFront (`PublicOutputsHeaders` in infra/template.yaml): any page may
show it, no page runs it, and an output that was erased is out of every cache after an hour."""

_OUTPUTS: Final = "processed/uploads/"
_KEPT: Final = ("etag", "last-modified", *PUBLIC_HEADERS)  # what a 304 says again
_TYPES: Final = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
}


class Downloads:
    """GET and HEAD."""

    def __init__(self, files: Files, links: Links, pool: ThreadPoolExecutor) -> None:
        self._files = files
        self._links = links
        self._pool = pool

    async def get(self, request: Request) -> None:
        """Send the object, a range of it, or only what there is to know about it."""
        permit = self._links.verify(request.method, request.key, request.query, request.headers)
        own = {
            "content-type": permit.content_type or "application/octet-stream",
            "content-disposition": permit.disposition or "attachment",
        }
        await self._answer(request, request.key, own)

    async def give(self, request: Request, path: str) -> None:
        """Send the public output of this path to whoever asks. What is not public is not there."""
        key = f"{_OUTPUTS}{path}"
        if not self._links.publishes or public_path(key) != path:
            raise BlobNotFound
        kind = _TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        await self._answer(request, key, {"content-type": kind, **PUBLIC_HEADERS})

    async def _answer(self, request: Request, key: str, own: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        info, file = await loop.run_in_executor(self._pool, self._open, key)
        with file:
            headers = {
                "etag": etag(info),
                "last-modified": formatdate(info.modified_at, usegmt=True),
                "accept-ranges": "bytes",
                # The type that we say is the type: a browser must not guess another from the bytes.
                "x-content-type-options": "nosniff",
                **own,
            }
            if info.key.startswith("uploads/"):
                headers["x-amz-version-id"] = info.version
            if _matches(request.headers.get("if-none-match"), headers["etag"]):
                return await request.answer(304, {n: headers[n] for n in _KEPT if n in headers})
            begin, end, status = 0, info.bytes, 200
            if request.headers.get("if-range") in (None, headers["etag"]) and (
                part := _range(request.headers.get("range", ""), info.bytes)
            ):
                begin, end = part
                status, headers["content-range"] = 206, f"bytes {begin}-{end - 1}/{info.bytes}"
            await request.begin(status, {**headers, "content-length": str(end - begin)})
            if request.method == "HEAD":
                return await request.send(b"", more=False)
            return await self._stream(request, file, begin, end)

    async def _stream(self, request: Request, file: IO[bytes], begin: int, end: int) -> None:
        loop = asyncio.get_running_loop()
        file.seek(begin)
        left = end - begin
        while left > 0:
            chunk = await loop.run_in_executor(self._pool, file.read, min(_CHUNK, left))
            if not chunk:
                # Nothing shortens a stored file, so the disk is at fault. Ending here breaks the connection: the
                # client sees fewer bytes than promised and knows.
                raise EOFError(f"{request.key} is shorter than it was")
            left -= len(chunk)
            await request.send(chunk, more=left > 0)
        if begin == end:
            await request.send(b"", more=False)

    def _open(self, key: str) -> tuple[BlobInfo, IO[bytes]]:
        info = self._files.head(key)
        if info is None:
            raise BlobNotFound
        return info, self._files.open(key, info.version)


def _matches(condition: str | None, tag: str) -> bool:
    if condition is None:
        return False
    tags = [each.strip().removeprefix("W/") for each in condition.split(",")]
    return "*" in tags or tag in tags


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Where the range begins and ends, or None for the whole: also for several ranges, as S3 does, and for what is
    no range at all. Raise S3Error for a range outside the object."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip(), re.ASCII)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        begin, end = max(size - int(match[2]), 0), size
        satisfiable = int(match[2]) > 0 and size > 0
    else:
        begin, end = int(match[1]), size
        if match[2]:
            if int(match[2]) < begin:
                return None
            end = min(int(match[2]) + 1, size)
        satisfiable = begin < size
    if not satisfiable:
        raise S3Error("InvalidRange", headers={"content-range": f"bytes */{size}"})
    return begin, end
