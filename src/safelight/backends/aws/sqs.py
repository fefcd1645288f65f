"""The queue on SQS: a standard queue, with a dead-letter queue behind it (`dead_letters.py`).

SQS hands a message out five times (the queue's redrive policy) and loses nothing, but it may deliver twice and in any
order, knows no "one message per job", and is fair only about. None of that matters: the job records are the truth.

Actions: to send `sqs:SendMessage`, for the length `sqs:GetQueueAttributes`; for workers that are processes
`sqs:ReceiveMessage`, `sqs:DeleteMessage`, `sqs:ChangeMessageVisibility`. Functions are given their messages by Lambda.
"""

import contextlib
import logging
import threading
import time
from math import ceil
from queue import Empty, SimpleQueue
from typing import Any, Final

from safelight.backends.aws.border import Clients, border
from safelight.backends.aws.messages import LONGEST_DELAY, LONGEST_VISIBILITY, Letter, decode, encode
from safelight.errors import SafelightError
from safelight.model import Wake
from safelight.ports import Clock, Delivery

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 5.0
"""How long one request waits for a message: long enough to be cheap (17,000 requests a day from an idle worker, about
0.2 dollars a month), short enough that what arrives for a worker that leaves is given back soon."""

_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class SqsQueue:
    """`ports.Queue`. `bucket` is where the originals lie, for whoever reads the messages."""

    def __init__(self, clients: Clients, url: str, *, bucket: str, clock: Clock) -> None:
        self._clients = clients
        self._url = url
        self._bucket = bucket
        self._clock = clock

    def send(self, wake: Wake, *, delay: float = 0.0) -> None:
        """Wake a worker for this job."""
        not_before = self._clock() + delay if delay > LONGEST_DELAY else 0.0
        with border("sqs:SendMessage"):
            self._clients.get("sqs").send_message(
                QueueUrl=self._url,
                DelaySeconds=ceil(min(max(delay, 0.0), LONGEST_DELAY)),
                **encode(Letter(wake=wake, not_before=not_before), self._bucket),
            )

    def depth(self) -> int:
        """About how many messages wait or are in flight."""
        return sum(self.waiting())

    def waiting(self) -> tuple[int, int]:
        """About how many messages wait, now or for later, and how many are in flight."""
        with border("sqs:GetQueueAttributes"):
            answer = self._clients.get("sqs").get_queue_attributes(
                QueueUrl=self._url, AttributeNames=list(_COUNTS)
            )
        visible, in_flight, delayed = (int(answer.get("Attributes", {}).get(name, 0)) for name in _COUNTS)
        return visible + delayed, in_flight


class SqsInbox:
    """`ports.Inbox`, by long polling.

    A request that waits at SQS can not be called off, so each `receive` lets a thread wait for it: `stop` lets the
    caller go at once, and what still arrives is made visible again for others. `close` waits for that.
    """

    def __init__(self, clients: Clients, url: str, *, clock: Clock) -> None:
        self._clients = clients
        self._url = url
        self._clock = clock
        self._stopped = threading.Event()
        self._polls: set[_Poll] = set()

    def receive(self, *, wait: float, visibility: float) -> Delivery | None:
        """The next message; None after `wait` seconds without one."""
        if self._stopped.is_set():
            return None
        if wait <= 0:
            return self.take(0, visibility)
        poll = _Poll(self, wait, visibility)
        self._polls.add(poll)
        if self._stopped.is_set():  # asked for since the first line of this method
            poll.abandon()
        return poll.run()

    def ack(self, delivery: Delivery) -> None:
        """The message is done with."""
        with contextlib.suppress(StaleReceipt), border("sqs:DeleteMessage", _STALE):
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=delivery.receipt)

    def extend(self, delivery: Delivery, visibility: float) -> None:
        """Keep the message hidden for that long from now."""
        self._hide(delivery.receipt, visibility)

    def retry(self, delivery: Delivery, delay: float) -> None:
        """Hand the message out again after `delay` seconds."""
        self._hide(delivery.receipt, delay)

    def stop(self) -> None:
        """Let every `receive` of this process return at once, now and later. Safe in a signal handler."""
        self._stopped.set()
        for poll in tuple(self._polls):
            poll.abandon()

    def close(self) -> None:
        """Stop, and wait until what arrived meanwhile has been given back: at most as long as one request."""
        self.stop()
        for poll in tuple(self._polls):
            poll.join()

    def take(self, wait: int, visibility: float) -> Delivery | None:
        """One request. What can not be read stays hidden and goes to the dead letters, which are for people."""
        with border("sqs:ReceiveMessage"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=wait,
                VisibilityTimeout=_seconds(visibility),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        for message in answer.get("Messages", ()):
            letter = decode(message["Body"])
            if letter is None:
                log.error("unreadable message", extra={"message_id": message.get("MessageId")})
            elif letter.not_before > self._clock():
                self._hide(message["ReceiptHandle"], letter.not_before - self._clock())
            else:
                received = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
                return Delivery(wake=letter.wake, receipt=message["ReceiptHandle"], received=received)
        return None

    def forget(self, poll: "_Poll") -> None:
        """The poll has ended."""
        self._polls.discard(poll)

    @property
    def _sqs(self) -> Any:
        return self._clients.get("sqs")

    def _hide(self, receipt: str, seconds: float) -> None:
        with contextlib.suppress(StaleReceipt), border("sqs:ChangeMessageVisibility", _STALE):
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=_seconds(seconds)
            )


