"""One request of the storage endpoint, as ASGI gives it: its headers, its body in pieces, and its answer."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from safelight.backends.embedded.links import PATH, PUBLIC_PATH
from safelight.backends.embedded.s3 import S3Error

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DRAINED_BYTES: Final = 64 * 2**20
DRAINED_SECONDS: Final = 10.0


class Request:
    """A request and its answer. `key` is what comes after `/files/` in its path; `public` what comes after `/public/`,
    or None."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        self.key = path.removeprefix(PATH.rstrip("/")).removeprefix("/")
        self.public = path.removeprefix(PUBLIC_PATH) if path.startswith(PUBLIC_PATH) else None
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]},{value}" if name in self.headers else value
        self.id = secrets.token_hex(8).upper()
        self.always: dict[str, str] = {"x-amz-request-id": self.id}
        self.answered = False
        self._receive, self._send = receive, send
        self._begun = False
        self._ended = not ("content-length" in self.headers or "transfer-encoding" in self.headers)

    @property
    def length(self) -> int | None:
        """The length that the body is declared to have."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body. Raise S3Error if the client goes away in the middle."""
        while not self._ended:
            self._begun = True
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._ended = True
                raise S3Error("IncompleteBody")
            self._ended = not message.get("more_body", False)
            if body := message.get("body", b""):
                yield body

    async def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Answer with a short body, even if the request's own body has not been read."""
        unread = not self._ended
        if unread:
            headers = {**headers, "connection": "close"}
        await self.begin(status, {"content-length": str(len(body)), **headers})
        body = b"" if self.method == "HEAD" else body
        await self.send(body, more=unread)
        if unread:
            await self._drain()
            await self.send(b"", more=False)

    async def begin(self, status: int, headers: dict[str, str]) -> None:
        """Send the status and the headers."""
        self.answered = True
        pairs = [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in {**self.always, **headers}.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def send(self, body: bytes, *, more: bool) -> None:
        """Send a part of the answer's body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _drain(self) -> None:
        """Read on for a while after the answer. If the connection were closed with data unread, the system would
        reset it, and the client could lose the answer before it has seen it."""
        if not self._begun and "expect" in self.headers:
            return  # the client still waits to be told to send
        drained = 0
        with suppress(S3Error, TimeoutError):
            async with asyncio.timeout(DRAINED_SECONDS):
                async for chunk in self.chunks():
                    drained += len(chunk)
                    if drained > DRAINED_BYTES:
                        return
