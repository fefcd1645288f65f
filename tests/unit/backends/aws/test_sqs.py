"""The queue: its limits, and how a worker that waits is let go."""

import os
import signal
import threading
import time
from typing import Any

import pytest
from tests.unit.backends.aws.fake import FakeAws, error

from safelight.backends.aws.dead_letters import SqsDeadLetters
from safelight.backends.aws.messages import Letter, decode, encode
from safelight.backends.aws.sqs import SqsInbox, SqsQueue
from safelight.errors import StorageUnavailable
from safelight.model import Wake
from safelight.ports import Delivery
from safelight.testing import Clock

WAKE = Wake(job_id="j1", key="uploads/j1/a.jpg", group="ann")
DELIVERY = Delivery(wake=WAKE, receipt="r", received=1)


def message(letter: Letter | None = None, body: str | None = None) -> dict[str, Any]:
    """As SQS hands it out."""
    text = body if body is not None else encode(letter or Letter(wake=WAKE), "b")["MessageBody"]
    attributes = {"ApproximateReceiveCount": "2", "SentTimestamp": "1500"}
    return {"MessageId": "m1", "ReceiptHandle": "r", "Body": text, "Attributes": attributes}


def inbox(aws: FakeAws) -> SqsInbox:
    """The worker's side."""
    return SqsInbox(aws, "url", clock=Clock(1000.0))


def test_a_short_delay_is_sqs_own() -> None:
    """In whole seconds, never too early."""
    aws = FakeAws({})
    SqsQueue(aws, "url", bucket="b", clock=Clock(1000.0)).send(WAKE, delay=899.5)
    assert aws.requests[0][1]["DelaySeconds"] == 900
    assert "notBefore" not in aws.requests[0][1]["MessageBody"]


def test_a_long_delay_is_kept_by_the_inbox() -> None:
    """SQS delays for 15 minutes at the most: what comes before its time is put back for the rest of it."""
    aws = FakeAws({})
    SqsQueue(aws, "url", bucket="b", clock=Clock(1000.0)).send(WAKE, delay=3600)
    assert aws.requests[0][1]["DelaySeconds"] == 900
    letter = decode(aws.requests[0][1]["MessageBody"])
    assert letter == Letter(wake=WAKE, not_before=4600.0)

    early = FakeAws({"Messages": [message(letter)]}, {})
    assert inbox(early).receive(wait=0, visibility=30) is None
    assert early.requests[1] == (
        "change_message_visibility",
        {"QueueUrl": "url", "ReceiptHandle": "r", "VisibilityTimeout": 3600},
    )


def test_what_can_not_be_read_is_left_to_the_dead_letters(caplog: pytest.LogCaptureFixture) -> None:
    """It is not acknowledged; the log names it."""
    aws = FakeAws({"Messages": [message(body="nonsense")]})
    assert inbox(aws).receive(wait=0, visibility=30) is None
    assert aws.names == ["receive_message"]
    assert "unreadable message" in caplog.text


@pytest.mark.parametrize("seconds", [0.2, 43_200, 1e9])
def test_visibility_stays_within_sqs_limits(seconds: float) -> None:
    """Rounded up, so that nothing is handed out too early."""
    aws = FakeAws({})
    inbox(aws).extend(DELIVERY, seconds)
    assert aws.requests[0][1]["VisibilityTimeout"] == (1 if seconds < 1 else 43_200)


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"])
def test_a_stale_receipt_is_no_error(code: str) -> None:
    """Whatever SQS calls it."""
    stale = inbox(FakeAws(*[error(code)] * 3))
    stale.ack(DELIVERY)
    stale.extend(DELIVERY, 30)
    stale.retry(DELIVERY, 0)


def test_other_errors_of_an_ack_are_told() -> None:
    """The message comes again, and the worker should know why."""
    with pytest.raises(StorageUnavailable):
        inbox(FakeAws(error("AccessDenied"))).ack(DELIVERY)


