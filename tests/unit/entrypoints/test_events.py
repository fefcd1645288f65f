"""The promises of a job's event stream, with changes that the test tells of."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar import Litestar
from tests.unit.pipeline import ME, Pipeline

from safelight.entrypoints.api import create_app, events
from safelight.errors import JobNotFound, StorageUnavailable
from safelight.model import Job


class Told:
    """Changes that happen when the test says so; `waiting` tells that a listener has looked and listens again."""

    def __init__(self) -> None:
        self._events: list[asyncio.Event] = []
        self.waiting = asyncio.Event()
        self.timeouts: list[float] = []

    async def wait(self, job_id: str, timeout: float) -> None:  # noqa: ASYNC109 (the protocol's)
        event = asyncio.Event()
        self._events.append(event)
        self.timeouts.append(timeout)
        self.waiting.set()
        try:
            await event.wait()
        finally:
            self._events.remove(event)

    def tell(self) -> None:
        for event in self._events:
            event.set()

    @property
    def listeners(self) -> int:
        return len(self._events)


class Listener:
    """An answer as it arrives, chunk by chunk."""

    def __init__(self) -> None:
        self.started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.left = asyncio.Event()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.started.set_result(headers | {"status": message["status"]})
            return
        if message.get("body"):
            await self.chunks.put(message["body"])
        if not message.get("more_body"):
            await self.chunks.put(None)

    async def next(self) -> bytes | None:
        """The next chunk; None at the end."""
        async with asyncio.timeout(10):
            return await self.chunks.get()

    async def event(self) -> tuple[int, dict[str, Any]]:
        """The next event: its id and its job."""
        chunk = await self.next()
        assert chunk is not None
        name, number, data = chunk.decode().removesuffix("\n\n").split("\n")
        assert name == "event: job"
        return int(number.removeprefix("id: ")), json.loads(data.removeprefix("data: "))


@asynccontextmanager
async def listening(app: Litestar, path: str, last_event_id: str | None = None) -> AsyncIterator[Listener]:
    """Listen at a path until the block ends; leaving the block is the client going away."""
    listener = Listener()
    asked = False

    async def receive() -> Any:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await listener.left.wait()
        return {"type": "http.disconnect"}

    headers = [(b"host", b"api.example")]
    if last_event_id is not None:
        headers.append((b"last-event-id", last_event_id.encode()))
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
    }
    scope |= {
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
    }
    task = asyncio.create_task(app(scope, receive, listener.send))
    try:
        yield listener
    finally:
        listener.left.set()
        async with asyncio.timeout(10):
            await task


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine on a loop of its own."""
    asyncio.run(test)


def path_of(job: Job) -> str:
    return f"/jobs/{job.id}/events"


def test_a_job_s_life_as_events() -> None:
    """The state now, then each change as it happens, with the revision as id; after the end the stream closes."""

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        app = create_app(pipeline.service, changes=told)
        job = pipeline.request()
        async with listening(app, path_of(job)) as listener:
            headers = await listener.started
            assert headers["status"] == 200
            assert headers["content-type"].startswith("text/event-stream")
            assert headers["cache-control"] == "no-store"
            assert await listener.next() == b"retry: 2000\n\n"
            number, shown = await listener.event()
            assert (number, shown["stage"]) == (job.revision, "awaiting_upload")
            await told.waiting.wait()
            job = pipeline.send(job)
            told.tell()
            assert (await listener.event())[1]["stage"] == "queued"
            pipeline.work()
            job = pipeline.now(job)
            told.tell()
            number, shown = await listener.event()
            assert (number, shown["status"]) == (job.revision, "COMPLETED")
            assert shown["downloadUrl"].startswith("https://storage.invalid/")
            assert await listener.next() is None
        assert told.listeners == 0

    run(test())


def test_no_change_falls_between_looking_and_waiting() -> None:
    """Whenever the stream looks at the job, it is listening already: a change right after the look wakes it."""

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        job = pipeline.request()
        loop = asyncio.get_running_loop()
        real = pipeline.service.describe
        listeners: list[int] = []

        def describe(owner: str, job_id: str) -> Job:
            listeners.append(told.listeners)
            seen = real(owner, job_id)
            if len(listeners) == 2:
                pipeline.send(job)
                loop.call_soon_threadsafe(told.tell)
            return seen

        pipeline.service.describe = describe  # type: ignore[method-assign]
        async with listening(create_app(pipeline.service, changes=told), path_of(job)) as listener:
            await listener.next()
            assert (await listener.event())[1]["stage"] == "awaiting_upload"
            assert (await listener.event())[1]["stage"] == "queued"
        assert listeners == [0, 1, 1]  # the first look only decides whether there is a stream at all

    run(test())


