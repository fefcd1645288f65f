"""What the processes of `lab` do: whole lives of jobs, by the real code on a real data folder, one step at a time.

Each is given a `Stage`: the system as `bootstrap` builds it, with a clock that was moved and a renderer that draws in
the process itself, since these processes live for milliseconds; and the promises, which it keeps up to date.
"""

import hashlib
import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any, Final

from tests.faults.promises import Promises

from safelight import bootstrap
from safelight.backends.embedded.parts import Multiparts
from safelight.config import Settings
from safelight.entrypoints import worker
from safelight.entrypoints.payloads import body_of
from safelight.errors import JobNotFound, RendererUnavailable
from safelight.heartbeat import Worker
from safelight.imaging.renderer import render_in_process
from safelight.model import Notice, Source, Wake
from safelight.multipart import MultipartUploads
from safelight.outgoing import Answered
from safelight.ports import Rendering
from safelight.sweeper import Sweeper
from safelight.uploads import PART_SIZE, UploadRequest
from safelight.webhooks.courier import Courier

ME: Final = "local"
TWO_OUTPUTS: Final = {
    "version": 1,
    "steps": {"mark": {"op": "watermark", "text": "two"}},
    "outputs": {
        "one": {"use": "mark", "format": "same", "primary": True},
        "two": {"use": "original", "format": "same"},
    },
}


class Drawing:
    """The real renderer without its sandbox. The first rendering of a file called flaky fails for no fault of it."""

    failed = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        """See `ports.Renderer.render`."""
        if source.key.endswith("flaky.jpg") and not Drawing.failed:
            Drawing.failed = True
            raise RendererUnavailable
        return render_in_process(file, source, recipe, self._settings)

    def start(self) -> tuple[str, ...]:
        """Nothing is to be started."""
        return ()

    def close(self) -> None:
        """Nothing is to be stopped."""


class MovedClock:
    """The time as everything in this process is told it."""

    def __init__(self) -> None:
        self._clock = time.time
        self._ahead = 0.0
        time.time = self

    def __call__(self) -> float:
        return self._clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let the clock jump ahead."""
        self._ahead += seconds


class Hooked:
    """The receiver of webhooks: takes what is sent, and writes it down."""

    def __init__(self, told: Promises) -> None:
        self._told = told

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """See `courier.Sender`."""
        assert url == "https://93.184.216.34/"
        message = json.loads(body)
        about = message["data"].get("jobId") or message["data"]["batchId"]
        self._told.tell("hooked", id=headers["webhook-id"], job=about, type=message["type"])
        return Answered(200)

    def close(self) -> None:
        """Nothing is under way."""


class Stage:
    """One process's hands on the pipeline."""

    def __init__(
        self, system: bootstrap.OnOneMachine, told: Promises, clock: MovedClock, picture: bytes
    ) -> None:
        self.system = system
        self.clock = clock
        self.service = system.service
        self.told = told
        self.picture = picture
        self.sweeper = Sweeper(system.service, self._announce)
        self.courier = Courier(system.webhooks, partial(body_of, system.service), lambda: Hooked(told))

    def _announce(self, notice: Notice) -> None:
        self.system.webhooks.spread(notice)
        if notice.whole_batch:
            assert notice.batch is not None
            self.told.tell("batch notice", id=notice.id, batch=notice.batch.id)
            return
        self.told.tell("notice", id=notice.id, job=notice.job_id, state=notice.state)

    def want_to_be_told(self) -> None:
        """A client registers a webhook."""
        if not self.system.webhooks.endpoints.of(ME):
            self.system.webhooks.endpoints.register(ME, "https://93.184.216.34/")
        self.told.tell("registered")

    def request(self, filename: str = "beach.jpg", **said: Any) -> str:
        """A client asks for an upload."""
        job = self.service.request_upload(ME, UploadRequest(filename=filename, **said))
        self.told.tell("requested", job=job.id)
        return job.id

    def upload(self, job_id: str, body: bytes | None = None, *, event: bool = True) -> None:
        """The storage takes the file, tells of it (or the event is lost), and answers."""
        body = self.picture if body is None else body
        sha256 = hashlib.sha256(body).hexdigest()
        self.told.tell("sending", sha256=sha256)
        key = self.service.describe(ME, job_id).upload.key
        info = self.service.ports.blobs.put(key, io.BytesIO(body), content_type="image/jpeg")
        if event:
            self.service.dispatch(info.key, info.version, info.bytes)
        self.told.tell("uploaded", job=job_id, sha256=sha256, at=time.time())

    def upload_in_parts(self) -> None:
        """A client sends a file in parts, one of them twice, and completes it."""
        body = self.picture + bytes(PART_SIZE * 2)
        sha256 = hashlib.sha256(body).hexdigest()
        job_id = self.request("parts.jpg", size=len(body), multipart=True)
        self.told.tell("sending", sha256=sha256)
        parts = self.service.ports.multiparts
        assert isinstance(parts, Multiparts)
        uploads = MultipartUploads(self.service)
        page = uploads.page(ME, job_id, start=1, limit=10)
        multipart = self.service.describe(ME, job_id).upload
        assert multipart.multipart is not None
        upload_id = multipart.multipart.id or ""
        for number, content in (
            (1, b"wrong"),
            *((n, body[(n - 1) * PART_SIZE :][:PART_SIZE]) for n in page.links),
        ):
            writer = parts.writer(multipart.key, upload_id, number)
            writer.write(content)
            writer.commit()
        uploads.complete(ME, job_id, uploads.page(ME, job_id, start=1, limit=10).uploaded)
        self.told.tell("uploaded", job=job_id, sha256=sha256, at=time.time())

    def work(self) -> None:
        """Carry on whatever the queue has, until there is nothing to do now."""
        stop = worker.Stop(self.system)
        inbox = self.service.ports.inbox
        while delivery := inbox.receive(wait=0, visibility=self.service.settings.lease_seconds + 1.0):
            turn = worker.Turn(threading.Lock())
            turn.take()
            worker.handle(self.service, delivery, "worker-0", stop, turn)
            turn.give()

    def sweep(self) -> None:
        """What the keeper does every minute."""
        self.sweeper.sweep()
        self.courier.run(60.0)
        self.system.clean()


