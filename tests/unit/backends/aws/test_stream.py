"""From a record of the table's stream to a notice, and on to the topic."""

from typing import Any

import pytest
from tests.unit.backends.aws.fake import FakeAws, error

from safelight.backends.aws.jobs import item_of
from safelight.backends.aws.sns import Letter, SnsAnnouncer
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


def letter(number: int, body: bytes = b"{}") -> Letter:
    """A notice in words."""
    return Notice(id=f"j{number}.2", job_id=f"j{number}", owner="änn", state=JobState.COMPLETED, at=2.5), body


def test_the_topic_is_told() -> None:
    """In the words of webhooks; what subscriptions filter by stands beside them."""
    aws = FakeAws({})
    assert SnsAnnouncer(aws, "arn")([letter(1, '{"type": "ä"}'.encode())]) == 1
    [(name, sent)] = aws.requests
    assert (name, sent["TopicArn"]) == ("publish_batch", "arn")
    [entry] = sent["PublishBatchRequestEntries"]
    assert entry["Message"] == '{"type": "ä"}'
    assert {name: each["StringValue"] for name, each in entry["MessageAttributes"].items()} == {
        "type": "job.completed",
        "id": "j1_2",
        "owner": "änn",
    }


def test_as_many_at_a_time_as_a_request_takes() -> None:
    """Ten, and no more than SNS takes in bytes; a longer one alone. All in their order."""
    lengths = [2] * 12 + [100_000, 100_000, 100_000, 300_000, 2]
    aws = FakeAws(*[{}] * 6)
    letters = [letter(number, b"-" * length) for number, length in enumerate(lengths)]
    assert SnsAnnouncer(aws, "arn")(letters) == len(letters)
    sent = [
        [len(entry["Message"]) for entry in request["PublishBatchRequestEntries"]]
        for _, request in aws.requests
    ]
    assert sent == [[2] * 10, [2, 2, 100_000, 100_000], [100_000], [300_000], [2]]
    assert all(
        len({entry["Id"] for entry in request["PublishBatchRequestEntries"]}) == len(lot)
        for (_, request), lot in zip(aws.requests, sent, strict=True)
    )


def refused(*places: int) -> dict[str, Any]:
    """The answer of a topic that did not take all."""
    return {"Failed": [{"Id": str(place), "Code": "InternalError", "SenderFault": False} for place in places]}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([{}, refused(4, 1)], 11),
        ([refused(3)], 3),
        ([refused(0)], 0),
        ([{}, error("InternalError", 500)], 10),
    ],
    ids=["some of the second lot", "one of the first", "the very first", "the second lot"],
)
def test_a_topic_that_takes_a_part(answers: list[Any], told: int) -> None:
    """It is said how many of the first it knows; nothing more is sent."""
    aws = FakeAws(*answers)
    assert SnsAnnouncer(aws, "arn")([letter(number) for number in range(25)]) == told
    assert len(aws.requests) == len(answers)


def test_a_notice_that_is_refused_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """So that an operator knows which."""
    aws = FakeAws(refused(1))
    assert SnsAnnouncer(aws, "arn")([letter(number) for number in range(3)]) == 1
    [line] = caplog.records
    assert [line.__dict__[name] for name in ("job", "notice", "code")] == ["j1", "j1.2", "InternalError"]


def test_attributes_count() -> None:
    """Ten that are full to the brim, but for what stands beside them."""
    aws = FakeAws(*[{}] * 2)
    letters = [letter(number, b"-" * (256 * 1024 // 10)) for number in range(10)]
    assert SnsAnnouncer(aws, "arn")(letters) == 10
    assert [len(request["PublishBatchRequestEntries"]) for _, request in aws.requests] == [9, 1]


def test_a_topic_that_does_not_answer_is_an_error() -> None:
    """So that the notice comes again."""
    announce = SnsAnnouncer(FakeAws(error("InternalError", 500)), "arn")
    with pytest.raises(StorageUnavailable):
        announce([letter(1)])
