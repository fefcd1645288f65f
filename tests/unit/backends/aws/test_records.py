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


def test_expiry_is_whole_seconds_rounded_up() -> None:
    """TTL takes no others; nothing goes too early."""
    aws = FakeAws({})
    record = records(aws).put("p", "k", b"v", expected=0, expires_at=1010.25)
    assert record.expires_at == 1011
    assert aws.requests[0][1]["Item"]["expiresAt"] == {"N": "1011"}
