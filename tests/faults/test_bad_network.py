"""The AWS backend over a network that loses requests and answers: every job ends, once, and nothing is left behind."""

import hashlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import SimpleNamespace
from typing import TypeVar
from urllib.parse import urlsplit

import botocore.endpoint
import msgspec
import pytest
from PIL import Image
from tests.faults.proxy import BadNetwork
from tests.journeys.serving import image
from tests.support import servers
from tests.support.on_aws import OnAws

from safelight.backends.aws.border import Clients
from safelight.backends.aws.jobs import DynamoJobs
from safelight.backends.aws.records import DynamoRecords
from safelight.backends.aws.s3 import S3Blobs
from safelight.backends.aws.sqs import SqsInbox, SqsQueue
from safelight.config import Settings
from safelight.errors import SafelightError, StorageUnavailable
from safelight.heartbeat import Worker
from safelight.imaging import SandboxedRenderer
from safelight.model import DAY, JobState
from safelight.ports import Ports
from safelight.recipes import Book
from safelight.service import TIDY_AFTER, WAKE_AGAIN_AFTER, Service
from safelight.sweeper import Sweeper
from safelight.testing import Clock, in_memory
from safelight.uploads import UploadRequest

JOBS = 12
WORKERS = 2
ROUNDS = 30
"""So often the sweeper may have to look until all is over."""

SETTINGS = Settings(max_attempts=20)
ME = "ann"
T = TypeVar("T")


class Pipeline:
    """Safelight's parts behind the bad network, each played as its function plays it."""

    def __init__(self, network: BadNetwork, direct: OnAws, clock: Clock, stack: ExitStack) -> None:
        self.network, self.direct, self.clock = network, direct, clock
        names, clients = direct.names, Clients(servers.REGION)
        queue_url = network.url + urlsplit(names["queue_url"]).path
        queue = SqsQueue(clients, queue_url, bucket="uploads", clock=clock)
        inbox = SqsInbox(clients, queue_url, clock=clock)
        stack.callback(inbox.close)
        renderer = SandboxedRenderer(SETTINGS)
        stack.callback(renderer.close)
        self.ports: Ports = msgspec.structs.replace(
            in_memory(clock),
            blobs=S3Blobs(clients, direct.buckets),
            jobs=DynamoJobs(clients, names["jobs_table"], retention=30 * DAY),
            records=DynamoRecords(clients, names["records_table"], clock=clock),
            queue=queue,
            inbox=inbox,
            renderer=renderer,
        )
        self.service = Service(SETTINGS, self.ports, Book(SETTINGS))
        self.sweeper = Sweeper(self.service)

    def send(self, body: bytes) -> str:
        """A client that asks until it is answered, and sends until that is acknowledged; the event comes once or
        twice, or the dispatcher gives it up."""
        job = self.insist(lambda: self.service.request_upload(ME, UploadRequest(filename="a.jpg")))
        info = self.insist(
            lambda: self.ports.blobs.put(job.upload.key, io.BytesIO(body), content_type="image/jpeg")
        )
        with suppress(StorageUnavailable):
            self.service.dispatch(info.key, info.version, info.bytes)
            self.service.dispatch(info.key, info.version, info.bytes)
        return job.id

    def insist(self, ask: Callable[[], T]) -> T:
        """Ask until there is an answer."""
        for _ in range(50):
            with suppress(StorageUnavailable):
                return ask()
        raise AssertionError("no answer at all")

    def work(self, name: str) -> None:
        """A worker, until the queue seems empty."""
        while True:
            try:
                delivery = self.ports.inbox.receive(wait=1.0, visibility=60)
                if delivery is None:
                    return
                delay = self.service.process(delivery.wake, Worker(name=name))
                if delay is None:
                    self.ports.inbox.ack(delivery)
                else:
                    self.ports.inbox.retry(delivery, 0.0)
            except SafelightError:
                return

    def round(self) -> None:
        """What is there is worked off; ten minutes later the sweeper looks."""
        workers = [threading.Thread(target=self.work, args=(f"worker-{n}",)) for n in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.clock.advance(WAKE_AGAIN_AFTER + 1)
        with suppress(StorageUnavailable):
            self.sweeper.sweep(budget=20)

    def states(self, jobs: list[str]) -> Counter[JobState]:
        """How the jobs stand, seen without the network."""
        return Counter(self.direct.jobs.get(job).state for job in jobs)


@pytest.fixture
def pipeline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Everything, on an emulator."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(servers.emulator())
        except servers.Absent as absent:
            pytest.skip(str(absent))
        for variable, value in {"AWS_ENDPOINT_URL": url, **servers.CREDENTIALS}.items():
            monkeypatch.setenv(variable, value)
        clock = Clock()
        direct = OnAws("aws", Clients(servers.REGION), clock)
        _ = direct.names
        network = stack.enter_context(BadNetwork(url, seed=request.param))
        monkeypatch.setenv("AWS_ENDPOINT_URL", network.url)
        # What botocore waits for before it tries again, a twentieth of it.
        hurried = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(seconds / 20))
        monkeypatch.setattr(botocore.endpoint, "time", hurried)
        yield Pipeline(network, direct, clock, stack)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("pipeline", [1, 2], indirect=True)
