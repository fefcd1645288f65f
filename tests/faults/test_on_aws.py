"""A function that outlives its lease, on whichever backend: the fence is in the job, not in the machine."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

import msgspec
import pytest
from tests.support import servers
from tests.support.on_aws import OnAws

from safelight.backends.aws.border import Clients
from safelight.config import Settings
from safelight.heartbeat import Worker
from safelight.model import JobState, Source, Wake
from safelight.ports import Ports, Rendering
from safelight.recipes import Book
from safelight.service import Service
from safelight.testing import Clock, Renderer, in_memory
from safelight.uploads import UploadRequest


@pytest.fixture(params=["memory", "aws"])
def ports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """The ports of a backend, with a clock that the test moves."""
    clock = Clock()
    memory = in_memory(clock)
    if request.param == "memory":
        yield memory
        return
    with ExitStack() as stack:
        try:
            url = stack.enter_context(servers.emulator())
        except servers.Absent as absent:
            pytest.skip(str(absent))
        for variable, value in {"AWS_ENDPOINT_URL": url, **servers.CREDENTIALS}.items():
            monkeypatch.setenv(variable, value)
        on_aws = OnAws("aws", Clients(servers.REGION), clock)
        stack.callback(on_aws.close)
        real = {"blobs": on_aws.blobs, "jobs": on_aws.jobs, "records": on_aws.records, "queue": on_aws.queue}
        yield msgspec.structs.replace(memory, **real)


class SlowFunction(Renderer):
    """Draws for so long that its lease runs out, and another function has done the job when it is ready."""

    def __init__(self, ports: Ports) -> None:
        super().__init__()
        self.another: Service | None = None
        self._ports = ports

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        """See `ports.Renderer.render`."""
        rendering = super().render(file, source, recipe)
        assert self.another is not None
        assert isinstance(self._ports.clock, Clock)
        self._ports.clock.advance(self.another.settings.lease_seconds + 1.0)
        job_id = source.key.split("/")[1]
        self.another.process(Wake(job_id=job_id, key=source.key, group="ann"), Worker(name="another"))
        return rendering


def test_a_function_that_outlives_its_lease_changes_nothing(ports: Ports) -> None:
    """The other one completed the job; the late one's outputs are thrown away and the job is completed once."""
    import io

    settings = Settings()
    slow = SlowFunction(ports)
    late = Service(settings, msgspec.structs.replace(ports, renderer=slow), Book(settings))
    slow.another = Service(settings, msgspec.structs.replace(ports, renderer=Renderer()), Book(settings))
    for _ in range(5):
        job = late.request_upload("ann", UploadRequest(filename="a.jpg"))
        info = ports.blobs.put(job.upload.key, io.BytesIO(b"picture"), content_type="image/jpeg")
        late.dispatch(info.key, info.version, info.bytes)
        late.process(Wake(job_id=job.id, key=info.key, group="ann"), Worker(name="late"))
        done = ports.jobs.get(job.id)
        assert (done.state, done.attempt) == (JobState.COMPLETED, 2)
        assert [moment.state for moment in done.timeline].count(JobState.COMPLETED) == 1
        stored = [blob.key for blob in ports.blobs.list(f"processed/uploads/{job.id}/").items]
        assert stored == [output.key for output in done.outputs]
