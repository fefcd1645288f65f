"""The storage endpoint: an ASGI application that takes and gives files below `/files/`, the way S3 does, and gives
public outputs below `/public/`, the way CloudFront does.

    PUT  /files/{key}     a signed URL; the body is the object, or one of its parts
    POST /files/          a form with a signed policy
    GET  /files/{key}     a signed URL; ranges and conditions
    HEAD /files/{key}     a URL signed for HEAD
    GET  /public/{path}   a public output, for everybody; HEAD, ranges and conditions, too

It uses no framework: it is on the way of every byte that comes in or goes out. Wrong use is answered with S3's status
and XML error code, so that a client needs one path for errors, here and on AWS. Two differences, both on the lenient
side: a chunked body without a length is taken, and there is no bucket.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from safelight.backends.embedded.downloads import Downloads
from safelight.backends.embedded.files import Files
from safelight.backends.embedded.links import Links
from safelight.backends.embedded.parts import Multiparts
from safelight.backends.embedded.request import Receive, Request, Scope, Send
from safelight.backends.embedded.s3 import S3Error
from safelight.backends.embedded.uploads import Created, Uploads
from safelight.backends.embedded.writing import Erased
from safelight.errors import BlobExists, BlobNotFound, InvalidRequest, PartsGone, StorageUnavailable
from safelight.ports import Clock

logger = logging.getLogger(__name__)

_THREADS: Final = 16
_EXPOSED: Final = "ETag, Location, Content-Range, x-amz-version-id, x-amz-request-id"


class Storage:
    """The ASGI application. `created` is told of every upload, in a thread, once it is durable."""

    def __init__(
        self,
        files: Files,
        links: Links,
        multiparts: Multiparts,
        *,
        created: Created,
        clock: Clock,
        cors_origins: Sequence[str] = ("*",),
    ) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="safelight-files")
        self._uploads = Uploads(files, links, multiparts, self._pool, created=created, clock=clock)
        self._downloads = Downloads(files, links, self._pool)
        self._origins = frozenset(origin.rstrip("/") for origin in cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive, send)
        request.always |= self._cors(request)
        try:
            await self._route(request)
        except Exception as error:
            refusal = _refusal(error)
            if isinstance(error, StorageUnavailable):
                reason = error.__cause__ or error
                logger.error(
                    "%s %s refused (request %s): %s", request.method, request.key, request.id, reason
                )
            elif refusal.status >= 500:
                logger.exception("%s %s failed (request %s)", request.method, request.key, request.id)
            if request.answered:
                raise
            headers = {"content-type": "application/xml", **refusal.headers}
            await request.answer(refusal.status, headers, refusal.body(request.key, request.id))

    def close(self) -> None:
        """Wait for what is being written."""
        self._pool.shutdown()

    async def _route(self, request: Request) -> None:
        if request.public is not None:
            await self._give_to_everybody(request, request.public)
            return
        match request.method, request.key:
            case "OPTIONS", _:
                await self._preflight(request)
            case "PUT", key if key:
                await self._uploads.put(request)
            case "POST", "":
                await self._uploads.post(request)
            case (("GET" | "HEAD"), key) if key:
                await self._downloads.get(request)
            case _, key:
                allow = "GET, HEAD, PUT, OPTIONS" if key else "POST, OPTIONS"
                raise S3Error("MethodNotAllowed", headers={"allow": allow})

    async def _give_to_everybody(self, request: Request, path: str) -> None:
        if request.method not in ("GET", "HEAD"):
            raise S3Error("MethodNotAllowed", headers={"allow": "GET, HEAD"})
        await self._downloads.give(request, path)

    # --- pages of other origins ---

    def _cors(self, request: Request) -> dict[str, str]:
        origin = request.headers.get("origin")
        if origin is None or not self._allowed(origin):
            return {} if "*" in self._origins else {"vary": "Origin"}
        if "*" in self._origins:
            return {"access-control-allow-origin": "*", "access-control-expose-headers": _EXPOSED}
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": _EXPOSED,
            "vary": "Origin",
        }

    def _allowed(self, origin: str) -> bool:
        return "*" in self._origins or origin in self._origins

    async def _preflight(self, request: Request) -> None:
        origin = request.headers.get("origin")
        method = request.headers.get("access-control-request-method")
        if origin is None or method is None:
            raise S3Error("BadRequest")
        if not self._allowed(origin) or method not in ("GET", "HEAD", "PUT", "POST"):
            raise S3Error("AccessForbidden")
        headers = {
            "access-control-allow-methods": "GET, HEAD, PUT, POST",
            "access-control-max-age": "3000",
            "vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
        }
        if asked := request.headers.get("access-control-request-headers"):
            headers["access-control-allow-headers"] = asked
        await request.answer(200, headers)


def _refusal(error: Exception) -> S3Error:
    """Our errors in S3's words."""
    match error:
        case S3Error():
            return error
        case BlobExists():
            return S3Error("PreconditionFailed")
        case PartsGone():
            return S3Error("NoSuchUpload", "The upload is complete, or it was given up.")
        case BlobNotFound():
            return S3Error("NoSuchKey")
        case Erased():
            return S3Error("NoSuchUpload")
        case InvalidRequest():
            return S3Error("InvalidArgument", error.message)
        case StorageUnavailable():  # a full disk, above all: it may have room again later
            return S3Error(
                "SlowDown",
                "The storage can not take this now; try again later.",
                headers={"retry-after": "5"},
            )
        case _:
            return S3Error("InternalError")
