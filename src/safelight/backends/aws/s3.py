"""Files on S3, in two buckets:

    uploads/{jobId}/{filename}                           the uploads bucket, versioned: every put is a version
    processed/uploads/{jobId}/{token}/{output}.{ext}     the processed bucket, each written once (If-None-Match)

Actions: to read originals `s3:GetObject` and `s3:GetObjectVersion`; to write outputs `s3:PutObject` and `s3:GetObject`
on processed; `s3:ListBucket` on both, without which S3 says "forbidden" instead of "not there"; to erase
`s3:ListBucketVersions`, `s3:DeleteObject`, `s3:DeleteObjectVersion`, `s3:ListBucketMultipartUploads` and
`s3:AbortMultipartUpload`.
"""

import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import IO, Any, Final

from safelight.backends.aws.border import Clients, border
from safelight.backends.aws.keys import PROCESSED, UPLOADS, Buckets, belongs, check, is_possible
from safelight.cursors import pack, unpack
from safelight.errors import BlobExists, BlobNotFound, SafelightError, StorageUnavailable
from safelight.ports import BlobInfo, Page

UNVERSIONED: Final = "null"
"""The version of an object that has no others, as S3 calls it."""

_CHUNK: Final = 2**20
_PUT: Final = "put"  # x-amz-meta-put: which put wrote the object
_CONFLICTS: Final = 5


class _Conflict(SafelightError):
    """Somebody else is writing or deleting this object at the same moment."""


_MISSING: Final[dict[str, type[SafelightError]]] = dict.fromkeys(
    ("404", "NoSuchKey", "NoSuchVersion", "NotFound", "405", "MethodNotAllowed"), BlobNotFound
)
# What is no version id at all: a HEAD has no body and so says only 400.
_MISSING_VERSION: Final = _MISSING | dict.fromkeys(("400", "InvalidArgument", "InvalidRequest"), BlobNotFound)
_REFUSED: Final[dict[str, type[SafelightError]]] = {
    "412": BlobExists,
    "PreconditionFailed": BlobExists,
    "409": _Conflict,
    "ConditionalRequestConflict": _Conflict,
}


