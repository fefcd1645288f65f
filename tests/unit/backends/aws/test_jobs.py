"""Jobs as items, and what happens when AWS's answers are lost or late. The contract suite has the rest."""

from typing import Any

import msgspec
import pytest
from tests.unit.backends.aws.fake import Answer, FakeAws, error
from tests.unit.backends.aws.test_stream import CANCELED, JOB

from safelight.backends.aws import jobs as jobs_module
from safelight.backends.aws.jobs import SHARDS, DynamoJobs, item_of, job_of, shard_of
from safelight.backends.aws.tables import jobs_table, records_table
from safelight.errors import JobNotFound, StorageUnavailable
from safelight.model import DAY, Job

REFUSED = "ConditionalCheckFailedException"


def store(aws: FakeAws) -> DynamoJobs:
    """The jobs of a table."""
    return DynamoJobs(aws, "jobs", retention=30 * DAY)


def cancel(job: Job) -> Job:
    """A transition."""
    return job.canceled(now=2.5, due_at=None)


def test_an_item_has_the_first_contracts_attributes() -> None:
    """For people and their tools, in the form that they know."""
    item = item_of(JOB, kept=0.0)
    assert item["jobId"] == {"S": "j1"}
    assert item["status"] == {"S": "PENDING"}
    assert item["s3Key"] == {"S": "uploads/j1/a.jpg"}
    assert item["createdAt"] == {"S": "1970-01-01T00:00:01.000000Z"}
    assert item["updatedAt"] == {"S": "1970-01-01T00:00:01.000000Z"}


def test_a_job_is_what_its_item_says() -> None:
    """Whole."""
    assert job_of(item_of(CANCELED, kept=0.0)) == CANCELED


def test_only_what_will_be_due_is_in_the_index() -> None:
    """The sweeper's index holds nothing else."""
    assert "dueAt" not in item_of(JOB, kept=0.0)
    due = item_of(msgspec.structs.replace(JOB, due_at=5.25), kept=0.0)
    assert due["dueAt"] == {"N": "5.25"}
    assert due["dueShard"] == {"N": str(shard_of("j1"))}


def test_no_job_under_way_ever_expires() -> None:
    """TTL is on ended jobs alone, long after the sweeper should have erased them; a retry takes it away again."""
    assert "expiresAt" not in item_of(JOB, kept=60 * DAY)
    assert item_of(CANCELED, kept=60 * DAY)["expiresAt"] == {"N": str(60 * 86_400 + 3)}
    retried = CANCELED.retried(now=3.0, due_at=9.0)
    assert "expiresAt" not in item_of(retried, kept=60 * DAY)


def test_jobs_spread_over_the_shards() -> None:
    """Each always in the same."""
    counts = [0] * SHARDS
    for number in range(1600):
        counts[shard_of(f"job-{number}")] += 1
    assert min(counts) > 50
    assert shard_of("j1") == shard_of("j1")


def test_a_write_whose_answer_was_lost_is_known_again() -> None:
    """Botocore tries again and is refused by its own write: that is a success, not somebody else's write. A worker that
    took it for one would remove the outputs of a completed job."""
    written: dict[str, Any] = {}

    def lost(parameters: dict[str, Any]) -> dict[str, Any]:
        written.update(parameters["Item"])
        raise error(REFUSED, Item=written)

    aws = FakeAws({"Item": item_of(JOB, kept=0.0)}, lost)
    assert store(aws).update("j1", cancel) == CANCELED
    assert aws.names == ["get_item", "put_item"]


def test_an_equal_write_of_somebody_else_is_not_ours() -> None:
    """Two writers may do the very same at the same moment; only one of them has done it."""
    theirs = item_of(CANCELED, kept=0.0)
    aws = FakeAws({"Item": item_of(JOB, kept=0.0)}, error(REFUSED, Item=theirs))
    calls: list[Job] = []

    def change(job: Job) -> Job:
        calls.append(job)
        return cancel(job)

    assert store(aws).update("j1", change) == CANCELED
    assert calls == [JOB, CANCELED]


def test_a_refusal_brings_the_newest_job() -> None:
    """Without reading again."""
    newer = msgspec.structs.replace(JOB, revision=7)
    aws = FakeAws(error(REFUSED, Item=item_of(newer, kept=0.0)), {})
    assert store(aws).update("j1", cancel, known=JOB).revision == 8
    assert aws.names == ["put_item", "put_item"]
    assert aws.requests[1][1]["ExpressionAttributeValues"] == {":before": {"N": "7"}}


def test_a_job_deleted_in_between_is_not_made_again() -> None:
    """The condition fails, and nothing is there."""
    aws = FakeAws({"Item": item_of(JOB, kept=0.0)}, error(REFUSED), {})
    with pytest.raises(JobNotFound):
        store(aws).update("j1", cancel)


def test_what_was_not_answered_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB may answer a batch in parts; if it never answers the rest, that is said."""
    monkeypatch.setattr(f"{jobs_module.__name__}.time.sleep", lambda seconds: None)
    due = msgspec.structs.replace(JOB, due_at=1.0)
    index: list[Answer] = [
        {"Items": [{"dueAt": {"N": "1"}, "jobId": {"S": "j1"}}]},
        *[{"Items": []}] * (SHARDS - 1),
    ]
    rest = {"Responses": {}, "UnprocessedKeys": {"jobs": {"Keys": [{"jobId": {"S": "j1"}}]}}}
    whole = {"Responses": {"jobs": [item_of(due, kept=0.0)]}, "UnprocessedKeys": {}}
    assert store(FakeAws(*index, rest, rest, whole)).due(2.0) == [due]
    with pytest.raises(StorageUnavailable):
        store(FakeAws(*index, *[rest] * 10)).due(2.0)


def test_a_listing_by_state_gives_up_looking_after_a_while() -> None:
    """A rare state among many jobs is a short page with a cursor, not an endless request."""
    key = {"owner": {"S": "ann"}, "ordered": {"S": "o"}, "jobId": {"S": "j"}}
    empty = {"Items": [], "LastEvaluatedKey": key}
    aws = FakeAws(*[empty] * jobs_module.LOOKS_PER_PAGE)
    page = store(aws).list("ann", state=CANCELED.state)
    assert page.items == ()
    assert page.cursor is not None


def test_keys_and_indexes_are_declared_as_they_are_used() -> None:
    """Every attribute that a key names is in the items."""
    item = item_of(msgspec.structs.replace(CANCELED, due_at=5.0), kept=1.0)
    table = jobs_table("jobs")
    assert {each["AttributeName"] for each in table["AttributeDefinitions"]} <= set(item)
    for each in table["AttributeDefinitions"]:
        assert each["AttributeType"] in item[each["AttributeName"]]
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"by-owner", "due"}
    assert [key["AttributeName"] for key in records_table("r")["KeySchema"]] == ["pk", "sk"]