@pytest.mark.parametrize("last", [None, "99", "nonsense"])
def test_a_job_that_has_ended_is_not_listened_to(last: str | None) -> None:
    """204 tells an EventSource to stop, unless there is something that it has not seen."""

    async def test() -> None:
        pipeline = Pipeline()
        job = pipeline.completed()
        async with listening(create_app(pipeline.service), path_of(job), last) as listener:
            assert (await listener.started)["status"] == 204
            assert await listener.next() is None

    run(test())


def test_who_missed_the_end_is_told() -> None:
    """A client that lost its connection before the end gets the end, and 204 only the next time."""

    async def test() -> None:
        pipeline = Pipeline()
        job = pipeline.completed()
        app = create_app(pipeline.service)
        async with listening(app, path_of(job), "1") as listener:
            assert (await listener.started)["status"] == 200
            await listener.next()
            number, shown = await listener.event()
            assert (number, shown["status"]) == (job.revision, "COMPLETED")
            assert await listener.next() is None
        async with listening(app, path_of(job), str(number)) as listener:
            assert (await listener.started)["status"] == 204

    run(test())


def test_what_was_seen_is_not_sent_again() -> None:
    """A client that comes back with the id of the last event gets the next change, not the same state again."""

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        job = pipeline.request()
        app = create_app(pipeline.service, changes=told)
        async with listening(app, path_of(job), str(job.revision)) as listener:
            await listener.next()
            await told.waiting.wait()
            pipeline.send(job)
            told.tell()
            assert (await listener.event())[1]["stage"] == "queued"

    run(test())


def test_silence_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing changes, comments are sent, which clients ignore and proxies see."""
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.0)

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        job = pipeline.request()
        async with listening(create_app(pipeline.service, changes=told), path_of(job)) as listener:
            await listener.next()
            await listener.event()
            for _ in range(3):
                told.waiting.clear()
                told.tell()
                assert await listener.next() == b":\n\n"

    run(test())


def test_the_wait_ends_in_time_for_a_comment() -> None:
    """The stream never waits longer than a proxy would."""

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        job = pipeline.request()
        async with listening(create_app(pipeline.service, changes=told), path_of(job)) as listener:
            await listener.next()
            await listener.event()
            await told.waiting.wait()
        assert set(told.timeouts) == {15.0}

    run(test())


def test_a_client_that_goes_away_leaves_nothing() -> None:
    """When the connection ends, so does the wait for changes."""

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        job = pipeline.request()
        async with listening(create_app(pipeline.service, changes=told), path_of(job)) as listener:
            await listener.next()
            await listener.event()
            await told.waiting.wait()
            assert told.listeners == 1
        await asyncio.sleep(0)
        assert told.listeners == 0

    run(test())


def test_a_deleted_job_ends_its_stream() -> None:
    """The stream of a job that is deleted closes; asked again, the job is not found."""

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        job = pipeline.request()
        app = create_app(pipeline.service, changes=told)
        async with listening(app, path_of(job)) as listener:
            await listener.next()
            await listener.event()
            await told.waiting.wait()
            pipeline.service.delete(ME, job.id)
            told.tell()
            assert await listener.next() is None
        async with listening(app, path_of(job)) as listener:
            assert (await listener.started)["status"] == 404

    run(test())


def test_a_store_that_is_away_does_not_end_the_stream() -> None:
    """While the store does not answer the stream waits; afterwards it goes on."""

    async def test() -> None:
        pipeline, told = Pipeline(), Told()
        job = pipeline.request()
        async with listening(create_app(pipeline.service, changes=told), path_of(job)) as listener:
            await listener.next()
            await listener.event()
            real = pipeline.ports.jobs.get
            failed = asyncio.Event()
            loop = asyncio.get_running_loop()

            def get(job_id: str) -> Job:
                if not failed.is_set():
                    loop.call_soon_threadsafe(failed.set)
                    raise StorageUnavailable
                return real(job_id)

            await told.waiting.wait()
            pipeline.send(job)
            pipeline.ports.jobs.get = get  # type: ignore[method-assign]
            told.tell()
            await failed.wait()
            told.tell()
            assert (await listener.event())[1]["stage"] == "queued"

    run(test())


def test_where_answers_can_not_be_kept_open() -> None:
    """Such a host tells the state now and closes; the client comes back by itself after two seconds."""

    async def test() -> None:
        pipeline = Pipeline()
        job = pipeline.request()
        app = create_app(pipeline.service, streaming=False)
        async with listening(app, path_of(job)) as listener:
            assert await listener.next() == b"retry: 2000\n\n"
            assert (await listener.event())[0] == job.revision
            assert await listener.next() is None

    run(test())


def test_listening_to_a_job_that_is_not_there() -> None:
    """404, as for the job itself."""

    async def test() -> None:
        pipeline = Pipeline()
        with pytest.raises(JobNotFound):
            pipeline.service.describe(ME, "x")
        async with listening(create_app(pipeline.service), "/jobs/x/events") as listener:
            assert (await listener.started)["status"] == 404

    run(test())
