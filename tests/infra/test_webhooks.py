"""Webhooks and the topic of the real stack: told by the notifier, sent again by the sweeper, checked by the library that
receivers use."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.journeys.serving import client, decoded, image, submit, until
from tests.support.receiver import Receiver, receiver
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stack(deployed_stack: Stack) -> Iterator[Stack]:
    """The session's, whose functions may send to this machine."""
    with deployed_stack.settings(webhooks_to_loopback="true"):
        yield deployed_stack


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    """A client, whose webhooks are gone when the test has ended."""
    with client(stack.api) as http:
        yield http
        for each in http.get("/webhooks").json()["items"]:
            http.delete(f"/webhooks/{each['id']}").raise_for_status()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def register(http: httpx.Client, there: Receiver, **said: Any) -> dict[str, Any]:
    """A new webhook."""
    made: dict[str, Any] = http.post("/webhooks", json={"url": there.url, **said}).raise_for_status().json()
    return made


def delivery(http: httpx.Client, webhook: dict[str, Any], *answers: int) -> dict[str, Any]:
    """The only thing that was sent there, once it was answered so."""

    def found() -> dict[str, Any] | None:
        [each] = http.get(f"/webhooks/{webhook['id']}/deliveries").json()["items"]
        said = tuple(attempt["responseStatus"] for attempt in each["attempts"])
        return dict(each) if said == answers else None

    return until(found)


def listening(stack: Stack) -> str:
    """A queue that hears what the topic is told."""
    sqs, topic = stack.account.client("sqs"), stack.outputs["NoticesTopicArn"]
    url = str(sqs.create_queue(QueueName="ears")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    stack.account.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def test_a_job_is_told_to_its_webhook_and_to_the_topic(
    stack: Stack, http: httpx.Client, there: Receiver
) -> None:
    """Signed, with an output that can be fetched from what was sent; the topic gets the same message under the same id."""
    webhook = register(http, there, events=["job.completed"])
    sqs, ears = stack.account.client("sqs"), listening(stack)
    try:
        job_id = submit(http, image())
        [request] = there.wait(1, within=60)
        message = request.verified(webhook["secret"])
        assert (message["type"], message["data"]["jobId"]) == ("job.completed", job_id)
        assert decoded(http.get(message["data"]["downloadUrl"]).content).size == (320, 240)
        sent = delivery(http, webhook, 204)
        assert (sent["webhookId"], sent["status"]) == (request.id, "delivered")

        def heard() -> Any:
            for each in sqs.receive_message(QueueUrl=ears, WaitTimeSeconds=2).get("Messages", ()):
                told = json.loads(each["Body"])
                if told["MessageAttributes"]["id"]["Value"] == request.id:
                    return told
            return None

        told = until(heard)
        assert unsigned(json.loads(told["Message"])) == unsigned(message)
        attributes = {name: each["Value"] for name, each in told["MessageAttributes"].items()}
        assert attributes == {"type": "job.completed", "id": request.id, "owner": "local"}
    finally:
        sqs.delete_queue(QueueUrl=ears)


def unsigned(message: Any) -> Any:
    """A message without what is signed anew each time."""
    if isinstance(message, dict):
        return {name: unsigned(value) for name, value in message.items()}
    if isinstance(message, list):
        return [unsigned(each) for each in message]
    return message.partition("?X-Amz-")[0].partition("?response-")[0] if isinstance(message, str) else message


def test_the_sweeper_sends_again_what_was_not_taken(
    stack: Stack, http: httpx.Client, there: Receiver
) -> None:
    """Not before its time, under the same id, signed; and a job that FAILED is told of like any other."""
    answers = iter((503,))
    there.answer = lambda _request: next(answers, 204)
    webhook = register(http, there)
    job_id = submit(http, b"no picture")
    [first] = there.wait(1, within=60)
    waiting = delivery(http, webhook, 503)
    assert waiting["status"] == "pending"
    due = datetime.fromisoformat(waiting["nextAttemptAt"])
    functions = stack.account.client("lambda")

    def swept() -> bool:
        answer = functions.invoke(FunctionName="sweeper-lambda", Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()
        return len(there.received) == 2

    until(swept, within=60)
    assert datetime.now(UTC) >= due
    _, second = there.received
    assert second.id == first.id
    message = second.verified(webhook["secret"])
    assert (message["type"], message["data"]["jobId"]) == ("job.failed", job_id)
    assert message["data"]["error"]["code"] == "type_not_allowed"
    assert delivery(http, webhook, 503, 204)["status"] == "delivered"
