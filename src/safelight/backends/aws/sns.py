"""Notices to an SNS topic. Action: `sns:Publish`, which allows several at once too.

A message is what webhooks are sent, `{"type": "job.completed", "timestamp": "…", "data": {…}}`. Beside it stand the
attributes `type`, `id` and `owner`, so that a subscription can filter by them. Delivered at least once: receivers that
count go by `id`, which is the `webhook-id` of the same event.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

from safelight.backends.aws.border import Clients, border
from safelight.errors import StorageUnavailable
from safelight.model import Notice

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 10
"""Messages in one request: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html"""

BYTES_AT_ONCE: Final = 256 * 1024
"""Bytes of all messages of a request together, attributes included."""

Letter = tuple[Notice, bytes]
"""A notice, and the words in which it is told."""


class SnsAnnouncer:
    """Publishes notices."""

    def __init__(self, clients: Clients, topic: str) -> None:
        self._clients = clients
        self._topic = topic

    def __call__(self, letters: Sequence[Letter]) -> int:
        """Tell the topic what has happened, and return how many of the first it knows now: the rest has to be told
        again. Raise StorageUnavailable if the first request gets no answer."""
        told = 0
        for together in _shared_out(letters):
            try:
                refused = self._publish(together)
            except StorageUnavailable:
                if not told:
                    raise
                log.exception("the topic was told a part")
                return told
            if refused is not None:
                return told + refused
            told += len(together)
        return told

    def _publish(self, letters: Sequence[Letter]) -> int | None:
        """Send one request. Return the place of the first message that was not taken."""
        with border("sns:Publish"):
            answer = self._clients.get("sns").publish_batch(
                TopicArn=self._topic,
                PublishBatchRequestEntries=[
                    {"Id": str(place), **_message(*letter)} for place, letter in enumerate(letters)
                ],
            )
        refusals = answer.get("Failed") or ()
        for each in refusals:
            notice, _ = letters[int(each["Id"])]
            about = {"job": notice.job_id, "notice": notice.id, "code": each.get("Code")}
            log.error("the topic did not take a notice", extra=about)
        return min((int(each["Id"]) for each in refusals), default=None)


def _message(notice: Notice, body: bytes) -> dict[str, Any]:
    return {
        "Message": body.decode(),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": text} for name, text in _attributes(notice).items()
        },
    }


def _attributes(notice: Notice) -> dict[str, str]:
    return {"type": notice.kind, "id": notice.message_id, "owner": notice.owner}


def _size(letter: Letter) -> int:
    notice, body = letter
    return len(body) + sum(
        len(name) + len("String") + len(text.encode()) for name, text in _attributes(notice).items()
    )


def _shared_out(letters: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    """The letters in their order, as many at a time as one request takes. One that is too long goes alone."""
    together: list[Letter] = []
    size = 0
    for letter in letters:
        if together and (len(together) == MOST_AT_ONCE or size + _size(letter) > BYTES_AT_ONCE):
            yield together
            together, size = [], 0
        together.append(letter)
        size += _size(letter)
    if together:
        yield together