class _Poll:
    """One `receive`: a thread asks SQS, the caller waits for its answer or for `abandon`, whichever is first."""

    def __init__(self, inbox: SqsInbox, wait: float, visibility: float) -> None:
        self._inbox = inbox
        self._visibility = visibility
        self._end = time.monotonic() + wait
        # A SimpleQueue may be put into from a signal handler; a Condition may not.
        self._answers: SimpleQueue[Delivery | BaseException | None] = SimpleQueue()
        self._abandoned = False
        self._handing_over = threading.Lock()
        self._left = False
        self._thread = threading.Thread(target=self._run, name="sqs poll", daemon=True)

    def run(self) -> Delivery | None:
        """Ask, and wait for the answer."""
        self._thread.start()
        answer = self._wait()
        if self._abandoned:
            with self._handing_over:
                self._left = True
            with contextlib.suppress(Empty):
                late = self._answers.get_nowait()
                answer = answer if late is None else late
            if isinstance(answer, Delivery):
                self._inbox.retry(answer, 0)
            return None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _wait(self) -> Delivery | BaseException | None:
        # A signal that comes just before a wait begins is handled only when the wait is over: so waits are short.
        while True:
            with contextlib.suppress(Empty):
                return self._answers.get(timeout=1.0)

    def abandon(self) -> None:
        """Let the caller go."""
        self._abandoned = True
        self._answers.put(None)

    def join(self) -> None:
        """Wait for the thread, but not for ever: what it still holds becomes visible by itself."""
        self._thread.join(POLL_SECONDS + 1)

    def _run(self) -> None:
        answer: Delivery | BaseException | None = None
        try:
            while not self._abandoned and answer is None:
                left = self._end - time.monotonic()
                answer = self._inbox.take(ceil(max(0.0, min(left, POLL_SECONDS))), self._visibility)
                if left <= POLL_SECONDS:
                    break
        except BaseException as error:
            answer = error
        with self._handing_over:
            if not self._left:
                self._answers.put(answer)
                answer = None
        if isinstance(answer, Delivery):
            with contextlib.suppress(SafelightError):
                self._inbox.retry(answer, 0)
        self._inbox.forget(self)


class StaleReceipt(SafelightError):
    """The message was acknowledged, or handed to somebody else in the meantime."""


_STALE: Final[dict[str, type[SafelightError]]] = dict.fromkeys(
    ("ReceiptHandleIsInvalid", "InvalidParameterValue", "MissingParameter", "MessageNotInflight"),
    StaleReceipt,
)


def _seconds(seconds: float) -> int:
    """Whole seconds, rounded up, as far as SQS goes."""
    return ceil(min(max(seconds, 0.0), LONGEST_VISIBILITY))
