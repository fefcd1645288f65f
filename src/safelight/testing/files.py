"""Files, the links to them, and uploads in parts."""

import base64
import hashlib
import io
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO
from urllib.parse import quote, urlencode

from safelight.cursors import unpack
from safelight.errors import (
    BlobExists,
    BlobNotFound,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    PartsGone,
)
from safelight.model import public_path
from safelight.ports import (
    LEAST_PART,
    LINKS_SIGNED_EVERY,
    BlobInfo,
    Page,
    Part,
    PartGrant,
    UploadGrant,
    UploadLink,
)
from safelight.testing.pages import page_of


class Blobs:
    """The `Blobs` port in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, list[tuple[BlobInfo, bytes]]] = {}
        self.unfinished: dict[tuple[str, str], dict[int, tuple[Part, bytes]]] = {}
        """Uploads in parts, by key and name."""

    def head(self, key: str, version: str | None = None) -> BlobInfo | None:
        """The newest version, or the one asked for."""
        found = self._find(key, version)
        return found[0] if found else None

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """A readable, seekable file with a descriptor of its own."""
        found = self._find(key, version)
        if found is None:
            raise BlobNotFound
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(found[1])
        file.flush()
        file.seek(0)
        return file

    def put(self, key: str, file: IO[bytes], *, content_type: str) -> BlobInfo:  # noqa: ARG002 - the port has it
        """Store `file` from its beginning to its end."""
        parts = key.split("/")
        if parts[0] not in ("uploads", "processed") or len(parts) < 2 or {"", ".", ".."} & set(parts):
            raise InvalidRequest("A key begins with uploads/ or processed/ and has no empty or dotted part.")
        file.seek(0)
        content = file.read()
        with self._lock:
            versions = self._objects.setdefault(key, [])
            if versions and key.startswith("processed/"):
                raise BlobExists
            number = int(versions[-1][0].version) + 1 if versions else 1
            info = BlobInfo(key=key, version=f"{number:06}", bytes=len(content), modified_at=self._clock())
            versions.append((info, content))
        return info

    def delete(self, *prefixes: str) -> int:
        """Erase every version of every object below each prefix, or of the one object that is called so."""

        def meant(key: str) -> bool:
            return any(_below(key, prefix) for prefix in prefixes)

        with self._lock:
            gone = [key for key in self._objects if meant(key)]
            for key in gone:
                del self._objects[key]
            for begun in [each for each in self.unfinished if meant(each[0])]:
                del self.unfinished[begun]
        return len(gone)

    def drop(self, key: str, version: str) -> None:
        """Erase one version of an upload."""
        if not key.startswith("uploads/"):
            return
        with self._lock:
            left = [each for each in self._objects.get(key, ()) if each[0].version != version]
            if left:
                self._objects[key] = left
            else:
                self._objects.pop(key, None)

    def list(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[BlobInfo]:
        """The newest versions of the objects below `prefix`, ordered by key."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._lock:
            found = [versions[-1][0] for versions in self._objects.values()]
        items = sorted((i for i in found if _below(i.key, prefix) and i.key > after), key=lambda i: i.key)
        return page_of(items, limit, lambda item: (item.key,))

    def folders(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """The names directly below `prefix` that have something below them."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._lock:
            below = [key[len(prefix) :] for key in self._objects if key.startswith(prefix)]
        folders = sorted({f"{name.partition('/')[0]}/" for name in below if "/" in name})
        return page_of([name[:-1] for name in folders if name > f"{after}/"], limit, lambda name: (name,))

    def _find(self, key: str, version: str | None) -> tuple[BlobInfo, bytes] | None:
        with self._lock:
            versions = self._objects.get(key, [])
            return next((v for v in reversed(versions) if version in (None, v[0].version)), None)


def _below(key: str, prefix: str) -> bool:
    return key.startswith(prefix) if prefix.endswith("/") else key == prefix


class Links:
    """The `Links` port with URLs that lead nowhere but say what they allow; `uploads` keeps each grant by URL."""

    def __init__(
        self, clock: Callable[[], float] = time.time, base_url: str = "https://storage.invalid"
    ) -> None:
        self._clock = clock
        self._base_url = base_url
        self.publishes = True
        self.uploads: dict[str, UploadGrant] = {}

    def upload(self, grant: UploadGrant) -> UploadLink:
        """A URL that takes one upload of this kind."""
        headers = {} if grant.content_type is None else {"Content-Type": grant.content_type}
        if grant.sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(grant.sha256)).decode()
        if grant.crc32 is not None:
            headers["x-amz-checksum-crc32"] = base64.b64encode(bytes.fromhex(grant.crc32)).decode()
        if not grant.overwrite:
            headers["If-None-Match"] = "*"
        if grant.size is not None and grant.method == "PUT":
            headers["Content-Length"] = str(grant.size)
        expires = self._clock() + grant.expires_in
        url = self._url(grant.key, method=grant.method, expires=f"{expires:.0f}", nonce=secrets.token_hex(8))
        self.uploads[url] = grant
        if grant.method == "POST":
            return UploadLink(method="POST", url=url, fields={"key": grant.key, **headers})
        return UploadLink(method=grant.method, url=url, headers=headers)

    def download(self, key: str, *, filename: str, content_type: str, inline: bool = False) -> str:
        """A URL that gives the object as `content_type`, to be saved as `filename`."""
        begin = int(self._clock()) // LINKS_SIGNED_EVERY * LINKS_SIGNED_EVERY
        expires = str(begin + LINKS_SIGNED_EVERY + 3600)
        disposition = "inline" if inline else "attachment"
        return self._url(
            key, method="GET", expires=expires, type=content_type, disposition=disposition, filename=filename
        )

    def public(self, key: str) -> str | None:
        """The address at which everybody gets the object."""
        path = public_path(key) if self.publishes else None
        return path and f"{self._base_url}/public/{path}"

    def _url(self, key: str, **parameters: str) -> str:
        return f"{self._base_url}/{quote(key)}?{urlencode(parameters, quote_via=quote)}"


class Multiparts:
    """The `Multiparts` port in memory. `put` is what a client would do with the URL that `link` gave."""

    def __init__(self, blobs: Blobs, clock: Callable[[], float] = time.time) -> None:
        self._blobs = blobs
        self._clock = clock
        self._lock = threading.Lock()
        self._uploads = blobs.unfinished
        self._grants: dict[str, PartGrant] = {}

    def begin(self, key: str, *, content_type: str | None = None) -> str:  # noqa: ARG002 - the port has it
        """Begin an object."""
        upload = secrets.token_hex(8)
        with self._lock:
            self._uploads[key, upload] = {}
        return upload

    def link(self, grant: PartGrant) -> UploadLink:
        """A URL that takes one part."""
        url = f"https://storage.invalid/{quote(grant.key)}?uploadId={grant.upload}&partNumber={grant.number}"
        self._grants[url] = grant
        return UploadLink(method="PUT", url=url, headers={"Content-Length": str(grant.bytes)})

    def put(self, url: str, content: bytes) -> Part:
        """Send a part to its URL. Raise PartsGone."""
        grant = self._grants[url]
        assert len(content) == grant.bytes, "the length is signed"
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        part = Part(number=grant.number, etag=etag, bytes=len(content))
        with self._lock:
            self._of(grant.key, grant.upload)[grant.number] = (part, content)
        return part

    def parts(self, key: str, upload: str, *, after: int = 0, limit: int = 1000) -> tuple[Part, ...]:
        """The parts that are there, in order."""
        with self._lock:
            found = sorted(self._of(key, upload).items())
        return tuple(part for number, (part, _) in found if number > after)[:limit]

    def complete(self, key: str, upload: str, parts: Sequence[Part], *, overwrite: bool = True) -> BlobInfo:
        """Make one object of these parts."""
        numbers = [part.number for part in parts]
        if numbers != sorted(set(numbers)):
            raise InvalidPartOrder
        with self._lock:
            found = self._of(key, upload)
            if not parts or any(
                n not in found or found[n][0].etag != p.etag for n, p in zip(numbers, parts, strict=True)
            ):
                raise InvalidPart
            if any(found[number][0].bytes < LEAST_PART for number in numbers[:-1]):
                raise EntityTooSmall
            if not overwrite and self._blobs.head(key):
                raise BlobExists
            content = b"".join(found[number][1] for number in numbers)
            info = self._blobs.put(key, io.BytesIO(content), content_type="")
            del self._uploads[key, upload]
        return info

    def abort(self, key: str, upload: str) -> None:
        """Forget the upload and its parts."""
        with self._lock:
            self._uploads.pop((key, upload), None)

    def _of(self, key: str, upload: str) -> dict[int, tuple[Part, bytes]]:
        if (key, upload) not in self._uploads:
            raise PartsGone
        return self._uploads[key, upload]
