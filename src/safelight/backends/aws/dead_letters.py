"""What SQS gave up on: the dead-letter queue, for people.

SQS can not list a queue, only receive from it. So a look receives what it can in a moment, up to a thousand messages,
and makes them visible again: two people who look at the same moment see a part each. SQS does not say when it gave a
message up; `died_at` is when the message was sent, and `received` counts the looks too.

Beside messages, Lambda puts the events here that the dispatcher or the notifier gave up on. They wake nobody, so they
can not be sent again, only erased: the sweeper has long since looked for the upload itself.

Actions on the dead-letter queue: `sqs:ReceiveMessage`, `sqs:ChangeMessageVisibility`; to send one again
`sqs:DeleteMessage` there and `sqs:SendMessage` on the queue.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from safelight.backends.aws.border import Clients, border
from safelight.backends.aws.messages import decode
from safelight.backends.aws.sqs import SqsQueue
from safelight.cursors import pack, unpack
from safelight.errors import StorageUnavailable
from safelight.model import Wake
from safelight.ports import DeadLetter, Fate, Page

MOST: Final = 1000
"""How many messages one look receives."""

HELD_SECONDS: Final = 60
"""For how long they are hidden from others if whoever looks dies."""

_BATCH: Final = 10
_REASON: Final = "Received too often without being acknowledged; the job's own record says how it ended."
_UNREADABLE: Final = "Not a message of Safelight; look at it in the console."


class SqsDeadLetters:
    """`ports.DeadLetters`."""

    def __init__(self, clients: Clients, url: str, *, queue: SqsQueue) -> None:
        self._clients = clients
        self._url = url
        self._queue = queue

    def dead(self, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """The dead letters, ordered by job."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._held() as messages:
            letters = sorted(map(_letter, messages), key=lambda letter: letter.wake.job_id)
        rest = [letter for letter in letters if letter.wake.job_id > after]
        page = tuple(rest[:limit])
        return Page(items=page, cursor=pack(page[-1].wake.job_id) if len(rest) > limit and page else None)

    def redrive(self, job_id: str) -> bool:
        """Send the dead letter of this job again. False if there is none."""
        sent: set[str] = set()

        def fate_of(letter: DeadLetter) -> Fate:
            if letter.wake.job_id != job_id or not letter.wake.key:
                return Fate.KEEP
            fate = (
                Fate.DROP if sent else Fate.SEND
            )  # a job may have died more than once; one message is enough
            sent.add(job_id)
            return fate

        return self.settle(fate_of) > 0

    def settle(self, fate_of: Callable[[DeadLetter], Fate]) -> int:
        """Do with each dead letter what `fate_of` says, as they come; how many are gone."""
        gone = 0
        held: dict[str, dict[str, Any]] = {}
        try:
            while len(held) < MOST and (found := self._receive()):
                if all(message["MessageId"] in held for message in found):
                    break  # we were so slow that those we hold come round again
                held |= {message["MessageId"]: message for message in found}
                for message in found:
                    if self._settle(message, fate_of(_letter(message))):
                        del held[message["MessageId"]]
                        gone += 1
        finally:
            self._release(list(held.values()))
        return gone

    def _settle(self, message: dict[str, Any], fate: Fate) -> bool:
        letter = decode(message["Body"])
        if fate is Fate.KEEP or (fate is Fate.SEND and letter is None):
            return False
        if fate is Fate.SEND and letter is not None:
            # In this order a crash in between leaves the letter and the message, never neither.
            self._queue.send(letter.wake)
        with border("sqs:DeleteMessage"):
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return True

    @property
    def _sqs(self) -> Any:
        return self._clients.get("sqs")

    @contextlib.contextmanager
    def _held(self) -> Iterator[list[dict[str, Any]]]:
        """Receive what is there; at the end of the block it is made visible again."""
        messages: list[dict[str, Any]] = []
        try:
            while len(messages) < MOST and (found := self._receive()):
                messages += found
            yield messages
        finally:
            self._release(messages)

    def _receive(self) -> list[dict[str, Any]]:
        with border("sqs:ReceiveMessage"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=1,  # to wait at all is what makes SQS look everywhere
                VisibilityTimeout=HELD_SECONDS,
                MessageSystemAttributeNames=["All"],
            )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    def _release(self, messages: list[dict[str, Any]]) -> None:
        # One call for each: emulators know no right to the batch of them. If one fails, the rest become visible by
        # themselves.
        with contextlib.suppress(StorageUnavailable):
            for message in messages:
                with border("sqs:ChangeMessageVisibility"):
                    self._sqs.change_message_visibility(
                        QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                    )


def _letter(message: dict[str, Any]) -> DeadLetter:
    attributes = message.get("Attributes", {})
    letter = decode(message["Body"])
    return DeadLetter(
        wake=letter.wake if letter else Wake(job_id=message["MessageId"], key="", group=""),
        received=int(attributes.get("ApproximateReceiveCount", 0)),
        died_at=int(attributes.get("SentTimestamp", 0)) / 1000,
        reason=_REASON if letter else _reason(message["Body"]),
    )


def _reason(body: str) -> str:
    """Why something is here that is no message of ours: Lambda says it of the events that it gave up on."""
    with contextlib.suppress(ValueError, RecursionError):
        match json.loads(body):
            case {"requestContext": {"functionArn": str(arn), "condition": str(condition)}, **rest}:
                function = arn.rpartition(":function:")[2].partition(":")[0]
                said = f"An event that {function} could not work off ({condition})"
                match rest:
                    case {"responsePayload": {"errorMessage": str(message)}}:
                        return f"{said}: {message}"
                return f"{said}."
    return _UNREADABLE