class S3Blobs:
    """`ports.Blobs`."""

    def __init__(self, clients: Clients, buckets: Buckets) -> None:
        self._clients = clients
        self._buckets = buckets

    def head(self, key: str, version: str | None = None) -> BlobInfo | None:
        """The newest version, or the one asked for."""
        answer = self._head(key, version)
        if answer is None:
            return None
        return BlobInfo(
            key=key,
            version=answer.get("VersionId") or UNVERSIONED,
            bytes=answer["ContentLength"],
            modified_at=answer["LastModified"].timestamp(),
        )

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """The object, fetched straight into memory (into an unlinked file where there is no memfd)."""
        if not is_possible(key):
            raise BlobNotFound
        with border("s3:GetObject", _MISSING_VERSION if version else _MISSING):
            answer = self._s3.get_object(Bucket=self._buckets.of(key), Key=key, **_version(version))
            file = scratch_file()
            try:
                # Not by `with` the body itself: that gives what is below it, which checks no length.
                with closing(answer["Body"]) as body:
                    while chunk := body.read(_CHUNK):
                        file.write(chunk)
                file.flush()
            except BaseException:
                file.close()
                raise
        file.seek(0)
        return file

    def put(self, key: str, file: IO[bytes], *, content_type: str) -> BlobInfo:
        """Store `file` from its beginning to its end. S3 checks what arrives against its SHA-256."""
        bucket, size = self._buckets.of(check(key)), file.seek(0, os.SEEK_END)
        once = {"IfNoneMatch": "*"} if key.startswith(PROCESSED) else {}
        name = secrets.token_hex(8)
        for attempt in range(_CONFLICTS):
            file.seek(0)
            try:
                with border("s3:PutObject", _REFUSED):
                    answer = self._s3.put_object(
                        Bucket=bucket,
                        Key=key,
                        Body=file,
                        ContentLength=size,
                        ContentType=content_type,
                        Metadata={_PUT: name},
                        **once,
                    )
            except (BlobExists, _Conflict) as refused:
                # botocore tries again when an answer is lost, and then finds the object that it wrote itself.
                there = self._head(key, None)
                if there is not None and there.get("Metadata", {}).get(_PUT) == name:
                    answer = there
                elif isinstance(refused, BlobExists):
                    raise
                else:
                    time.sleep(0.05 * 2**attempt)
                    continue
            return BlobInfo(
                key=key, version=answer.get("VersionId") or UNVERSIONED, bytes=size, modified_at=time.time()
            )
        raise StorageUnavailable("Storage did not answer as expected (s3:PutObject: conflicts).")

    def delete(self, *prefixes: str) -> int:
        """Erase every version of every object below each prefix, delete markers, and unfinished uploads."""
        return sum(self._delete(prefix) for prefix in prefixes)

    def _delete(self, prefix: str) -> int:
        bucket = self._buckets.of(prefix)
        gone: set[str] = set()
        # The unfinished first: what is not in its place by now never gets there.
        if prefix.startswith(UPLOADS):
            self._abort_unfinished(bucket, prefix)
        for page in self._versions(bucket, prefix, 1000):
            found = [
                {"Key": item["Key"], "VersionId": item["VersionId"]}
                for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if belongs(item["Key"], prefix)
            ]
            if found:
                self._erase(bucket, found)
                gone.update(item["Key"] for item in page.get("Versions", ()) if belongs(item["Key"], prefix))
        return len(gone)

    def drop(self, key: str, version: str) -> None:
        """Erase one version of an upload."""
        if is_possible(key) and key.startswith(UPLOADS):
            with border("s3:DeleteObjectVersion"):
                self._s3.delete_object(Bucket=self._buckets.of(key), Key=key, VersionId=version)

    def list(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[BlobInfo]:
        """The newest versions of the objects below `prefix`, ordered by key."""
        bucket = self._buckets.of(prefix)
        after = unpack(cursor, str)[0] if cursor is not None else ""
        items: list[BlobInfo] = []
        for page in self._versions(bucket, prefix, min(limit + 1, 1000), after):
            for item in page.get("Versions", ()):
                if item["IsLatest"] and belongs(item["Key"], prefix):
                    if len(items) == limit:
                        return Page(items=tuple(items), cursor=pack(items[-1].key))
                    items.append(_info(item))
        return Page(items=tuple(items))

    def folders(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """The names directly below `prefix` that have something below them: a thousand in one request. What holds only
        versions that were deleted is not among them; the bucket's lifecycle rules remove those."""
        bucket = self._buckets.of(prefix)
        after = unpack(cursor, str)[0] if cursor is not None else ""
        names: list[str] = []
        # Behind whatever lies below that folder: no name begins with the last character that there is.
        position = {"StartAfter": f"{prefix}{after}/\U0010fffd"} if after else {}
        while True:
            with border("s3:ListBucket"):
                page = self._s3.list_objects_v2(
                    Bucket=bucket, Prefix=prefix, Delimiter="/", MaxKeys=min(limit + 1, 1000), **position
                )
            for item in page.get("CommonPrefixes", ()):
                name = item["Prefix"][len(prefix) :].rstrip("/")
                if f"{name}/" > f"{after}/" and name not in names[-1:]:
                    if len(names) == limit:
                        return Page(items=tuple(names), cursor=pack(names[-1]))
                    names.append(name)
            if not page.get("IsTruncated"):
                return Page(items=tuple(names))
            position = {"ContinuationToken": page["NextContinuationToken"]}

    # --- one request each ---

    @property
    def _s3(self) -> Any:
        return self._clients.get("s3")

    def _head(self, key: str, version: str | None) -> dict[str, Any] | None:
        if not is_possible(key):
            return None
        try:
            with border("s3:HeadObject", _MISSING_VERSION if version else _MISSING):
                answer: dict[str, Any] = self._s3.head_object(
                    Bucket=self._buckets.of(key), Key=key, **_version(version)
                )
        except BlobNotFound:
            return None
        return answer

    def _versions(self, bucket: str, prefix: str, size: int, after: str = "") -> Iterator[dict[str, Any]]:
        """The versions and delete markers below `prefix`, in pages, from the key that comes after `after`."""
        marker = {"KeyMarker": after} if after else {}
        while True:
            with border("s3:ListBucketVersions"):
                page = self._s3.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=size, **marker)
            yield page
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"]}
            if version := page.get("NextVersionIdMarker"):
                marker["VersionIdMarker"] = version

    def _erase(self, bucket: str, versions: Sequence[dict[str, str]]) -> None:
        with border("s3:DeleteObjects"):
            answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
        errors = [error for error in answer.get("Errors", ()) if error.get("Code") not in _MISSING]
        if errors:
            raise StorageUnavailable(
                f"Storage did not answer as expected (s3:DeleteObjects: {errors[0].get('Code')})."
            )

    def _abort_unfinished(self, bucket: str, prefix: str) -> None:
        gone = {"NoSuchUpload": BlobNotFound}
        with border("s3:ListBucketMultipartUploads"):
            pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
            uploads = [item for page in pages for item in page.get("Uploads", ())]
        for item in uploads:
            if belongs(item["Key"], prefix):
                try:
                    with border("s3:AbortMultipartUpload", gone):
                        self._s3.abort_multipart_upload(
                            Bucket=bucket, Key=item["Key"], UploadId=item["UploadId"]
                        )
                except BlobNotFound:
                    pass  # it was finished or aborted in the meantime; what was finished goes next


def scratch_file() -> IO[bytes]:
    """A nameless file in memory where the kernel has such, else in the folder for temporary files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("original", os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile()


def _version(version: str | None) -> dict[str, str]:
    return {"VersionId": version} if version else {}


def _info(item: dict[str, Any]) -> BlobInfo:
    modified: datetime = item["LastModified"]
    return BlobInfo(
        key=item["Key"],
        version=item.get("VersionId") or UNVERSIONED,
        bytes=item["Size"],
        modified_at=modified.astimezone(UTC).timestamp(),
    )
