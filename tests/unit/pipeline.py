"""The pipeline in memory, moved one step at a time: what its clients, its storage and its workers would do."""

import io
from typing import Any

from safelight.config import Settings
from safelight.heartbeat import Worker
from safelight.model import Claim, Job
from safelight.ports import BlobInfo, Delivery
from safelight.recipes import Book
from safelight.service import Service
from safelight.sweeper import Sweeper
from safelight.testing import Clock, in_memory
from safelight.uploads import UploadRequest

ME = "local"


class Pipeline:
    """A service on in-memory ports, with a clock that stands still."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.ports = in_memory(self.clock)
        self.settings = Settings(**settings)
        self.service = Service(self.settings, self.ports, Book(self.settings))
        self.sweeper = Sweeper(self.service)

    def request(self, owner: str = ME, **said: Any) -> Job:
        """A client asks for an upload."""
        return self.service.request_upload(owner, UploadRequest(**({"filename": "beach.jpg"} | said)))

    def store(self, job: Job, content: bytes = b"picture") -> BlobInfo:
        """The client sends the file; the storage's event is lost."""
        return self.ports.blobs.put(job.upload.key, io.BytesIO(content), content_type="image/jpeg")

    def send(self, job: Job, content: bytes = b"picture") -> Job:
        """The client sends the file, and the storage says so."""
        stored = self.store(job, content)
        self.service.dispatch(stored.key, stored.version, stored.bytes)
        return self.now(job)

    def receive(self) -> Delivery | None:
        """A worker looks at the queue."""
        return self.ports.inbox.receive(wait=0.0, visibility=60.0)

    def work(self, worker: Worker = Worker(name="worker")) -> int:  # noqa: B008 (frozen)
        """A worker does whatever can be done now. Return how many messages that were."""
        count = 0
        while delivery := self.receive():
            count += 1
            delay = self.service.process(delivery.wake, worker)
            if delay is None:
                self.ports.inbox.ack(delivery)
            else:
                self.ports.inbox.retry(delivery, max(delay, 0.001))
        return count

    def claim(self, job: Job, claim: Claim) -> Job:
        """A worker claims the job, and does no more than that."""
        return self.ports.jobs.update(job.id, lambda job: job.claimed(claim, now=self.clock()))

    def now(self, job: Job) -> Job:
        """The job as it is now."""
        return self.ports.jobs.get(job.id)

    def completed(self, **said: Any) -> Job:
        """A job on its whole way."""
        job = self.send(self.request(**said))
        self.work()
        return self.now(job)

    def failing(self, *errors: Exception) -> None:
        """Let the next renderings end with these errors."""
        self.ports.renderer.failures.extend(errors)  # type: ignore[attr-defined]
