"""The console: the built pages in `safelight/web/`, answered at `/` beside the API.

It is an ASGI application of its own because it is not part of the API: nothing of it is in the description, it needs
no key (the pages ask for one, and the API checks it), and it knows neither jobs nor the service. Programs that ask
for `/` get the API's own answer; only who says that it takes HTML, as browsers do, gets the page.

All files are read when it is made: they are less than a megabyte.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import safelight

FOLDER: Final = Path(safelight.__file__).parent / "web"
PAGE: Final = "/"
FOREVER: Final = "public, max-age=31536000, immutable"
"""For files whose names change with their content."""

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def policy(storage: str) -> str:
    """The Content-Security-Policy: code and styles of our own alone, no inline ones; data from the API and from the
    storage at this address (empty: the same host). `blob:` and `data:` are pictures that the page makes itself."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(storage)) if storage else ""
    files = f"'self' {origin}".strip()
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {files} blob: data:",
            f"connect-src {files}",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    zipped: bytes | None
    headers: Headers


class Console:
    """The ASGI application. Ask `takes` first: it answers only what it takes."""

    def __init__(self, folder: Path = FOLDER, *, storage: str = "") -> None:
        """Read the pages in `folder`; without an `index.html` there nothing is taken. Signed URLs of the storage
        begin with `storage`."""
        self._assets: dict[str, Asset] = {}
        if (folder / "index.html").is_file():
            headers = guard(storage)
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = file.relative_to(folder).as_posix()
                self._assets[f"/{name}"] = _asset(name, file.read_bytes(), headers)
            self._assets[PAGE] = self._assets.pop("/index.html")

    def takes(self, scope: Scope) -> bool:
        """Whether a request is for a file of the console; one for `/` is if it asks for HTML rather than for JSON."""
        if scope["method"] not in ("GET", "HEAD") or scope["path"] not in self._assets:
            return False
        return scope["path"] != PAGE or prefers_html(_header(scope, b"accept"))

    async def __call__(self, scope: Scope, receive: object, send: Send) -> None:  # noqa: ARG002 (ASGI's)
        """Answer with the file; with 304 who has it already."""
        asset = self._assets[scope["path"]]
        etag = next(value for name, value in asset.headers if name == b"etag")
        held = {tag.strip().removeprefix("W/") for tag in _header(scope, b"if-none-match").split(",")}
        status, body, headers = 200, asset.body, list(asset.headers)
        if etag.decode().removeprefix("W/") in held:
            status, body = 304, b""
        elif asset.zipped is not None and "gzip" in _header(scope, b"accept-encoding"):
            body = asset.zipped
            headers.append((b"content-encoding", b"gzip"))
        if status == 200:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def prefers_html(accept: str) -> bool:
    """Whether a client that sent this Accept names HTML, and likes JSON no better. `*/*` names nothing: curl and HTTP
    libraries send it and mean JSON."""
    weights = {}
    for one in accept.lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weights[name] = float(quality)
        except ValueError:
            weights[name] = 0.0
    html = max(weights.get("text/html", 0.0), weights.get("application/xhtml+xml", 0.0))
    return html > 0 and html >= weights.get("application/json", 0.0)


def guard(storage: str) -> Headers:
    """What each of the pages is sent with, so that a browser keeps to it."""
    return [
        (b"content-security-policy", policy(storage).encode()),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
        # The pages hold signed URLs: no other host shall hear of them.
        (b"referrer-policy", b"no-referrer"),
    ]


def _asset(name: str, body: bytes, guarding: Headers) -> Asset:
    kind = content_type(name)
    hashed = name.startswith("assets/")
    zipped = gzip.compress(body, 9, mtime=0) if kind.startswith(("text/", "image/svg")) else None
    headers = [
        (b"content-type", kind.encode()),
        (b"cache-control", FOREVER.encode() if hashed else b"no-cache"),
        (b"etag", f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()),
        (b"vary", b"Accept, Accept-Encoding"),
        (b"x-content-type-options", b"nosniff"),
        *guarding,
    ]
    return Asset(body, zipped if zipped and len(zipped) < len(body) else None, headers)


def content_type(name: str) -> str:
    """The type of a file of the console."""
    return _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}


def _header(scope: Scope, name: bytes) -> str:
    """All values of a request header, as one."""
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)
