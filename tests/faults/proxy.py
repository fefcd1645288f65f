"""A bad network: a proxy on the loopback interface that fails what passes through it.

    unavailable   503, and the server never heard of it
    reset         the connection breaks, and the server never heard of it
    lost          the server has done it, and the connection breaks before the answer
    cut           the answer ends in the middle
    slow          the answer comes late

Which request meets which fate follows from the seed and the order in which requests come.
"""

import http.client
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Final, Self
from urllib.parse import urlsplit

FATES: Final = {"unavailable": 0.08, "reset": 0.06, "lost": 0.07, "cut": 0.04, "slow": 0.05}
"""How often each happens; everything else passes."""

SLOW_SECONDS: Final = 0.3
HOP_BY_HOP: Final = frozenset({"connection", "expect", "keep-alive", "transfer-encoding"})


class BadNetwork:
    """The proxy in front of `target`, while the `with` block runs. `away` makes every request fail."""

    def __init__(self, target: str, *, seed: int) -> None:
        self.away = False
        self.met: Counter[str] = Counter()
        parts = urlsplit(target)
        assert parts.hostname is not None
        self.target = (parts.hostname, parts.port or 80)
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="bad network")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fate(self) -> str:
        """What happens to the next request."""
        with self._lock:
            fate = self._random.choices([*FATES, "passed"], [*FATES.values(), 1.0 - sum(FATES.values())])[0]
            if self.away:
                fate = "reset"
            self.met[fate] += 1
            return fate


class Server(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], network: BadNetwork) -> None:
        self.network = network
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is nothing to tell of."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""

    def parse_request(self) -> bool:
        """Every method has the same handler."""
        if not super().parse_request():
            return False
        setattr(self, f"do_{self.command}", self._pass_on)
        return True

    def _pass_on(self) -> None:
        body = self._body()
        fate = self.server.network.fate()
        if fate == "unavailable":
            self._answer(503, [("Retry-After", "0")], b"")
            return
        if fate == "reset":
            self._break()
            return
        status, headers, content = self._ask(body)
        if fate == "lost":
            self._break()
            return
        if fate == "slow":
            time.sleep(SLOW_SECONDS)
        self._answer(status, headers, content, cut=fate == "cut")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        raw = b""
        while True:
            line = self.rfile.readline()
            size = int(line.split(b";")[0], 16)
            raw += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return raw

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the server answers. The request is as the client signed it, its Host included."""
        connection = http.client.HTTPConnection(*self.server.network.target, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length"}:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        length = str(len(content))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # of an answer to HEAD
            elif name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if cut:
            self.wfile.write(content[: len(content) // 2])
            self._break()
        else:
            self.wfile.write(content)

    def _break(self) -> None:
        """End the connection with a reset, as a machine that goes away does."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
