"""Jobs in the jobs table of DynamoDB (`tables.py` has its keys and indexes).

    jobId, status, s3Key, createdAt, updatedAt      as the first contract has them: for people and their tools
    doc                                             the whole job as JSON: the only attribute that is read back
    revision                                        the condition of every write
    writer                                          a random name for each write, by which it recognises itself
    owner, ordered (createdAt#jobId)                index `by-owner`
    dueShard (0 to 15), dueAt                       index `due`; absent when nothing will be due
    expiresAt                                       TTL, on jobs that have ended only

Reads are consistent; the indexes, which never are, only say which jobs to read. TTL is a backstop for the day that the
sweeper has failed for a month: it removes what ended long before, never a job that is under way.

Actions: `dynamodb:GetItem`, `PutItem`; to make many `BatchWriteItem`; to list, to read many and to sweep
`BatchGetItem`, and `Query` on the indexes; to erase `DeleteItem`.
"""

import random
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from heapq import merge
from itertools import islice
from math import ceil
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from safelight.backends.aws.border import Clients, border, code_of
from safelight.backends.aws.tables import BY_OWNER, DUE, EXPIRES
from safelight.cursors import pack, unpack
from safelight.decoding import known
from safelight.errors import JobNotFound, StorageUnavailable
from safelight.model import DAY, Job, JobState, timestamp
from safelight.ports import Page

LOOKS_FOR_CLAIMS: Final = 1000
"""How many due jobs are read at most to find those that are claimed."""

SHARDS: Final = 16
"""Partitions of the index of due jobs: one takes 1,000 writes a second, and every transition is one."""

KEPT_AFTER_RETENTION: Final = 30 * DAY
"""How long after the end of its retention TTL removes a job that the sweeper should have erased."""

LOOKS_PER_PAGE: Final = 20
"""How many queries one page of a listing by state may take; a page cut short by this has a cursor."""

_BATCH: Final = 100
_BATCH_WRITE: Final = 25
_REFUSED: Final = "ConditionalCheckFailedException"
_doc: Final = msgspec.json.Encoder().encode
_job: Final = msgspec.json.Decoder(known(Job)).decode