def test_what_fails_while_waiting_reaches_the_worker() -> None:
    """Not only the thread that asked."""
    with pytest.raises(StorageUnavailable):
        inbox(FakeAws(error("InternalError", 500))).receive(wait=1, visibility=30)


def test_stopping_lets_a_waiting_worker_go_at_once() -> None:
    """And what arrives for it afterwards is made visible again for others; `close` waits for that."""
    asked, arrive = threading.Event(), threading.Event()

    def poll(_: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        assert arrive.wait(10)
        return {"Messages": [message()]}

    aws = FakeAws(poll, {})
    waiting = inbox(aws)
    got: list[Delivery | None] = []
    worker = threading.Thread(target=lambda: got.append(waiting.receive(wait=60, visibility=30)))
    worker.start()
    assert asked.wait(10)
    begun = time.monotonic()
    waiting.stop()
    worker.join(10)
    assert got == [None]
    assert time.monotonic() - begun < 1
    arrive.set()
    waiting.close()
    assert aws.requests[-1][1]["VisibilityTimeout"] == 0
    assert waiting.receive(wait=60, visibility=30) is None


def test_a_signal_lets_a_waiting_worker_go_at_once() -> None:
    """`stop` may be called by a handler that interrupts the very thread that waits."""
    asked, arrive = threading.Event(), threading.Event()

    def poll(_: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        arrive.wait(10)
        return {}

    waiting = inbox(FakeAws(poll))
    before = signal.signal(signal.SIGUSR1, lambda *_: waiting.stop())

    def interrupt() -> None:
        asked.wait(10)
        os.kill(os.getpid(), signal.SIGUSR1)

    signaller = threading.Thread(target=interrupt)
    signaller.start()
    begun = time.monotonic()
    try:
        assert waiting.receive(wait=60, visibility=30) is None
        assert time.monotonic() - begun < 5
    finally:
        signaller.join()
        signal.signal(signal.SIGUSR1, before)
        arrive.set()
        waiting.close()


def test_a_long_wait_is_many_polls() -> None:
    """Each short enough to be let go soon; the last one not longer than what is left."""
    times: list[int] = []

    def poll(parameters: dict[str, Any]) -> dict[str, Any]:
        times.append(parameters["WaitTimeSeconds"])
        return {"Messages": [message()]} if len(times) == 3 else {}

    delivery = inbox(FakeAws(*[poll] * 3)).receive(wait=60, visibility=30)
    assert delivery is not None
    assert (delivery.wake, delivery.received) == (WAKE, 2)
    assert times == [5, 5, 5]


# --- dead letters -----------------------------------------------------------------------------------------


def letters(aws: FakeAws) -> SqsDeadLetters:
    """The dead letters behind a queue."""
    return SqsDeadLetters(aws, "dlq", queue=SqsQueue(aws, "url", bucket="b", clock=Clock(1000.0)))


def test_looking_leaves_everything_where_it_is() -> None:
    """All that was received is made visible again."""
    aws = FakeAws({"Messages": [message()]}, {}, {})
    [letter] = letters(aws).dead().items
    assert (letter.wake, letter.received, letter.died_at) == (WAKE, 2, 1.5)
    assert aws.names == ["receive_message", "receive_message", "change_message_visibility"]
    assert aws.requests[-1][1]["VisibilityTimeout"] == 0


def test_what_can_not_be_read_is_listed_too() -> None:
    """By its message id, with a reason; sending it again would help nobody."""
    aws = FakeAws({"Messages": [message(body="nonsense")]}, {}, {})
    [letter] = letters(aws).dead().items
    assert letter.wake.job_id == "m1"
    assert "Not a message" in letter.reason
    aws = FakeAws({"Messages": [message(body="nonsense")]}, {}, {})
    assert letters(aws).redrive("m1") is False


def test_a_letter_is_sent_before_it_is_removed() -> None:
    """A crash in between leaves both, never neither."""
    aws = FakeAws({"Messages": [message()]}, {}, {}, {})
    assert letters(aws).redrive("j1") is True
    assert aws.names == ["receive_message", "send_message", "delete_message", "receive_message"]
