"""The headers that every answer carries, whatever the answer is: a request id, CORS, and no guessing of types."""

import re
from typing import Final
from uuid import uuid4

from litestar.types import Message, Scope

from safelight.limits import Standing

ALLOWED_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Api-Key, X-Request-Id"
)
ALLOWED_METHODS: Final = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED_HEADERS: Final = (
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Image-Frames",
    "X-Image-Height",
    "X-Image-Output",
    "X-Image-Width",
    "X-Request-Id",
)
PREFLIGHT_KEPT: Final = "600"

REQUEST_ID: Final = "safelight.request_id"

STANDINGS: Final = "safelight.standings"
"""Where a request's state holds how its caller stands with the limits that it met."""

_SANE_ID: Final = re.compile(rb"[0-9A-Za-z._-]{1,64}")


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a request header; `name` in lower case."""
    return next((value for key, value in scope["headers"] if key == name), None)


def request_id(scope: Scope) -> str:
    """Names the request, in its answer and in the logs: by the client's own id, if that is a sane one."""
    state = scope["state"]
    if REQUEST_ID not in state:
        given = header(scope, b"x-request-id")
        state[REQUEST_ID] = given.decode() if given and _SANE_ID.fullmatch(given) else str(uuid4())
    name: str = state[REQUEST_ID]
    return name


class AnswerHeaders:
    """Adds to every answer what all of them carry. Runs for each of them, so it only appends ready-made bytes."""

    def __init__(self, cors_origins: tuple[str, ...], *, heads: bool = False) -> None:
        """`heads` says that HEAD is taken wherever GET is."""
        self._heads = heads
        self._every_origin = "*" in cors_origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in cors_origins)
        self._constant = [
            (b"x-content-type-options", b"nosniff"),
            (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode()),
        ]
        if self._every_origin:
            self._constant.append((b"access-control-allow-origin", b"*"))
        else:
            self._constant.append((b"vary", b"Origin"))
        self._preflight = [
            (b"access-control-allow-methods", ALLOWED_METHODS.encode()),
            (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
            (b"access-control-max-age", PREFLIGHT_KEPT.encode()),
        ]

    async def __call__(self, message: Message, scope: Scope) -> None:
        """Complete the headers of an answer that begins."""
        if message["type"] != "http.response.start":
            return
        headers = [*message["headers"], *self._constant]
        headers.append((b"x-request-id", request_id(scope).encode()))
        if standings := scope["state"].get(STANDINGS):
            headers += _rate_limit(standings)
        if not self._every_origin:
            origin = header(scope, b"origin")
            if origin in self._origins:
                headers.append((b"access-control-allow-origin", origin))
        asked = scope.get("method") == "OPTIONS"
        if asked:
            headers = [*_with_true_allow(headers, scope), *self._preflight]
        if self._heads and (asked or message["status"] == 405):
            headers = [_with_head(header) for header in headers]
        message["headers"] = headers


def _rate_limit(standings: list[Standing]) -> list[tuple[bytes, bytes]]:
    """How the caller stands, as draft-ietf-httpapi-ratelimit-headers-10 has it: each policy, and what is left of it."""
    policies = [
        f'"{each.policy}";q={each.limit}' + (f";w={each.window}" if each.window else "") for each in standings
    ]
    lefts = [
        f'"{each.policy}";r={each.remaining}' + (f";t={each.resets_in}" if each.resets_in else "")
        for each in standings
    ]
    return [
        (b"ratelimit-policy", ", ".join(policies).encode()),
        (b"ratelimit", ", ".join(lefts).encode()),
    ]


def _with_true_allow(headers: list[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    """The framework's answer to OPTIONS lists the methods of the first handler at an address; this lists them all."""
    template = scope.get("path_template")
    methods = {
        method
        for route in scope["litestar_app"].routes
        if route.path_format == template
        for method in route.methods
    }
    others = [header for header in headers if header[0] != b"allow"]
    return [*others, (b"allow", ", ".join(sorted(methods)).encode())] if methods else headers


def _with_head(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The header, with HEAD beside GET if it says which methods are allowed."""
    name, value = header
    methods = value.decode().split(", ")
    if name.lower() != b"allow" or "GET" not in methods or "HEAD" in methods:
        return header
    return name, ", ".join(sorted([*methods, "HEAD"])).encode()
