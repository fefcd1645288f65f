"""What stands in a message, and what garbage does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.backends.aws.messages import Letter, decode, encode, group_id
from safelight.model import Wake

WAKE = Wake(job_id="j1", key="uploads/j1/ü.jpg", group="ann")


def test_a_message_has_the_first_contracts_fields() -> None:
    """Whoever reads them today can go on reading them."""
    message = encode(Letter(wake=WAKE), "our-uploads")
    body = json.loads(message["MessageBody"])
    assert {name: body[name] for name in ("jobId", "s3Key", "bucket")} == {
        "jobId": "j1",
        "s3Key": "uploads/j1/ü.jpg",
        "bucket": "our-uploads",
    }
    assert message["MessageAttributes"] == {"JobId": {"DataType": "String", "StringValue": "j1"}}


@given(st.text(), st.text(), st.text(), st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_a_message_is_read_as_it_was_written(job_id: str, key: str, owner: str, not_before: float) -> None:
    """Any text; a job has an id."""
    letter = Letter(wake=Wake(job_id=f"j{job_id}", key=key, group=owner), not_before=not_before)
    assert decode(encode(letter, "b")["MessageBody"]) == letter


def test_a_message_of_the_first_contract_is_read() -> None:
    """It names no owner."""
    letter = decode('{"jobId": "j1", "s3Key": "uploads/j1/a.jpg", "bucket": "b"}')
    assert letter == Letter(wake=Wake(job_id="j1", key="uploads/j1/a.jpg", group=""))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "null",
        "[]",
        "{}",
        '"jobId"',
        '{"jobId": 1, "s3Key": "a"}',
        '{"jobId": "", "s3Key": "a"}',
        '{"jobId": "j1"}',
        '{"jobId": "j1", "s3Key": null}',
        "[" * 100_000,
        '{"Records": [{"s3": {}}]}',
        '{"Service": "Amazon S3", "Event": "s3:TestEvent"}',
    ],
)
def test_what_is_not_ours_is_none(body: str) -> None:
    """And never an exception."""
    assert decode(body) is None


@given(st.text())
def test_no_text_is_an_exception(body: str) -> None:
    """Whatever lands in the queue."""
    decode(body)


@pytest.mark.parametrize("value", ["soon", None, [], True, 1e400])
def test_a_strange_time_does_not_hold_a_message_back_for_ever(value: object) -> None:
    """Nor does it make it unreadable."""
    letter = decode(json.dumps({"jobId": "j1", "s3Key": "a", "notBefore": value}))
    assert letter is not None
    assert letter.not_before == 0


@given(st.text())
def test_every_owner_is_a_group(owner: str) -> None:
    """Of characters and a length that SQS takes, the same for the same owner."""
    group = group_id(owner)
    assert group == group_id(owner)
    assert group.isascii()
    assert group.isalnum()
    assert 0 < len(group) <= 128
