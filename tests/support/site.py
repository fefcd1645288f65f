"""The console as a static site, far from its API: what a distribution serves, on a port of this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from safelight.entrypoints.api import console


@contextmanager
def site(api: str, storage: str) -> Iterator[str]:
    """The address of the pages, until the block ends. They call this API, and are guarded as if it and the storage were
    below the address `storage`."""
    guarding = [(name.decode(), value.decode()) for name, value in console.guard(storage)]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].strip("/") or "index.html"
            path = (console.FOLDER / name).resolve()
            if name == "config.json":
                body = json.dumps({"api": api}).encode()
            elif path.is_relative_to(console.FOLDER) and path.is_file():
                body = path.read_bytes()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            for header, value in guarding:
                self.send_header(header, value)
            self.send_header("Content-Type", console.content_type(name))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
