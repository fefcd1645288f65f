"""The functions on ports in memory, and the events that AWS would hand to them."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote_plus

import msgspec
import pytest
from tests.unit.pipeline import ME
from tests.unit.webhooks.post import Post

from safelight.batches import Batches
from safelight.model import Job, JobState, Notice, Wake
from safelight.ports import BlobInfo
from safelight.previews import Previews

BUCKET = "uploads-bucket"


class Context:
    """What Lambda says about a call."""

    function_name = "a-function"
    aws_request_id = "c1"

    def __init__(self, seconds: float = 100.0) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


class OnAws(Post):
    """Stands in for `bootstrap.OnAws`."""

    def __init__(self) -> None:
        super().__init__(uploads_bucket=BUCKET)
        self.batches = Batches(self.ports.records, self.clock)
        self.previews = Previews(self.settings, lambda _: self.ports.renderer)
        self.told: list[tuple[Notice, bytes]] = []
        self.hears = 1_000_000
        self.counted = 0

    def read_message(self, body: str) -> Wake | None:
        """Ours are JSON objects with a jobId."""
        try:
            return Wake(job_id=json.loads(body)["jobId"], key="", group="")
        except (ValueError, KeyError):
            return None

    def notice_in(self, record: dict[str, Any]) -> Notice | None:
        """A record names the state that a job came to."""
        state = record["dynamodb"].get("state")
        number = record["dynamodb"]["SequenceNumber"]
        return state and Notice(
            id=f"n{number}",
            job_id=f"j{number}",
            owner=ME,
            state=JobState(state),
            at=1.0,
            batch=record["dynamodb"].get("batch"),
        )

    def note_ends(self, records: Sequence[dict[str, Any]]) -> None:
        """Count them."""
        self.counted += len(records)

    def announce(self, letters: Sequence[tuple[Notice, bytes]]) -> int:
        """Remember as many as it hears, or fail."""
        if not self.hears:
            raise OSError("nobody listens")
        heard = letters[: self.hears]
        self.told += heard
        self.hears -= len(heard)
        return len(heard)


def created(
    blob: BlobInfo | None = None, *, name: str = "ObjectCreated:Put", **changes: Any
) -> dict[str, Any]:
    """A record of S3: one version of one object was created."""
    about: dict[str, Any] = (
        msgspec.structs.asdict(blob) if blob else {"key": "uploads/1/a.jpg", "version": "v", "bytes": 1}
    )
    about |= changes
    return {
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {
            "bucket": {"name": about.get("bucket", BUCKET)},
            "object": {
                "key": about.get("raw_key") or quote_plus(about["key"], safe="/"),
                "versionId": about["version"],
                "size": about["bytes"],
            },
        },
    }


def message(job: Job | None, *, body: str | None = None, number: int = 1) -> dict[str, Any]:
    """A message of the queue, as Lambda hands it in."""
    text = body if body is not None else json.dumps({"jobId": job.id if job else "nobody"})
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": text,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> OnAws:
    """The system that all functions work on."""
    from safelight.entrypoints.lambdas import api, dispatcher, notifier, observing, sweeper, worker

    made = OnAws()
    for module in (api, dispatcher, notifier, sweeper, worker):
        monkeypatch.setattr(module, "system", lambda: made)
    for courier_of in (notifier, sweeper):
        monkeypatch.setattr(courier_of, "courier", lambda: made.courier)
    for name, value in {
        "POWERTOOLS_METRICS_NAMESPACE": "Safelight",
        "POWERTOOLS_SERVICE_NAME": "test",
    }.items():
        monkeypatch.setenv(name, value)
    for cached in (observing._logger, observing._metrics, api._application):
        cached.cache_clear()
    return made
