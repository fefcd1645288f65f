"""S3's answers to wrong use: the statuses, codes and messages that clients of S3 already understand."""

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape  # nosec B406 # writes XML, and reads none

_ANSWERS: Final[dict[str, tuple[int, str]]] = {
    "AccessDenied": (403, "Access Denied"),
    "AccessForbidden": (403, "CORSResponse: This CORS request is not allowed."),
    "AuthorizationQueryParametersError": (400, "The query parameters that sign this request are malformed."),
    "BadDigest": (400, "The digest you specified did not match the calculated checksum."),
    "BadRequest": (400, "Insufficient information. Origin request header needed."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size"),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed size"),
    "IncompleteBody": (
        400,
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    ),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidDigest": (400, "The Content-MD5 you specified is not valid."),
    "InvalidPolicyDocument": (400, "The content of the form does not meet the conditions of its policy."),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InvalidRequest": (400, "Invalid Request"),
    "MalformedPOSTRequest": (
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    ),
    "MaxPostPreDataLengthExceeded": (
        400,
        "Your POST request fields preceding the upload file was too large.",
    ),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The object was erased while it was being uploaded."),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented"),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "SignatureDoesNotMatch": (
        403,
        "The request signature we calculated does not match the signature you provided.",
    ),
    "SlowDown": (503, "Please reduce your request rate."),
}


class S3Error(Exception):
    """A refusal in S3's words. Not a SafelightError: it never leaves the storage endpoint."""

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        self.code = code
        self.status, standard = _ANSWERS[code]
        self.message = message or standard
        self.headers = headers or {}
        self.details = {name: str(value) for name, value in (details or {}).items()}
        """What S3 tells besides, each in an element of its own."""
        super().__init__(f"{self.status} {code}: {self.message}")

    def body(self, key: str, request_id: str) -> bytes:
        """The XML document."""
        said = {"Code": self.code, "Message": self.message, **self.details}
        return document("Error", **said, Key=key, RequestId=request_id)


def document(root: str, **elements: str) -> bytes:
    """A flat XML document."""
    inner = "".join(f"<{name}>{escape(_printable(text))}</{name}>" for name, text in elements.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}</{root}>'.encode()


def _printable(text: str) -> str:
    """XML can not hold control characters, not even escaped ones."""
    return "".join(character if character.isprintable() else "?" for character in text)
