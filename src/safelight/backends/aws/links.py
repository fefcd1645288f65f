"""Signed URLs for S3: presigned PUTs, POST policies, and downloads that stay the same for half an hour.

A URL can do what its signer may do, so the functions that sign need `s3:PutObject` on uploads and `s3:GetObject` on
processed. It ends when its signer's credentials do: a role's session that ends before the hour takes its URLs with it.
"""

import base64
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from safelight.backends.aws.border import Clients, border
from safelight.backends.aws.keys import Buckets, check
from safelight.errors import InvalidRequest
from safelight.model import content_disposition, public_path
from safelight.ports import LINKS_SIGNED_EVERY, Clock, UploadGrant, UploadLink

DOWNLOAD_SECONDS: Final = 3600
"""How long a download URL is good for at the least, whenever it is asked for."""


class S3Links:
    """`ports.Links`."""

    def __init__(
        self,
        clients: Clients,
        buckets: Buckets,
        *,
        clock: Clock,
        download_seconds: int = DOWNLOAD_SECONDS,
        outputs_url: str = "",
    ) -> None:
        """`outputs_url` is the address of the distribution in front of the bucket of outputs, if there is one."""
        self._clients = clients
        self._buckets = buckets
        self._clock = clock
        self._download_seconds = download_seconds
        self._outputs_url = outputs_url.rstrip("/")

    def upload(self, grant: UploadGrant) -> UploadLink:
        """A URL that takes one upload of this kind."""
        check(grant.key)
        return self._post(grant) if grant.method == "POST" else self._put(grant)

    def download(self, key: str, *, filename: str, content_type: str, inline: bool = False) -> str:
        """A URL that gives the object as `content_type`, to be saved as `filename`."""
        at = int(self._clock()) // LINKS_SIGNED_EVERY * LINKS_SIGNED_EVERY
        overrides = {
            "response-content-disposition": content_disposition(filename, inline=inline),
            "response-content-type": content_type,
        }
        with border("s3:GetObject (signing)"):
            address, _, _ = self._s3.generate_presigned_url(
                "get_object", Params={"Bucket": self._buckets.of(check(key)), "Key": key}, ExpiresIn=1
            ).partition("?")
            query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in overrides.items())
            request = AWSRequest(method="GET", url=f"{address}?{query}")
            expires = self._download_seconds + LINKS_SIGNED_EVERY
            _SignedAt(at, self._clients.credentials(), "s3", self._s3.meta.region_name, expires).add_auth(
                request
            )
        return str(request.url)

    @property
    def publishes(self) -> bool:
        """Whether there is a distribution that gives public outputs to everybody."""
        return bool(self._outputs_url)

    def public(self, key: str) -> str | None:
        """The address at which everybody gets the object: the distribution has only public keys."""
        path = public_path(key) if self._outputs_url else None
        return path and f"{self._outputs_url}/{quote(path)}"

    def _put(self, grant: UploadGrant) -> UploadLink:
        headers = declared(grant)
        given: dict[str, Any] = {_PARAMETERS[name]: value for name, value in headers.items()}
        if grant.size is not None:
            headers["Content-Length"], given["ContentLength"] = str(grant.size), grant.size
        if not grant.overwrite:
            headers["If-None-Match"] = given["IfNoneMatch"] = "*"
        with border("s3:PutObject (signing)"):
            url = self._s3.generate_presigned_url(
                "put_object",
                Params={"Bucket": self._buckets.of(grant.key), "Key": grant.key, **given},
                ExpiresIn=grant.expires_in,
            )
        return UploadLink(method="PUT", url=url, headers=headers)

    def _post(self, grant: UploadGrant) -> UploadLink:
        if not grant.overwrite:
            raise InvalidRequest(
                "S3 has no form that refuses to overwrite; use method PUT. A later upload changes nothing anyway."
            )
        fields = declared(grant)
        low, high = (0, grant.max_bytes) if grant.size is None else (grant.size, grant.size)
        conditions = [["content-length-range", low, high], *({name: value} for name, value in fields.items())]
        with border("s3:PutObject (signing)"):
            form = self._s3.generate_presigned_post(
                self._buckets.of(grant.key),
                grant.key,
                Fields=fields,
                Conditions=conditions,
                ExpiresIn=grant.expires_in,
            )
        return UploadLink(method="POST", url=form["url"], fields=form["fields"])

    @property
    def _s3(self) -> Any:
        return self._clients.get("s3")


_PARAMETERS: Final = {
    "Content-Type": "ContentType",
    "x-amz-checksum-sha256": "ChecksumSHA256",
    "x-amz-checksum-crc32": "ChecksumCRC32",
}


class _SignedAt(S3SigV4QueryAuth):  # type: ignore[misc] # botocore ships no types
    """Botocore's own query signature, as of a moment other than now."""

    def __init__(self, at: float, credentials: Any, service: str, region: str, expires: int) -> None:
        super().__init__(credentials, service, region, expires=expires)
        self._at = datetime.fromtimestamp(at, UTC).strftime(SIGV4_TIMESTAMP)

    def add_auth(self, request: Any) -> None:
        request.context["timestamp"] = self._at
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))


def declared(grant: UploadGrant) -> dict[str, str]:
    """What the client said of the file, as S3 has it for headers and form fields alike."""
    names = {}
    if grant.content_type is not None:
        names["Content-Type"] = grant.content_type
    if grant.sha256 is not None:
        names["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(grant.sha256)).decode()
    if grant.crc32 is not None:
        names["x-amz-checksum-crc32"] = base64.b64encode(bytes.fromhex(grant.crc32)).decode()
    return names
