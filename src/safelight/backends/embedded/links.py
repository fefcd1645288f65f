"""Signed URLs for the storage endpoint `/files/{key}`, and the addresses of public outputs, `/public/{path}`.

A signature is an HMAC-SHA256 over the method, the key, every query parameter (the expiry is one of them) and every
header that the link lists. The host is not part of it, so a proxy may rename it. The secret is in
`{data}/signing.key`: who replaces it makes all links void.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from safelight.backends.embedded.policy import policy_of
from safelight.backends.embedded.s3 import S3Error
from safelight.backends.embedded.writing import sync_folder
from safelight.errors import ConfigurationError
from safelight.model import content_disposition, public_path
from safelight.ports import LINKS_SIGNED_EVERY, Clock, PartGrant, UploadGrant, UploadLink

PATH: Final = "/files/"
PUBLIC_PATH: Final = "/public/"
EXPIRES: Final = "X-Safelight-Expires"
SIGNED_HEADERS: Final = "X-Safelight-SignedHeaders"
MAX_BYTES: Final = "X-Safelight-MaxBytes"
SIGNATURE: Final = "X-Safelight-Signature"
FIELD_SIGNATURE: Final = "x-safelight-signature"
CONTENT_TYPE: Final = "response-content-type"
DISPOSITION: Final = "response-content-disposition"
CHECKSUM: Final = "x-amz-checksum-sha256"
CRC32: Final = "x-amz-checksum-crc32"
PART: Final = "partNumber"
UPLOAD: Final = "uploadId"

DOWNLOAD_SECONDS: Final = 3600


class Permit(msgspec.Struct, frozen=True):
    """What a verified URL allows."""

    max_bytes: int | None
    content_type: str | None
    disposition: str | None
    part: tuple[str, int] | None
    """The upload and the number, if it is the URL of a part."""


class Links:
    """The `Links` port, and the verification of what it signed. `base_url` may be a function: the port that a server
    listens on is known late."""

    def __init__(
        self,
        secret: bytes,
        *,
        base_url: str | Callable[[], str],
        clock: Clock,
        download_seconds: int = DOWNLOAD_SECONDS,
        publishes: bool = True,
    ) -> None:
        self._secret = secret
        self.publishes = publishes
        self._download_seconds = download_seconds
        self.base_url = base_url
        self._clock = clock

    # --- signing ---

    def upload(self, grant: UploadGrant) -> UploadLink:
        """A URL that takes one upload of this kind."""
        expires_at = int(self._clock()) + grant.expires_in
        headers = _declared(grant)
        if grant.method == "POST":
            # A form has no length to declare; the policy holds the range.
            headers.pop("Content-Length", None)
            fields = {"key": grant.key, **headers}
            fields["policy"] = policy_of(grant, fields, expires_at)
            fields[FIELD_SIGNATURE] = self._sign("POST", fields["policy"])
            return UploadLink(method="POST", url=self._url(""), fields=fields)
        url = self.sign(
            "PUT", grant.key, expires_at, headers=headers, query={MAX_BYTES: str(grant.max_bytes)}
        )
        return UploadLink(method="PUT", url=url, headers=headers)

    def part(self, grant: PartGrant) -> UploadLink:
        """A URL that takes one part."""
        headers = {"Content-Length": str(grant.bytes)}
        url = self.sign(
            "PUT",
            grant.key,
            int(self._clock()) + grant.expires_in,
            headers=headers,
            query={MAX_BYTES: str(grant.bytes), PART: str(grant.number), UPLOAD: grant.upload},
        )
        return UploadLink(method="PUT", url=url, headers=headers)

    def download(self, key: str, *, filename: str, content_type: str, inline: bool = False) -> str:
        """A URL that gives the object as `content_type`, to be saved as `filename`."""
        begin = int(self._clock()) // LINKS_SIGNED_EVERY * LINKS_SIGNED_EVERY
        return self.sign(
            "GET",
            key,
            begin + LINKS_SIGNED_EVERY + self._download_seconds,
            query={CONTENT_TYPE: content_type, DISPOSITION: content_disposition(filename, inline=inline)},
        )

    def public(self, key: str) -> str | None:
        """The address at which everybody gets the object."""
        path = public_path(key) if self.publishes else None
        return path and f"{self._base()}{PUBLIC_PATH}{quote(path)}"

    def sign(
        self,
        method: str,
        key: str,
        expires_at: int,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """A URL for one method, one key and these headers and parameters."""
        headers = {name.lower(): value for name, value in (headers or {}).items()}
        parameters = {**(query or {}), EXPIRES: str(expires_at)}
        if headers:
            parameters[SIGNED_HEADERS] = ";".join(sorted(headers))
        parameters[SIGNATURE] = self._sign(method, key, sorted(parameters.items()), sorted(headers.items()))
        return f"{self._url(key)}?{urlencode(parameters, quote_via=quote)}"

    # --- verifying ---

    def verify(self, method: str, key: str, query: str, headers: Mapping[str, str]) -> Permit:
        """What the request may do; `headers` by their lower-case names. Raise S3Error if it is not allowed."""
        parameters = _parameters(query)
        signature = parameters.pop(SIGNATURE, None)
        if signature is None:
            raise S3Error("AccessDenied")
        names = [name for name in parameters.get(SIGNED_HEADERS, "").split(";") if name]
        expires = parameters.get(EXPIRES, "")
        if not (expires.isascii() and expires.isdecimal() and len(expires) < 16):
            raise S3Error("AuthorizationQueryParametersError")
        if int(expires) <= self._clock():
            raise S3Error("AccessDenied", "Request has expired")
        present = [(name, " ".join(headers.get(name, "").split())) for name in sorted(names)]
        expected = self._sign(method, key, sorted(parameters.items()), present)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise S3Error("SignatureDoesNotMatch")
        if any(name.startswith("x-amz-") and name not in names for name in headers):
            raise S3Error("AccessDenied", "There were headers present in the request which were not signed")
        limit, upload = parameters.get(MAX_BYTES), parameters.get(UPLOAD)
        return Permit(
            max_bytes=None if limit is None else int(limit),
            content_type=parameters.get(CONTENT_TYPE),
            disposition=parameters.get(DISPOSITION),
            part=None if upload is None else (upload, int(parameters[PART])),
        )

    def verify_policy(self, policy: str, signature: str) -> None:
        """Raise S3Error unless the policy of a form is one that was signed here."""
        expected = self._sign("POST", policy)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise S3Error("SignatureDoesNotMatch")

    def _sign(self, *parts: object) -> str:
        # JSON leaves no doubt where one part ends and the next begins.
        return hmac.new(self._secret, msgspec.json.encode(parts), hashlib.sha256).hexdigest()

    def _url(self, key: str) -> str:
        return f"{self._base()}{PATH}{quote(key)}"

    def _base(self) -> str:
        return (self.base_url() if callable(self.base_url) else self.base_url).rstrip("/")


def _declared(grant: UploadGrant) -> dict[str, str]:
    """The headers that an upload must carry, exactly so."""
    headers = {}
    if grant.content_type is not None:
        headers["Content-Type"] = grant.content_type
    if grant.size is not None:
        headers["Content-Length"] = str(grant.size)
    if grant.sha256 is not None:
        headers[CHECKSUM] = base64.b64encode(bytes.fromhex(grant.sha256)).decode()
    if grant.crc32 is not None:
        headers[CRC32] = base64.b64encode(bytes.fromhex(grant.crc32)).decode()
    if not grant.overwrite:
        headers["If-None-Match"] = "*"
    return headers


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise S3Error("AuthorizationQueryParametersError") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise S3Error("AuthorizationQueryParametersError")
    return parameters


KEY_FILE: Final = "signing.key"


def signing_key(data: Path) -> bytes:
    """The secret in `{data}/signing.key`, made on first use. Processes that start together agree on one."""
    path = data / KEY_FILE
    try:
        if not path.exists():
            temporary = path.with_name(f".signing.key.{secrets.token_hex(8)}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):  # another process was faster: its secret counts
                os.link(temporary, path)
            temporary.unlink()
            sync_folder(data)
        secret = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        raise ConfigurationError(f"The signing key {path} can not be used: {error.strerror}.") from error
    except ValueError:
        secret = b""
    if len(secret) < 32:
        raise ConfigurationError(f"{path} does not hold a signing key; remove it, and a new one is made.")
    return secret
