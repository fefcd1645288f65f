"""A job's changes as Server-Sent Events. A listener costs a coroutine, and a thread only while it looks at the job."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from litestar import Response, get
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath
from litestar.response import Stream

from safelight.entrypoints.api.context import Call
from safelight.entrypoints.api.requests import read_job_id
from safelight.entrypoints.api.views import view_job
from safelight.errors import JobNotFound, SafelightError
from safelight.model import Job

log = logging.getLogger(__name__)

KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a comment is sent: proxies close what looks dead."""

RETRY: Final = b"retry: 2000\n\n"
"""How many milliseconds a client waits before it listens again, where an answer can not be kept open."""

HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@get("/jobs/{job_id:str}/events")
async def listen(request: Call, job_id: FromPath[str]) -> Response[bytes] | Stream:
    """The job now and at every change until it has ended, as events named `job` whose id is the job's revision.

    204, which tells an EventSource to stop, if it has ended and there is nothing that the client has not seen.
    """
    wanted = read_job_id(job_id)
    job = await sync_to_thread(request.describe, wanted)
    seen = _last_seen(request)
    if job.state.terminal and (seen is None or seen >= job.revision):
        return Response(b"", status_code=204, headers={"Cache-Control": "no-store"})
    return Stream(_events(request, job, seen), media_type="text/event-stream", headers=HEADERS)


def _last_seen(request: Call) -> int | None:
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def _events(request: Call, job: Job, seen: int | None) -> AsyncIterator[bytes]:
    context, owner = request.context, job.owner
    yield RETRY
    spoke_at = time.monotonic()
    while True:
        # Listening begins before looking, so that no change falls between the two.
        waiting = asyncio.ensure_future(context.changes.wait(job.id, KEEP_ALIVE))
        try:
            await asyncio.sleep(0)
            try:
                job = await sync_to_thread(context.service.describe, owner, job.id)
            except JobNotFound:  # deleted: the client learns it when it listens again
                return
            except SafelightError as error:  # the store is away; it is asked again
                log.warning("event stream: %s", error, extra={"job": job.id})
            if seen is None or job.revision > seen:
                yield await sync_to_thread(_event, request, job)
                seen, spoke_at = job.revision, time.monotonic()
            elif time.monotonic() - spoke_at >= KEEP_ALIVE:
                yield b":\n\n"
                spoke_at = time.monotonic()
            if job.state.terminal or not context.streaming:
                return
            await waiting
        finally:
            waiting.cancel()


def _event(request: Call, job: Job) -> bytes:
    data = msgspec.json.encode(view_job(request.service, job))
    return b"event: job\nid: %d\ndata: %s\n\n" % (job.revision, data)