class DynamoJobs:
    """`ports.Jobs`. `retention` is in seconds."""

    def __init__(self, clients: Clients, table: str, *, retention: float) -> None:
        self._clients = clients
        self._table = table
        self._kept = retention + KEPT_AFTER_RETENTION

    def create(self, job: Job) -> None:
        """Store a new job."""
        # Ids are random: if it is there already, it is the very same job, from a try whose answer was lost.
        self._write(job, "attribute_not_exists(jobId)", {})

    def create_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs, 25 in a request."""
        for start in range(0, len(jobs), _BATCH_WRITE):
            made = [
                {"PutRequest": {"Item": item_of(job, kept=self._kept)}}
                for job in jobs[start : start + _BATCH_WRITE]
            ]
            for attempt in range(10):
                with border("dynamodb:BatchWriteItem"):
                    answer = self._db.batch_write_item(RequestItems={self._table: made})
                made = answer.get("UnprocessedItems", {}).get(self._table, [])
                if not made:
                    break
                time.sleep(random.uniform(0.0, min(0.05 * 2.0**attempt, 1.0)))
            else:
                raise StorageUnavailable("Storage did not take everything (dynamodb:BatchWriteItem).")

    def read(self, job_ids: Sequence[str]) -> tuple[Job, ...]:
        """Those of these jobs that there are."""
        return tuple(self._read(job_ids))

    def get(self, job_id: str) -> Job:
        """The job as last written."""
        with border("dynamodb:GetItem"):
            answer = self._db.get_item(
                TableName=self._table,
                Key={"jobId": {"S": job_id}},
                ConsistentRead=True,
                ProjectionExpression="doc",
            )
        if "Item" not in answer:
            raise JobNotFound
        return job_of(answer["Item"])

    def update(self, job_id: str, change: Callable[[Job], Job], *, known: Job | None = None) -> Job:
        """Apply a transition: to the caller's copy first, then to the newest until nobody wrote in between."""
        before, refused = known or self.get(job_id), 0
        while True:
            after = change(before)
            if after is before:
                # The caller's copy may be old, and then "nothing to do" may not be true any more.
                newest = self.get(job_id) if before is known else before
                if newest.revision == before.revision:
                    return newest
            else:
                condition = {":before": {"N": str(before.revision)}}
                found = self._write(after, "revision = :before", condition)
                if found is None:
                    return after
                newest, refused = found, refused + 1
                time.sleep(random.uniform(0.0, min(0.002 * 2.0**refused, 0.2)))
            before = newest

    def delete(self, job_id: str) -> None:
        """Erase the record."""
        with border("dynamodb:DeleteItem"):
            self._db.delete_item(TableName=self._table, Key={"jobId": {"S": job_id}})

    def due(self, now: float, *, limit: int = 100) -> list[Job]:
        """Jobs whose `due_at` has passed, the longest overdue first."""
        shards = [self._due_in(shard, now, limit) for shard in range(SHARDS)]
        # The index lags behind the table: a job may have moved on, or be gone.
        jobs = self._read([job_id for _, job_id in islice(merge(*shards), limit)])
        due = [(job.due_at, job) for job in jobs if job.due_at is not None and job.due_at <= now]
        return [job for _, job in sorted(due, key=lambda each: each[0])]

    def claimed(self, after: float, before: float, *, limit: int) -> Sequence[Job]:
        """Claimed jobs that are due between these times: a claim makes its job due when it runs out. Others are due
        then, too, so up to `LOOKS_FOR_CLAIMS` jobs are read."""
        most = max(limit, LOOKS_FOR_CLAIMS)
        due = sorted(
            each for shard in range(SHARDS) for each in self._due_in(shard, before, most, after=after)
        )
        claimed: list[Job] = []
        for start in range(0, min(len(due), most), _BATCH):
            jobs = self._read([job_id for _, job_id in due[start : min(start + _BATCH, most)]])
            claimed += [job for job in jobs if job.claim is not None]
            if len(claimed) >= limit:
                break
        return claimed[:limit]

    def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Which of these jobs there are. A read costs by the size of the job, whatever is asked of it."""
        return frozenset(job.id for job in self._read(tuple(dict.fromkeys(job_ids))))

    def list(
        self, owner: str, *, state: JobState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Job]:
        """The owner's jobs, newest first."""
        query = _by_owner(self._table, owner, state, unpack(cursor, str)[0] if cursor is not None else None)
        if state is None:
            query["Limit"] = limit + 1
        jobs: list[Job] = []
        for _ in range(LOOKS_PER_PAGE):
            with border("dynamodb:Query"):
                answer = self._db.query(**query)
            found = [(item["ordered"]["S"], item["jobId"]["S"]) for item in answer["Items"]]
            while found and len(jobs) < limit:
                part, found = found[: limit - len(jobs)], found[limit - len(jobs) :]
                jobs += [job for job in self._read([each[1] for each in part]) if state in (None, job.state)]
                query["ExclusiveStartKey"] = _start(owner, *part[-1])
            if len(jobs) == limit and (found or "LastEvaluatedKey" in answer):
                break
            if "LastEvaluatedKey" not in answer:
                return Page(items=tuple(jobs))
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return Page(items=tuple(jobs), cursor=pack(query["ExclusiveStartKey"]["ordered"]["S"]))

    # --- one request each ---

    @property
    def _db(self) -> Any:
        return self._clients.get("dynamodb")

    def _write(self, job: Job, condition: str, values: dict[str, Any]) -> Job | None:
        """Put the job if the condition holds. Return None, or the job that is there instead. Raise JobNotFound."""
        expression = {"ExpressionAttributeValues": values} if values else {}
        item = item_of(job, kept=self._kept)
        with border("dynamodb:PutItem"):
            try:
                self._db.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression=condition,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **expression,
                )
            except ClientError as error:
                if code_of(error) != _REFUSED:
                    raise
                there = error.response.get("Item")
            else:
                return None
        # When an answer is lost botocore tries again, and then finds what it wrote itself.
        if there and there.get("writer") == item["writer"]:
            return None
        return job_of(there) if there else self.get(job.id)

    def _due_in(
        self, shard: int, now: float, limit: int, *, after: float = 0.0
    ) -> Sequence[tuple[float, str]]:
        with border("dynamodb:Query"):
            answer = self._db.query(
                TableName=self._table,
                IndexName=DUE,
                KeyConditionExpression="dueShard = :shard AND dueAt BETWEEN :after AND :now",
                ExpressionAttributeValues={
                    ":shard": {"N": str(shard)},
                    ":after": {"N": repr(after)},
                    ":now": {"N": repr(now)},
                },
                Limit=limit,
            )
        return [(float(item["dueAt"]["N"]), item["jobId"]["S"]) for item in answer["Items"]]

    def _read(self, job_ids: Sequence[str]) -> Sequence[Job]:
        """The jobs of these ids that there are, in the same order."""
        found: dict[str, Job] = {}
        for start in range(0, len(job_ids), _BATCH):
            keys = [{"jobId": {"S": job_id}} for job_id in job_ids[start : start + _BATCH]]
            for attempt in range(10):
                request = {self._table: {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "doc"}}
                with border("dynamodb:BatchGetItem"):
                    answer = self._db.batch_get_item(RequestItems=request)
                jobs = map(job_of, answer["Responses"].get(self._table, ()))
                found.update((job.id, job) for job in jobs)
                keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
                if not keys:
                    break
                time.sleep(random.uniform(0.0, min(0.05 * 2.0**attempt, 1.0)))
            else:
                raise StorageUnavailable("Storage did not answer everything (dynamodb:BatchGetItem).")
        return [found[job_id] for job_id in job_ids if job_id in found]


