"""The front: the process that answers HTTP, the API and (on the embedded backend) the signed URLs of the storage."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from safelight import bootstrap, config
from safelight.entrypoints import connection
from safelight.entrypoints.api import create_app
from safelight.entrypoints.api.console import Console
from safelight.entrypoints.api.heads import answer_head
from safelight.entrypoints.process import BACKLOG, end_with_parent, log_to_stderr, say_ready

log = logging.getLogger(__name__)

END_WITHIN: Final = 5
"""Seconds that open requests may go on after the request to stop."""

THREADS: Final = 64
"""Requests in hand at once. They mostly wait for the disk, and all that wait share one commit."""

SWITCH_SECONDS: Final = 0.0005
"""How long one thread may keep the others waiting for the interpreter: a tenth of Python's own choice, since a request
changes threads several times."""


class LiveChanges:
    """Wakes the event streams of a job when the job changes, told by the backend's change pipe."""

    def __init__(self, source: bootstrap.ChangeSource) -> None:
        self._source = source
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def start(self) -> None:
        """Begin to listen; called on the event loop."""
        asyncio.get_running_loop().add_reader(self._source.fileno(), self._hear)

    def _hear(self) -> None:
        for job_id in self._source.read():
            for event in self._waiting.get(job_id, ()):
                event.set()

    async def wait(self, job_id: str, timeout: float) -> None:  # noqa: ASYNC109 (it is a part of the wait)
        """Return when the job has changed, or after `timeout` seconds."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]


class Front:
    """The ASGI application: requests below the storage's path go to the storage, a browser's for the console to the
    console, all others to the API."""

    def __init__(self, system: bootstrap.OnOneMachine, url: str) -> None:
        self._changes = LiveChanges(system.changes())
        self._api = create_app(
            system.service,
            drawing=system.previews,
            changes=self._changes,
            health=system.health,
            heads=True,
        )
        self._storage = system.storage_app()
        self._storage_paths = system.storage_paths
        self._console = Console(storage=system.service.settings.public_url or url)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self._changes.start()
            threads = ThreadPoolExecutor(THREADS, thread_name_prefix="safelight-api")
            asyncio.get_running_loop().set_default_executor(threads)
        if scope["type"] == "http" and scope["path"].startswith(self._storage_paths):
            await self._storage(scope, receive, send)
        elif scope["type"] == "http" and self._console.takes(scope):
            await self._console(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "HEAD":
            await answer_head(self._api, scope, send)
        else:
            await self._api(scope, receive, send)


class Server(connection.Server):
    """The HTTP server, telling the supervisor when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            say_ready()


def main(descriptor: int, url: str) -> None:
    """Answer HTTP on the listening socket with this descriptor; `url` is where clients reach it."""
    end_with_parent()
    settings = config.load()
    log_to_stderr("front", settings.log_level)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_SECONDS)
    with bootstrap.build_on_one_machine(settings, url=url) as system:
        server = Server(
            connection.Config(
                Front(system, url),
                connection.Bounds(settings.max_header_bytes, settings.header_seconds, settings.stall_seconds),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=END_WITHIN,
                backlog=BACKLOG,
            )
        )
        server.run(sockets=[socket.socket(fileno=os.dup(descriptor))])
