"""Signed URLs for S3: presigned PUTs, POST policies, and downloads that stay the same for half an hour.

A URL can do what its signer may do, so the functions that sign need `s3:PutObject` on uploads and `s3:GetObject` on
processed. It ends when its signer's credentials do: a role's session that ends before the hour takes its URLs with it.
"""

import base64
import hmac
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

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
        self._places: dict[str, _Place] = {}

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
            place = self._place(self._buckets.of(check(key)))
            expires = self._download_seconds + LINKS_SIGNED_EVERY
            seal = _seal(place.region, at, expires, self._clients.credentials())
            return _signed(place, key, overrides, seal)

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

    def _place(self, bucket: str) -> "_Place":
        """Where the bucket's objects are. Botocore is asked once: it is slow to say the same of any key."""
        if bucket not in self._places:
            url, _, _ = self._s3.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": "-"}, ExpiresIn=1
            ).partition("?")
            region = self._s3.meta.region_name
            signer = S3SigV4QueryAuth(None, "s3", region)
            headers = signer.headers_to_sign(AWSRequest(method="GET", url=url))
            self._places[bucket] = _Place(
                url=url.removesuffix("-"),
                path=urlsplit(url).path.removesuffix("-"),
                host=signer.canonical_headers(headers),
                region=region,
            )
        return self._places[bucket]

    @property
    def _s3(self) -> Any:
        return self._clients.get("s3")


_PARAMETERS: Final = {
    "Content-Type": "ContentType",
    "x-amz-checksum-sha256": "ChecksumSHA256",
    "x-amz-checksum-crc32": "ChecksumCRC32",
}


class _Place(NamedTuple):
    """What botocore makes of a bucket."""

    url: str
    """Of an object, up to its key."""
    path: str
    host: str
    """The header, as it is signed."""
    region: str


class _Seal(NamedTuple):
    """What all URLs of one half hour share."""

    query: tuple[str, ...]
    signed_of: str
    """What is signed, up to the hash of the request."""
    key: bytes


def _signed(place: _Place, key: str, overrides: dict[str, str], seal: _Seal) -> str:
    """The URL of an object, with Signature Version 4 in its query:
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html

    Byte for byte what botocore's `S3SigV4QueryAuth` makes. That takes most of its time to take apart what it has just
    put together.
    """
    own = [f"{name}={quote(value, safe='')}" for name, value in overrides.items()]
    object_, query = quote(key), (*own, *seal.query)
    request = f"GET\n{place.path}{object_}\n{'&'.join(sorted(query))}\n{place.host}\n\nhost\nUNSIGNED-PAYLOAD"
    to_sign = seal.signed_of + sha256(request.encode()).hexdigest()
    signature = hmac.digest(seal.key, to_sign.encode(), "sha256").hex()
    return f"{place.url}{object_}?{'&'.join(query)}&X-Amz-Signature={signature}"


@lru_cache(maxsize=2)  # one thread may still be in the half hour before
def _seal(region: str, at: int, expires: int, credentials: Any) -> _Seal:
    """What signs as of the Unix time `at`."""
    timestamp = datetime.fromtimestamp(at, UTC).strftime(SIGV4_TIMESTAMP)
    scope = (timestamp[:8], region, "s3", "aws4_request")
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "/".join((credentials.access_key, *scope)),
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token is not None:
        query["X-Amz-Security-Token"] = credentials.token
    return _Seal(
        query=tuple(f"{name}={quote(value, safe='')}" for name, value in query.items()),
        signed_of=f"AWS4-HMAC-SHA256\n{timestamp}\n{'/'.join(scope)}\n",
        key=key,
    )


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