# --- the acts ---------------------------------------------------------------------------------------------


def journey(stage: Stage) -> None:
    """Every kind of job from beginning to end, everything that the pipeline does once or more."""
    stage.want_to_be_told()
    stage.request("never-uploaded.jpg")
    stage.upload(stage.request())
    stage.upload(stage.request("two.jpg", recipe=TWO_OUTPUTS))
    stage.upload(stage.request("bad.jpg"), b"this is no picture")
    stage.upload(stage.request("flaky.jpg"))
    stage.upload(stage.request("lost-event.jpg"), event=False)
    stage.upload_in_parts()
    stage.work()
    canceled = stage.request("canceled.jpg")
    stage.upload(canceled)
    stage.service.cancel(ME, canceled)
    stage.told.tell("canceled", job=canceled)
    batch = stage.service.request_batch(ME, [UploadRequest(filename=f"{n}.jpg") for n in range(2)])
    stage.told.tell("batch", batch=batch.id)
    for job_id in batch.job_ids:
        stage.told.tell("requested", job=job_id)
    stage.upload(batch.job_ids[0])
    given_up = batch.job_ids[1]
    stage.told.tell("deleting", job=given_up)
    stage.service.delete(ME, given_up)
    stage.told.tell("deleted", job=given_up)
    deleted = stage.request("deleted.jpg")
    stage.upload(deleted)
    stage.work()
    stage.told.tell("deleting", job=deleted)
    stage.service.delete(ME, deleted)
    stage.told.tell("deleted", job=deleted)
    stage.clock.advance(30.0)
    stage.work()
    stage.clock.advance(700.0)
    stage.sweep()
    stage.work()
    stage.sweep()


def accept(stage: Stage) -> None:
    """One upload, for others to work on."""
    stage.upload(stage.request())


def work(stage: Stage) -> None:
    """What a worker does."""
    stage.work()


def work_again(stage: Stage) -> None:
    """What a worker does with a message that was delivered a second time."""
    for job in stage.service.list_jobs(ME).items:
        stage.service.process(Wake(job_id=job.id, key=job.upload.key, group=ME), Worker(name="worker-1"))


def recovery(stage: Stage) -> None:
    """What a server does after a crash, through two hours in which nobody does anything. A minute of sweeps counts as
    one sweep: they find nothing new."""
    for name in stage.told.deleting - stage.told.deleted:  # its client asks again
        with suppress(JobNotFound):
            stage.service.delete(ME, name)
        stage.told.tell("deleted", job=name)
    stage.work()
    for minutes in (1, 11, 11, 11, 11, 60, 61, 11):
        stage.clock.advance(60.0 * minutes)
        stage.sweep()
        stage.work()
    stage.sweep()


ACTS: Final[dict[str, Callable[[Stage], None]]] = {
    act.__name__: act for act in (journey, accept, work, work_again, recovery)
}
OWNS_THE_FOLDER: Final = frozenset({"journey", "recovery"})
"""Acts of a whole server: they take the folder's lock and recover first."""
