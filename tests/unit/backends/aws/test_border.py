"""What AWS says, in our words; and what a client is made of."""

from collections.abc import Callable
from typing import Any

import botocore
import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectTimeoutError
from tests.support.servers import free_port
from tests.unit.backends.aws.fake import error

from safelight.backends.aws import Aws
from safelight.backends.aws.border import READ_SECONDS, Clients, border
from safelight.backends.aws.sqs import POLL_SECONDS
from safelight.errors import BlobNotFound, InvalidRequest, StorageUnavailable
from safelight.model import Wake


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody, and no address but AWS's own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def test_an_expected_code_becomes_its_error() -> None:
    """And the vendor's error is its cause, for the log."""
    with pytest.raises(BlobNotFound) as caught, border("s3:GetObject", {"NoSuchKey": BlobNotFound}):
        raise error("NoSuchKey")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "AccessDenied", "ThrottlingException", ""])
def test_every_other_code_is_storage_unavailable(code: str) -> None:
    """The call and the code are named."""
    with pytest.raises(StorageUnavailable, match=f"s3:GetObject: {code}"), border("s3:GetObject"):
        raise error(code)


def test_no_connection_is_storage_unavailable() -> None:
    """What botocore gives up on too."""
    with pytest.raises(StorageUnavailable, match="ConnectTimeoutError"), border("sqs:SendMessage"):
        raise ConnectTimeoutError(endpoint_url="https://sqs.example")


def test_missing_rights_are_said_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    """In the log, with the action that has to be allowed."""
    with pytest.raises(StorageUnavailable), border("dynamodb:PutItem"):
        raise error("AccessDeniedException")
    assert "dynamodb:PutItem is not allowed" in caplog.text


def test_a_code_with_the_services_name_is_known_without_it() -> None:
    """SQS writes some so."""
    with pytest.raises(BlobNotFound), border("x", {"MessageNotInflight": BlobNotFound}):
        raise error("AWS.SimpleQueueService.MessageNotInflight")


def test_text_that_is_not_unicode_is_the_callers_mistake() -> None:
    """As on every backend."""
    with pytest.raises(InvalidRequest), border("dynamodb:GetItem"):
        "\udc80".encode()


def test_our_own_errors_pass() -> None:
    """They are not vendors'."""
    with pytest.raises(InvalidRequest), border("x"):
        raise InvalidRequest


@pytest.mark.usefixtures("credentials")
def test_a_client_is_made_when_it_is_used_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that only sends messages never makes a client of S3."""
    aws = Aws(
        uploads_bucket="u",
        processed_bucket="p",
        jobs_table="j",
        records_table="r",
        queue_url="q",
        region="eu-west-1",
    )
    assert aws.clients.made() == set()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with pytest.raises(StorageUnavailable, match="EndpointConnectionError"):
        aws.queue.send(Wake(job_id="j", key="uploads/j/a", group="g"))
    assert aws.clients.made() == {"sqs"}
    assert aws.clients.get("sqs") is aws.clients.get("sqs")
    aws.close()


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("service", sorted(READ_SECONDS))
def test_clients_do_not_wait_for_ever(service: str) -> None:
    """Five adaptive tries, short times, kept-alive connections."""
    config = Clients("eu-west-1").get(service).meta.config
    assert config.retries == {"mode": "adaptive", "total_max_attempts": 5}
    assert (config.connect_timeout, config.read_timeout) == (3, READ_SECONDS[service])
    assert config.tcp_keepalive


@pytest.mark.usefixtures("credentials")
def test_no_request_to_s3_becomes_another() -> None:
    """Without the upload's id this would erase the object."""
    s3 = Clients("eu-west-1").get("s3")
    with pytest.raises(StorageUnavailable, match="ParamValidationError"), border("s3:AbortMultipartUpload"):
        s3.abort_multipart_upload(Bucket="our-uploads", Key="uploads/a", UploadId=None)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("service", sorted(READ_SECONDS))
def test_requests_say_which_botocore_makes_them(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And for which environment: it is what an operator finds in CloudTrail."""
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12")
    client = Clients("eu-west-1").get(service)
    agents: list[str] = []

    def sent(request: AWSRequest, **_: object) -> None:
        agents.append(request.headers["User-Agent"].decode())
        raise NotSentError

    client.meta.events.register(f"before-send.{service}", sent)
    with pytest.raises(NotSentError):
        _A_CALL[service](client)
    [agent] = agents
    assert agent.startswith(f"Botocore/{botocore.__version__} Python/")
    assert " exec-env/AWS_Lambda_python3.12" in agent


class NotSentError(Exception):
    """The request was made, and that is enough."""


_A_CALL: dict[str, Callable[[Any], object]] = {
    "dynamodb": lambda client: client.get_item(TableName="jobs", Key={"jobId": {"S": "j"}}),
    "s3": lambda client: client.head_object(Bucket="our-uploads", Key="uploads/a"),
    "sns": lambda client: client.publish(TopicArn="arn:aws:sns:eu-west-1:1:t", Message="a"),
    "sqs": lambda client: client.send_message(
        QueueUrl="https://sqs.eu-west-1.amazonaws.com/1/q", MessageBody="a"
    ),
}


def test_a_long_poll_is_answered_before_the_client_gives_up() -> None:
    """Or every empty poll would be an error."""
    assert READ_SECONDS["sqs"] > POLL_SECONDS + 3


@pytest.mark.usefixtures("credentials")
def test_another_address_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all services, and for each by itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9324")
    clients = Clients("eu-west-1")
    assert clients.get("s3").meta.endpoint_url == "http://127.0.0.1:9000"
    assert clients.get("sqs").meta.endpoint_url == "http://127.0.0.1:9324"


def test_without_a_region_the_error_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a vendor's."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    with pytest.raises(StorageUnavailable, match="NoRegionError"):
        Clients().get("sqs")
