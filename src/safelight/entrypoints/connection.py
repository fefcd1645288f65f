"""A client's connection, with bounds on what it may cost: how long a head may be and take, and how slow bytes may come
and go.

Uvicorn waits for ever for the rest of a request, and its fast parser takes a head of any length. So one machine could
hold every connection of the server open with a few bytes a minute (slowloris), or fill its memory with one header.
"""

import asyncio
import logging
import time
from typing import Any, Final, NamedTuple

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

log = logging.getLogger(__name__)

SLOWEST: Final = 500
"""Bytes a second that have to move, on average over a stretch of time."""


class Bounds(NamedTuple):
    """What a connection may cost."""

    header_bytes: int
    header_seconds: float
    stall_seconds: float


class Config(uvicorn.Config):
    """Uvicorn's configuration, with bounds for every connection."""

    def __init__(self, app: Any, bounds: Bounds, **options: Any) -> None:
        super().__init__(app, http=Connection, **options)
        self.bounds = bounds


class Server(uvicorn.Server):
    """Uvicorn, looking at every connection once a second."""

    async def on_tick(self, counter: int) -> bool:
        """What uvicorn does ten times a second."""
        if counter % 10 == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(now)
        return await super().on_tick(counter)


class _Stretch:
    """Bytes that moved since a moment."""

    def __init__(self, began: float, excused: bool = False) -> None:
        self.began = began
        self.bytes = 0
        self.excused = excused

    def too_slow(self, now: float, seconds: float) -> bool:
        """Whether it is long enough to judge, and too little has moved."""
        return now - self.began >= seconds and not self.excused and self.bytes < SLOWEST * seconds


class Connection(HttpToolsProtocol):
    """One connection. A head too long or too late is answered and cut; a body or an answer that stalls is cut."""

    def __init__(self, config: Config, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self._bounds = config.bounds
        self._head_since: float | None = None
        self._head_bytes = 0
        self._receiving: _Stretch | None = None
        self._sending: _Stretch | None = None
        self._unsent = 0
        self._refused = False

    # --- what happens on the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._head_since = time.monotonic()  # who connects and says nothing is late, too

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._receiving is not None:
            self._receiving.bytes += len(data)
        else:
            if self._head_since is None:
                self._head_since, self._head_bytes = time.monotonic(), 0
            self._head_bytes += len(data)
        super().data_received(data)
        if self._receiving is not None:
            self._receiving.excused |= self.flow.read_paused  # it is we who are slow
        elif self._head_since is not None and self._head_bytes > self._bounds.header_bytes:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_since is None:  # it came together with the end of the request before
            self._head_since, self._head_bytes = time.monotonic(), 0

    def on_headers_complete(self) -> None:
        self._head_since = None
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._bounds.header_bytes:
            self._refuse(b"431 Request Header Fields Too Large")
        if self._refused:
            return
        self._receiving = _Stretch(time.monotonic())
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._receiving = None
        if not self._refused:
            super().on_message_complete()

    def resume_writing(self) -> None:
        self._sending = None
        super().resume_writing()

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        """The request in hand; before the first one there is none, which uvicorn's type does not say."""
        return self.cycle

    # --- what is looked at from time to time ---

    def look(self, now: float) -> None:
        """Cut the connection if it is too slow."""
        bounds = self._bounds
        if self._head_since is not None and now - self._head_since >= bounds.header_seconds:
            if self._head_bytes:
                self._refuse(b"408 Request Timeout")
            else:
                self.transport.close()
            self._head_since = None
        if self._receiving is not None:
            self._look_at_body(self._receiving, now)
        if self.flow.write_paused or self.transport.is_closing():
            self._look_at_answer(now)

    def _look_at_body(self, stretch: _Stretch, now: float) -> None:
        cycle = self._cycle
        waits_for_us = self.flow.read_paused or (cycle is not None and cycle.waiting_for_100_continue)
        stretch.excused |= waits_for_us
        if stretch.too_slow(now, self._bounds.stall_seconds):
            self._cut("body")
        elif now - stretch.began >= self._bounds.stall_seconds:
            self._receiving = _Stretch(now, excused=waits_for_us)

    def _look_at_answer(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if self._sending is None:
            self._sending, self._unsent = _Stretch(now), unsent
            return
        # While it is paused nothing is added, so that what is missing was sent.
        self._sending.bytes = max(0, self._unsent - unsent)
        if self._sending.too_slow(now, self._bounds.stall_seconds):
            self._cut("answer")
        elif now - self._sending.began >= self._bounds.stall_seconds:
            self._sending, self._unsent = _Stretch(now), unsent

    def _cut(self, what: str) -> None:
        log.debug("cut off, too slow: %s", what, extra={"client": self.client})
        self.transport.abort()

    def _refuse(self, status: bytes) -> None:
        """Answer in plain bytes: there is no request that the application could answer."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        log.debug("refused: %s", status.decode(), extra={"client": self.client})
        cycle = self._cycle
        if cycle is None or cycle.response_complete:  # otherwise an answer is under way: no second one
            self.transport.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self.transport.close()