def item_of(job: Job, *, kept: float) -> dict[str, Any]:
    """The job as the table keeps it."""
    item = {
        "jobId": {"S": job.id},
        "status": {"S": job.state.value},
        "s3Key": {"S": job.upload.key},
        "createdAt": {"S": timestamp(job.created_at)},
        "updatedAt": {"S": timestamp(job.updated_at)},
        "owner": {"S": job.owner},
        "ordered": {"S": f"{timestamp(job.created_at)}#{job.id}"},
        "revision": {"N": str(job.revision)},
        "writer": {"S": secrets.token_hex(8)},
        "doc": {"S": _doc(job).decode()},
    }
    if job.due_at is not None:
        item["dueShard"] = {"N": str(shard_of(job.id))}
        item["dueAt"] = {"N": repr(job.due_at)}
    if job.state.terminal:
        item[EXPIRES] = {"N": str(ceil(job.updated_at + kept))}
    return item


def job_of(item: dict[str, Any]) -> Job:
    """The job that an item holds."""
    return _job(item["doc"]["S"])


def shard_of(job_id: str) -> int:
    """The partition of the index of due jobs, the same in every process."""
    return int.from_bytes(blake2b(job_id.encode(), digest_size=2).digest()) % SHARDS


def _by_owner(table: str, owner: str, state: JobState | None, after: str | None) -> dict[str, Any]:
    names, values = {"#owner": "owner"}, {":owner": {"S": owner}}
    query: dict[str, Any] = {
        "TableName": table,
        "IndexName": BY_OWNER,
        "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ProjectionExpression": "jobId, ordered",
        "ScanIndexForward": False,
    }
    if state is not None:
        query["FilterExpression"] = "#status = :status"
        names["#status"], values[":status"] = "status", {"S": state.value}
    if after is not None:
        query["KeyConditionExpression"] += " AND ordered < :after"
        values[":after"] = {"S": after}
    return query


def _start(owner: str, ordered: str, job_id: str) -> dict[str, Any]:
    return {"owner": {"S": owner}, "ordered": {"S": ordered}, "jobId": {"S": job_id}}
