"""A receiver of webhooks on the loopback interface, which checks what it gets as receivers do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks import Webhook as Check


class Received(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The event's."""
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The message, checked with the library that receivers use. Raises WebhookVerificationError."""
        return Check(secret).verify(self.body, self.headers)


class Receiver:
    """Takes every POST and answers as it is told: `answer` is called in the request's thread, with the request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.answer: Callable[[Received], int | tuple[int, dict[str, str]]] = lambda _request: 204
        self._came = threading.Condition()

    def take(self, request: Received) -> tuple[int, dict[str, str]]:
        """Take a request; what to answer."""
        with self._came:
            self.received.append(request)
            self._came.notify_all()
        said = self.answer(request)
        return said if isinstance(said, tuple) else (said, {})

    def wait(self, count: int, *, within: float = 30.0) -> list[Received]:
        """The requests, once there are so many."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.received) >= count, within), self.received
            return list(self.received)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = made.take(Received(self.path, headers, body))
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
