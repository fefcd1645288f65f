"""Receiving objects: PUT with the object as the body, POST with a form. What is received is on the disk, whole and
durable, before the answer; what was not wholly received leaves nothing."""

import asyncio
import base64
import binascii
import hashlib
import logging
import threading
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import quote

from multipart import (  # type: ignore[import-untyped] # it ships no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from safelight.backends.embedded.files import Files
from safelight.backends.embedded.links import CHECKSUM, CRC32, FIELD_SIGNATURE, PATH, Links
from safelight.backends.embedded.parts import Multiparts
from safelight.backends.embedded.policy import check_policy
from safelight.backends.embedded.request import Request
from safelight.backends.embedded.s3 import S3Error, document
from safelight.ports import BlobInfo, Clock, Part

logger = logging.getLogger(__name__)

Created = Callable[[str, str, int], None]
"""Is told key, version and size of every upload, in a thread, once it is durable."""

_HELD_BYTES: Final = 2 * 2**20
_HELD_PIECES: Final = 500
"""So much of an upload is held in memory before a thread writes it: most photos take one or two visits to the disk."""
_FIELDS_BYTES: Final = 20_000


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Sink(Protocol[T_co]):
    """Where what is received goes: a `Writer` of an object, or of a part."""

    def write(self, *pieces: bytes) -> None:
        """Append pieces."""

    def commit(self) -> T_co:
        """Keep what was written: it is whole and durable when this returns."""

    def abort(self) -> None:
        """Forget what was written. After a commit, nothing happens."""


class Upload(Generic[T]):
    """What is being received. The event loop feeds it; threads do all that touches the disk. `done` is told of it, in
    a thread, once it is durable."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        sink: Callable[[], Sink[T]],
        done: Callable[[T], None],
        *,
        limit: int,
        headers: Mapping[str, str],
    ) -> None:
        self._pool = pool
        self._limit = limit
        self._digests = _digests(headers)
        self._open = sink
        self._done = done
        self._writer: Sink[T] | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        # A cancelled request can leave a thread at work; cleaning up waits for it.
        self._lock = threading.Lock()
        self._abandoned = False
        self.bytes = 0

    async def feed(self, piece: bytes) -> None:
        """Take a piece. Raise S3Error once it is larger than allowed."""
        self.bytes += len(piece)
        if self.bytes > self._limit:
            # How large the rest would have been, only a declared length tells: that is looked at before all else.
            raise S3Error("EntityTooLarge", details={"MaxSizeAllowed": self._limit})
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= _HELD_BYTES or len(self._pieces) >= _HELD_PIECES:
            pieces, self._pieces, self._held = self._pieces, [], 0
            await asyncio.get_running_loop().run_in_executor(self._pool, self._write, pieces)

    async def finish(self) -> T:
        """Make it durable and tell `done`. Raise S3Error if a digest is not the declared one."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._finish)

    def abandon(self) -> None:
        """Leave nothing behind. After `finish`, nothing happens. Does not wait."""
        try:
            self._pool.submit(self._abort)
        except RuntimeError:  # the server is shutting down
            self._abort()

    def _write(self, pieces: list[bytes]) -> Sink[T]:
        with self._lock:
            if self._abandoned:
                raise S3Error("IncompleteBody")
            self._writer = writer = self._writer or self._open()
            for _, digest, _ in self._digests:
                for piece in pieces:
                    digest.update(piece)
            writer.write(*pieces)
            return writer

    def _finish(self) -> T:
        writer = self._write(self._pieces)
        with self._lock:
            for name, digest, expected in self._digests:
                if digest.digest() != expected:
                    raise S3Error(
                        "BadDigest", f"The {name} you specified did not match the calculated checksum."
                    )
            stored = writer.commit()
        self._done(stored)
        return stored

    def _abort(self) -> None:
        with self._lock:
            self._abandoned = True
            try:
                if self._writer is not None:
                    self._writer.abort()
            except Exception:
                logger.exception("an unfinished upload could not be removed; the sweeper will try again")


class Uploads:
    """PUT and POST."""

    def __init__(
        self,
        files: Files,
        links: Links,
        multiparts: Multiparts,
        pool: ThreadPoolExecutor,
        *,
        created: Created,
        clock: Clock,
    ) -> None:
        self._files = files
        self._multiparts = multiparts
        self._links = links
        self._pool = pool
        self._created = created
        self._clock = clock

    async def put(self, request: Request) -> None:
        """Store the body under the key of the URL, or as a part of what will be there."""
        permit = self._links.verify("PUT", request.key, request.query, request.headers)
        length, limit = request.length, permit.max_bytes or 0
        if length is None and "transfer-encoding" not in request.headers:
            raise S3Error("MissingContentLength")
        if length is not None and length > limit:
            raise S3Error("EntityTooLarge", details={"ProposedSize": length, "MaxSizeAllowed": limit})
        if permit.part is not None:
            upload, number = permit.part
            sink = partial(self._multiparts.writer, request.key, upload, number)
            part = await self._receive(
                Upload(self._pool, sink, _nobody, limit=limit, headers=request.headers), request
            )
            await request.answer(200, {"etag": f'"{part.etag}"'})
            return
        if not _may_overwrite(request.headers):
            # Asked again when the object is stored; this spares the client from sending what would be refused.
            loop = asyncio.get_running_loop()
            if await loop.run_in_executor(self._pool, self._files.head, request.key):
                raise S3Error("PreconditionFailed")
        info = await self._receive(self._upload(request.key, limit, request.headers), request)
        await request.answer(200, _names(info))

    async def post(self, request: Request) -> None:
        """Store the file of a form under the key of the form."""
        form = _Form(request)
        fields = await form.fields()
        self._links.verify_policy(fields.get("policy", ""), fields.get(FIELD_SIGNATURE, ""))
        low, high = check_policy(fields["policy"], fields, self._clock())
        upload = self._upload(fields["key"], high, fields)
        try:
            await form.file(upload)
            if upload.bytes < low:
                raise S3Error("EntityTooSmall", details={"ProposedSize": upload.bytes, "MinSizeAllowed": low})
            info = await upload.finish()
        except BaseException:
            upload.abandon()
            raise
        status = fields.get("success_action_status")
        headers = {**_names(info), "location": quote(f"{PATH}{info.key}")}
        if status == "201":
            body = document("PostResponse", Location=headers["location"], Key=info.key, ETag=headers["etag"])
            await request.answer(201, {**headers, "content-type": "application/xml"}, body)
        else:
            await request.answer(200 if status == "200" else 204, headers)

    def _upload(self, key: str, limit: int, headers: Mapping[str, str]) -> Upload[BlobInfo]:
        sink = partial(self._files.writer, key, overwrite=_may_overwrite(headers))
        return Upload(self._pool, sink, self._tell, limit=limit, headers=headers)

    async def _receive(self, upload: Upload[T], request: Request) -> T:
        """All of the request's body."""
        try:
            async for chunk in request.chunks():
                await upload.feed(chunk)
            if request.length is not None and upload.bytes != request.length:
                raise S3Error("IncompleteBody")
            return await upload.finish()
        except BaseException:
            upload.abandon()
            raise

    def _tell(self, info: BlobInfo) -> None:
        try:
            self._created(info.key, info.version, info.bytes)
        except Exception:
            # The object is safe and the sweeper looks for uploads that nobody was told of: no reason to refuse it.
            logger.exception("upload %s is stored, but could not be announced", info.key)


def _nobody(part: Part) -> None:
    """Nobody needs to be told of a part."""


class _Form:
    """A multipart/form-data body: small fields first, then the file. What comes after the file is ignored."""

    def __init__(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != "multipart/form-data" or not options.get("boundary"):
            raise S3Error("MalformedPOSTRequest")
        try:
            self._parser = PushMultipartParser(options["boundary"], max_segment_count=50)
        except MultipartError:
            raise S3Error("MalformedPOSTRequest") from None
        self._chunks = request.chunks()
        self._events: list[MultipartSegment | bytes | bytearray | None] = []

    async def fields(self) -> dict[str, str]:
        """The fields before the file, by their lower-case names."""
        fields: dict[str, str] = {}
        name, value, total = "", b"", 0
        while True:
            event = await self._next()
            if isinstance(event, MultipartSegment):
                name, value = (event.name or "").lower(), b""
                if name == "file":
                    return fields
            elif event is not None:
                value += event
                total += len(event)
                if total > _FIELDS_BYTES:
                    raise S3Error("MaxPostPreDataLengthExceeded")
            elif name in fields:
                raise S3Error("InvalidArgument", f"POST requires exactly one {name} field.")
            else:
                fields[name] = value.decode(errors="replace")

    async def file(self, upload: Upload[BlobInfo]) -> None:
        """Feed the file, and read to the end of the form."""
        while (event := await self._next()) is not None:
            if not isinstance(event, MultipartSegment):
                await upload.feed(bytes(event))
        async for _ in self._chunks:
            pass

    async def _next(self) -> MultipartSegment | bytes | bytearray | None:
        while not self._events:
            chunk = await anext(self._chunks, None)
            if chunk is None or self._parser.closed:
                raise S3Error("InvalidArgument", "POST requires exactly one file upload per request.")
            try:
                self._events = list(self._parser.parse(chunk))
            except MultipartError:
                raise S3Error("MalformedPOSTRequest") from None
        return self._events.pop(0)


def _may_overwrite(headers: Mapping[str, str]) -> bool:
    condition = headers.get("if-none-match")
    if condition not in (None, "*"):
        raise S3Error("NotImplemented")
    return condition is None


def _digests(headers: Mapping[str, str]) -> list[tuple[str, Any, bytes]]:
    """The checksums to work out: their names, their states and what is expected. None unless declared."""
    wanted: list[tuple[str, Any, bytes]] = []
    if (text := headers.get(CHECKSUM)) is not None:
        expected = _decoded(text, 32) or _refuse("InvalidRequest", f"Value for {CHECKSUM} header is invalid.")
        wanted.append(("SHA256", hashlib.sha256(), expected))
    if (text := headers.get(CRC32)) is not None:
        expected = _decoded(text, 4) or _refuse("InvalidRequest", f"Value for {CRC32} header is invalid.")
        wanted.append(("CRC32", _Crc32(), expected))
    if (text := headers.get("content-md5")) is not None:
        expected = _decoded(text, 16) or _refuse("InvalidDigest", None)
        wanted.append(("Content-MD5", hashlib.md5(usedforsecurity=False), expected))
    return wanted


class _Crc32:
    """A CRC-32 in the manner of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, piece: bytes) -> None:
        self._value = zlib.crc32(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _refuse(code: str, message: str | None) -> bytes:
    raise S3Error(code, message)


def _decoded(text: str, length: int) -> bytes | None:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == length else None


def etag(info: BlobInfo) -> str:
    """The object's entity tag: its version, or what tells a write-once object apart."""
    if info.key.startswith("uploads/"):
        return f'"{info.version}"'
    return f'"{int(info.modified_at * 1e6):x}-{info.bytes:x}"'


def _names(info: BlobInfo) -> dict[str, str]:
    return {"etag": etag(info), "x-amz-version-id": info.version}
