"""Notices to an SNS topic. Action: `sns:Publish`.

A message is what webhooks are sent, `{"type": "job.completed", "timestamp": "…", "data": {…}}`. Beside it stand the
attributes `type`, `id` and `owner`, so that a subscription can filter by them. Delivered at least once: receivers that
count go by `id`, which is the `webhook-id` of the same event.
"""

from safelight.backends.aws.border import Clients, border
from safelight.model import Notice


class SnsAnnouncer:
    """Publishes notices. Raises StorageUnavailable, so that the notice is delivered again."""

    def __init__(self, clients: Clients, topic: str) -> None:
        self._clients = clients
        self._topic = topic

    def __call__(self, notice: Notice, body: bytes) -> None:
        """Tell the topic what has happened, in the words of `body`."""
        said = {"type": notice.kind, "id": notice.message_id, "owner": notice.owner}
        with border("sns:Publish"):
            self._clients.get("sns").publish(
                TopicArn=self._topic,
                Message=body.decode(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": text} for name, text in said.items()
                },
            )
