"""Records, when answers are lost. The contract suite has the rest."""

from typing import Any

import pytest
from tests.unit.backends.aws.fake import FakeAws, error

from safelight.backends.aws.records import DynamoRecords
from safelight.errors import RecordConflict
from safelight.testing import Clock

REFUSED = "ConditionalCheckFailedException"


def records(aws: FakeAws) -> DynamoRecords:
    """The records of a table."""
    return DynamoRecords(aws, "records", clock=Clock(1000.0))


def item(version: int, writer: str, expires_at: int | None = None) -> dict[str, Any]:
    """A record as it lies there."""
    there = {
        "pk": {"S": "p"},
        "sk": {"S": "k"},
        "value": {"B": b"v"},
        "version": {"N": str(version)},
        "writer": {"S": writer},
    }
    return there if expires_at is None else {**there, "expiresAt": {"N": str(expires_at)}}


def test_a_first_write_is_one_request() -> None:
    """It does not look before."""
    aws = FakeAws({})
    assert records(aws).put("p", "k", b"v", expected=0).version == 1
    assert aws.names == ["put_item"]


def test_a_write_whose_answer_was_lost_is_known_again() -> None:
    """It is no conflict with itself: a client's first request is not taken for its second."""

    def lost(parameters: dict[str, Any]) -> dict[str, Any]:
        raise error(REFUSED, Item=parameters["Item"])

    assert records(FakeAws(lost)).put("p", "k", b"v", expected=0).version == 1


def test_a_first_write_behind_another_is_a_conflict() -> None:
    """Told by the refusal itself."""
    with pytest.raises(RecordConflict):
        records(FakeAws(error(REFUSED, Item=item(1, "other")))).put("p", "k", b"v", expected=0)


def test_an_expired_record_makes_room_once() -> None:
    """Versions begin anew, so the condition is who wrote the expired one: of two that find it, one wins."""
    aws = FakeAws(
        error(REFUSED, Item=item(3, "old", expires_at=999)),
        error(REFUSED, Item=item(1, "faster", expires_at=2000)),
    )
    with pytest.raises(RecordConflict):
        records(aws).put("p", "k", b"v", expected=0)
    assert aws.requests[1][1]["ExpressionAttributeValues"] == {":before": {"S": "old"}}
    assert aws.requests[1][1]["Item"]["version"] == {"N": "1"}


def test_a_change_is_one_request() -> None:
    """The table itself looks whether the version is the one that is expected, and alive."""
    aws = FakeAws({})
    assert records(aws).put("p", "k", b"v", expected=3).version == 4
    assert aws.names == ["put_item"]
    sent = aws.requests[0][1]
    assert sent["ExpressionAttributeValues"] == {":version": {"N": "3"}, ":now": {"N": "1000.0"}}
    assert "#expires > :now" in sent["ConditionExpression"]


def test_a_change_whose_answer_was_lost_is_known_again() -> None:
    """As a first write is; behind another it is a conflict."""

    def lost(parameters: dict[str, Any]) -> dict[str, Any]:
        raise error(REFUSED, Item=parameters["Item"])

    assert records(FakeAws(lost)).put("p", "k", b"v", expected=3).version == 4
    with pytest.raises(RecordConflict):
        records(FakeAws(error(REFUSED, Item=item(4, "other")))).put("p", "k", b"v", expected=3)


def test_counting_is_one_request() -> None:
    """Which adds, whatever is there, and says when it may go."""
    aws = FakeAws({})
    records(aws).count("p", "k", {"COMPLETED": 2, "FAILED": 1}, expires_at=1010.25)
    [(name, sent)] = aws.requests
    assert (name, sent["UpdateExpression"]) == ("update_item", "ADD #0 :0, #1 :1 SET #expires = :expires")
    assert sent["ExpressionAttributeNames"] == {"#0": "COMPLETED", "#1": "FAILED", "#expires": "expiresAt"}
    assert sent["ExpressionAttributeValues"] == {
        ":0": {"N": "2"},
        ":1": {"N": "1"},
        ":expires": {"N": "1011"},
    }


def test_expiry_is_whole_seconds_rounded_up() -> None:
    """TTL takes no others; nothing goes too early."""
    aws = FakeAws({})
    record = records(aws).put("p", "k", b"v", expected=0, expires_at=1010.25)
    assert record.expires_at == 1011
    assert aws.requests[0][1]["Item"]["expiresAt"] == {"N": "1011"}
