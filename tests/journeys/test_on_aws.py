"""The way of an upload on AWS: the production wiring, on an emulator, with the part of each function played here."""

import json
from collections.abc import Iterator
from io import BytesIO

import httpx
import pytest
from PIL import Image
from tests.support import servers
from tests.support.on_aws import OnAws, Stream

from safelight import bootstrap
from safelight.backends.aws.border import Clients
from safelight.config import Settings
from safelight.entrypoints.payloads import bodies_of
from safelight.errors import ConfigurationError, JobNotFound
from safelight.heartbeat import Worker
from safelight.model import Job, JobState, Notice
from safelight.testing import Clock
from safelight.uploads import UploadRequest


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The emulator's."""
    try:
        with servers.emulator() as url:
            yield url
    except servers.Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture
def names(address: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Everything that the stack would make, and a topic with somebody who listens."""
    for variable, value in {"AWS_ENDPOINT_URL": address, **servers.CREDENTIALS}.items():
        monkeypatch.setenv(variable, value)
    clients = Clients(servers.REGION)
    names = OnAws("aws", clients, Clock()).names
    topic = clients.get("sns").create_topic(Name="notices")["TopicArn"]
    return {**names, "topic_arn": topic}


@pytest.fixture
def system(names: dict[str, str]) -> Iterator[bootstrap.OnAws]:
    """Safelight, as a function or a worker process has it."""
    with bootstrap.build_on_aws(Settings(**names)) as system:  # type: ignore[arg-type] # names are text
        yield system


def a_picture() -> bytes:
    """A small photo."""
    file = BytesIO()
    Image.effect_noise((640, 480), 40).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def uploaded(system: bootstrap.OnAws, picture: bytes) -> Job:
    """A job whose upload has arrived, by a client that only knows how to PUT."""
    job = system.service.request_upload("ann", UploadRequest(filename="Strand 写真.jpg"))
    answer = httpx.put(
        system.service.upload_link(job).url, content=picture, headers={"Content-Type": "image/jpeg"}
    )
    assert answer.status_code == 200, answer.text
    found = system.service.ports.blobs.head(job.upload.key)
    assert found is not None
    dispatched = system.service.dispatch(found.key, found.version, found.bytes)
    assert dispatched is not None
    return dispatched


def work(system: bootstrap.OnAws) -> None:
    """What a worker does with the next message."""
    delivery = system.service.ports.inbox.receive(wait=5, visibility=60)
    assert delivery is not None
    assert system.service.process(delivery.wake, Worker(name="worker")) is None
    system.service.ports.inbox.ack(delivery)


def test_an_upload_becomes_its_rendition(system: bootstrap.OnAws) -> None:
    """Asked for, sent, dispatched, rendered, and downloaded by a signed URL; then erased without a trace."""
    picture = a_picture()
    job = uploaded(system, picture)
    work(system)
    done = system.service.describe("ann", job.id)
    assert (done.state, done.attempt) == (JobState.COMPLETED, 1)
    assert system.service.ports.queue.depth() == 0

    [url] = system.service.download_links(done).values()
    answer = httpx.get(url)
    assert answer.status_code == 200
    with Image.open(BytesIO(answer.content)) as image:
        assert (image.size, image.format) == ((640, 480), "JPEG")
    assert answer.content != picture

    assert [each.id for each in system.service.list_jobs("ann").items] == [job.id]
    system.service.delete("ann", job.id)
    with pytest.raises(JobNotFound):
        system.service.describe("ann", job.id)
    assert system.service.ports.blobs.list("uploads/").items == ()
    assert system.service.ports.blobs.list("processed/").items == ()


def test_the_topic_is_told_of_the_end(system: bootstrap.OnAws, names: dict[str, str]) -> None:
    """From the write that ended the job, through the table's stream, to whoever listens to the topic."""
    clients = Clients(servers.REGION)
    sqs = clients.get("sqs")
    ears = sqs.create_queue(QueueName="ears")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=ears, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}],
    }
    sqs.set_queue_attributes(QueueUrl=ears, Attributes={"Policy": json.dumps(policy)})
    clients.get("sns").subscribe(TopicArn=names["topic_arn"], Protocol="sqs", Endpoint=arn)

    job = uploaded(system, b"no picture at all")
    work(system)
    told: list[Notice] = []
    for record in Stream(clients, names["jobs_table"]).records():
        notice = system.notice_in(record)
        if notice is not None:
            [body] = bodies_of(system.service, [notice])
            assert system.announce([(notice, body)]) == 1
            told.append(notice)
    assert [(notice.job_id, notice.state) for notice in told] == [(job.id, JobState.FAILED)]

    [message] = sqs.receive_message(QueueUrl=ears, WaitTimeSeconds=5)["Messages"]
    heard = json.loads(json.loads(message["Body"])["Message"])
    assert (heard["type"], heard["data"]["jobId"]) == ("job.failed", job.id)
    said = {name: each["Value"] for name, each in json.loads(message["Body"])["MessageAttributes"].items()}
    assert said == {"type": "job.failed", "id": told[0].message_id, "owner": "ann"}


def test_a_lost_event_is_swept_up(system: bootstrap.OnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload is there and nobody said so: the sweeper finds it and sends the message."""
    job = system.service.request_upload("ann", UploadRequest(filename="a.jpg"))
    httpx.put(system.service.upload_link(job).url, content=a_picture())
    update = system.service.ports.jobs.update
    update(job.id, lambda job: job.looked_at(due_at=job.created_at))
    assert system.sweeper.sweep()["dispatched"] == 1
    work(system)
    assert system.service.describe("ann", job.id).state is JobState.COMPLETED


def test_every_part_answers(system: bootstrap.OnAws) -> None:
    """Health asks each of them."""
    assert all(system.health().values())


def test_a_part_that_is_not_there_does_not_answer(names: dict[str, str]) -> None:
    """And is named."""
    settings = Settings(**{**names, "records_table": "nowhere"})  # type: ignore[arg-type] # names are text
    with bootstrap.build_on_aws(settings) as system:
        assert [part for part, answers in system.health().items() if not answers] == ["records"]


def test_what_is_not_set_is_named() -> None:
    """All of it in one line."""
    with pytest.raises(ConfigurationError, match="SAFELIGHT_JOBS_TABLE, SAFELIGHT_QUEUE_URL: not set"):
        bootstrap.build(
            Settings(backend="aws", uploads_bucket="u", processed_bucket="p", records_table="r")
        ).__enter__()


def test_the_server_of_one_machine_is_not_for_aws() -> None:
    """It would own a folder that nobody uses."""
    with pytest.raises(ConfigurationError, match="embedded"):
        bootstrap.open_site(Settings(backend="aws")).__enter__()
