"""Notices to an SNS topic. Action: `sns:Publish`.

    {"id": "…", "type": "job.completed", "jobId": "…", "owner": "…", "state": "COMPLETED",
     "at": "2030-01-01T00:00:00.000000Z"}

    {"id": "…", "type": "batch.completed", "batchId": "…", "owner": "…", "at": "2030-01-01T00:00:00.000000Z"}

`type` is `job.completed`, `job.failed`, `job.expired`, `job.canceled` or `batch.completed`, and is a message attribute
too, so that a subscription can filter by it. A job of a batch also has its `batchId`. Delivered at least once:
receivers that count go by `id`.
"""

import json
from typing import Any

from safelight.backends.aws.border import Clients, border
from safelight.model import Notice, timestamp


class SnsAnnouncer:
    """Publishes notices. Raises StorageUnavailable, so that the notice is delivered again."""

    def __init__(self, clients: Clients, topic: str) -> None:
        self._clients = clients
        self._topic = topic

    def __call__(self, notice: Notice) -> None:
        """Tell the topic that a job has ended."""
        payload = payload_of(notice)
        attribute = {"DataType": "String", "StringValue": payload["type"]}
        with border("sns:Publish"):
            self._clients.get("sns").publish(
                TopicArn=self._topic,
                Message=json.dumps(payload, ensure_ascii=False),
                MessageAttributes={"type": attribute},
            )


def payload_of(notice: Notice) -> dict[str, Any]:
    """What subscribers get."""
    batch = {"batchId": notice.batch.id} if notice.batch else {}
    job = {} if notice.whole_batch else {"jobId": notice.job_id, "state": notice.state.value}
    return {
        "id": notice.id,
        "type": notice.kind,
        **batch,
        **job,
        "owner": notice.owner,
        "at": timestamp(notice.at),
    }
