"""From a record of the table's stream to a notice, and on to the topic."""

from typing import Any

import pytest
from tests.unit.backends.aws.fake import FakeAws, error

from safelight.backends.aws.jobs import item_of
from safelight.backends.aws.sns import SnsAnnouncer
from safelight.backends.aws.stream import StreamedNotices, notice_in
from safelight.errors import StorageUnavailable
from safelight.model import Job, JobState, Notice, RecipeRef, Stage, Upload

JOB = Job(
    id="j1",
    owner="ann",
    state=JobState.PENDING,
    stage=Stage.AWAITING_UPLOAD,
    created_at=1.0,
    updated_at=1.0,
    upload=Upload(filename="a.jpg", key="uploads/j1/a.jpg"),
    recipe=RecipeRef(name="default", digest="d"),
)
CANCELED = JOB.canceled(now=2.5, due_at=None)


def record(before: Job | None, after: Job | None) -> dict[str, Any]:
    """As Lambda hands it over."""
    images = {"OldImage": before, "NewImage": after}
    kind = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    return {
        "eventName": kind,
        "dynamodb": {
            "SequenceNumber": "1",
            **{name: item_of(job, kept=0.0) for name, job in images.items() if job is not None},
        },
    }


def test_an_end_is_a_notice() -> None:
    """The same one each time the record is delivered."""
    expected = Notice(id="j1.2", job_id="j1", owner="ann", state=JobState.CANCELED, at=2.5)
    assert notice_in(record(JOB, CANCELED)) == expected
    assert notice_in(record(JOB, CANCELED)) == expected


@pytest.mark.parametrize(
    "quiet",
    [
        record(None, JOB),
        record(CANCELED, None),
        record(JOB, JOB),
        record(CANCELED, CANCELED.looked_at(due_at=9.0)),
        record(CANCELED, CANCELED.retried(now=3.0, due_at=9.0)),
        {},
        {"dynamodb": {"NewImage": {}, "OldImage": {}}},
        {"dynamodb": {"NewImage": {"jobId": {"S": "x"}}, "OldImage": {"jobId": {"S": "x"}}}},
    ],
    ids=["made", "removed", "same", "looked at", "retried", "empty", "no images", "of somebody else"],
)
def test_everything_else_is_none(quiet: dict[str, Any]) -> None:
    """Also items that others put into the table."""
    assert notice_in(quiet) is None


def test_a_sweeper_finds_no_notices() -> None:
    """They are on their way already."""
    notices = StreamedNotices()
    assert notices.pending(9999.0) == []
    notices.settle("j1.2")
    notices.postpone("j1.2", 1.0)


def test_the_topic_is_told() -> None:
    """In the words of webhooks; what subscriptions filter by stands beside them."""
    aws = FakeAws({})
    notice = Notice(id="j1.2", job_id="j1", owner="änn", state=JobState.COMPLETED, at=2.5)
    SnsAnnouncer(aws, "arn")(notice, '{"type": "ä"}'.encode())
    [(name, sent)] = aws.requests
    assert (name, sent["TopicArn"], sent["Message"]) == ("publish", "arn", '{"type": "ä"}')
    assert {name: each["StringValue"] for name, each in sent["MessageAttributes"].items()} == {
        "type": "job.completed",
        "id": "j1_2",
        "owner": "änn",
    }


def test_a_topic_that_does_not_answer_is_an_error() -> None:
    """So that the notice comes again."""
    announce = SnsAnnouncer(FakeAws(error("InternalError", 500)), "arn")
    with pytest.raises(StorageUnavailable):
        announce(Notice(id="j1.2", job_id="j1", owner="ann", state=JobState.FAILED, at=2.5), b"{}")