def test_a_bad_network_loses_nothing(pipeline: Pipeline) -> None:
    """Requests and answers are lost on the way to S3, SQS and DynamoDB, and for a while all of them. What was
    acknowledged ends, once; what is COMPLETED is there, whole; what is no picture is FAILED for that reason."""
    pictures = [image("jpeg", (64, 48), seed) for seed in range(JOBS)]
    good = [pipeline.send(picture) for picture in pictures]
    bad = pipeline.send(b"no picture at all")
    pipeline.network.away = True
    pipeline.round()
    pipeline.network.away = False
    for _ in range(ROUNDS):
        if all(state.terminal for state in pipeline.states([*good, bad])):
            break
        pipeline.round()
    assert pipeline.states(good) == {JobState.COMPLETED: JOBS}
    failed = pipeline.direct.jobs.get(bad)
    assert failed.failure is not None
    assert (failed.state, failed.failure.code, failed.attempt) == (
        JobState.FAILED,
        "type_not_allowed",
        failed.attempt,
    )
    met = pipeline.network.met
    assert all(met[fate] for fate in ("unavailable", "reset", "lost", "cut", "slow")), met
    _check(pipeline, [*good, bad])


def _check(pipeline: Pipeline, jobs: list[str]) -> None:
    """Nothing lies beside what the jobs name, once the network is good again and the sweeper has had its time."""
    pipeline.clock.advance(TIDY_AFTER + 1)
    direct = msgspec.structs.replace(
        pipeline.ports,
        blobs=pipeline.direct.blobs,
        jobs=pipeline.direct.jobs,
        records=pipeline.direct.records,
    )
    sweeper = Sweeper(Service(SETTINGS, direct, Book(SETTINGS)))
    sweeper.sweep()
    for job_id in jobs:
        job = direct.jobs.get(job_id)
        assert sum(moment.state.terminal for moment in job.timeline) == 1
        stored = [blob.key for blob in direct.blobs.list(f"processed/uploads/{job_id}/").items]
        assert stored == [output.key for output in job.outputs]
        for output in job.outputs:
            with direct.blobs.open(output.key) as file:
                content = file.read()
            assert hashlib.sha256(content).hexdigest() == output.sha256
            with Image.open(io.BytesIO(content)) as opened:
                opened.load()
                assert opened.size == (output.width, output.height)
    notices = pipeline.direct.notices.pending(0.0, limit=1000)
    told = Counter(notice.job_id for notice in notices if notice.job_id in jobs)
    assert told == dict.fromkeys(jobs, 1)
