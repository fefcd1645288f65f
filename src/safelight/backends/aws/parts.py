"""Files on S3 that arrive in parts. Actions: `s3:PutObject` (which begins, signs and completes), to look
`s3:ListMultipartUploadParts`, to give up `s3:AbortMultipartUpload`; and those to look at what came of it (`s3.py`).

What nobody completes, the bucket's lifecycle rule removes a day after it was begun.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from safelight.backends.aws.border import Clients, border
from safelight.backends.aws.keys import Buckets, check
from safelight.backends.aws.s3 import S3Blobs
from safelight.errors import (
    BlobExists,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    PartsGone,
    SafelightError,
    StorageUnavailable,
)
from safelight.ports import BlobInfo, Part, PartGrant, UploadLink

_GONE: Final[dict[str, type[SafelightError]]] = {"NoSuchUpload": PartsGone, "404": PartsGone}
_REFUSED: Final[dict[str, type[SafelightError]]] = {
    **_GONE,
    "InvalidPart": InvalidPart,
    "InvalidPartOrder": InvalidPartOrder,
    "EntityTooSmall": EntityTooSmall,
    "MalformedXML": InvalidPart,
    "PreconditionFailed": BlobExists,
    "412": BlobExists,
}


class S3Multiparts:
    """`ports.Multiparts`."""

    def __init__(self, clients: Clients, buckets: Buckets, *, blobs: S3Blobs) -> None:
        self._clients = clients
        self._buckets = buckets
        self._blobs = blobs

    def begin(self, key: str, *, content_type: str | None = None) -> str:
        """Begin an object."""
        kind = {} if content_type is None else {"ContentType": content_type}
        with border("s3:CreateMultipartUpload"):
            answer = self._s3.create_multipart_upload(**self._where(check(key)), **kind)
        return str(answer["UploadId"])

    def link(self, grant: PartGrant) -> UploadLink:
        """A URL that takes one part."""
        with border("s3:UploadPart (signing)"):
            url = self._s3.generate_presigned_url(
                "upload_part",
                Params={
                    **self._where(check(grant.key)),
                    "UploadId": grant.upload,
                    "PartNumber": grant.number,
                    "ContentLength": grant.bytes,
                },
                ExpiresIn=grant.expires_in,
            )
        return UploadLink(method="PUT", url=url, headers={"Content-Length": str(grant.bytes)})

    def parts(self, key: str, upload: str, *, after: int = 0, limit: int = 1000) -> tuple[Part, ...]:
        """The parts that are there, in order."""
        with border("s3:ListParts", _GONE):
            answer = self._s3.list_parts(
                **self._where(key), UploadId=upload, PartNumberMarker=after, MaxParts=limit
            )
        return tuple(
            Part(number=part["PartNumber"], etag=part["ETag"].strip('"'), bytes=part["Size"])
            for part in answer.get("Parts", ())
        )

    def complete(self, key: str, upload: str, parts: Sequence[Part], *, overwrite: bool = True) -> BlobInfo:
        """Make one object of these parts."""
        if not parts:
            raise InvalidPart("An object needs a part.")
        if any(second.number <= first.number for first, second in pairwise(parts)):
            raise InvalidPartOrder  # S3 says so, too; not everything that is compatible with it does
        once = {} if overwrite else {"IfNoneMatch": "*"}
        named = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        with border("s3:CompleteMultipartUpload", _REFUSED):
            answer = self._s3.complete_multipart_upload(
                **self._where(key), UploadId=upload, MultipartUpload={"Parts": named}, **once
            )
        info = self._blobs.head(key, answer.get("VersionId"))
        if info is None:
            raise StorageUnavailable("Storage does not find what was just completed (s3:HeadObject).")
        return info

    def abort(self, key: str, upload: str) -> None:
        """Forget the upload and its parts."""
        try:
            with border("s3:AbortMultipartUpload", _GONE):
                self._s3.abort_multipart_upload(**self._where(key), UploadId=upload)
        except PartsGone:
            pass

    def _where(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._buckets.of(key), "Key": key}

    @property
    def _s3(self) -> Any:
        return self._clients.get("s3")
