"""The AWS backend on a server that stands in for AWS, with buckets, tables and queues that no other test uses."""

import json
import uuid
from functools import cached_property
from typing import Any

import botocore.session
from tests.support.servers import REGION

from safelight.backends.aws.border import Clients
from safelight.backends.aws.dead_letters import SqsDeadLetters
from safelight.backends.aws.jobs import DynamoJobs, job_of
from safelight.backends.aws.keys import Buckets
from safelight.backends.aws.links import S3Links
from safelight.backends.aws.parts import S3Multiparts
from safelight.backends.aws.records import DynamoRecords
from safelight.backends.aws.s3 import S3Blobs
from safelight.backends.aws.sqs import SqsInbox, SqsQueue
from safelight.backends.aws.stream import notice_in
from safelight.backends.aws.tables import jobs_table, records_table
from safelight.backends.aws.watch import AwsWatch
from safelight.model import DAY, Notice
from safelight.testing import Clock


class OnAws:
    """The ports. What each needs is made when it is first asked for."""

    def __init__(self, name: str, clients: Clients, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.clients = clients
        self._id = f"t{uuid.uuid4().hex[:12]}"

    @property
    def names(self) -> dict[str, str]:
        """The settings that lead to everything: all of it is made."""
        _ = self.buckets, self.jobs, self.records
        return {
            "backend": "aws",
            "region": REGION,
            "uploads_bucket": f"{self._id}-uploads",
            "processed_bucket": f"{self._id}-processed",
            "jobs_table": f"{self._id}-jobs",
            "records_table": f"{self._id}-records",
            "queue_url": self.queue_url,
            "dead_letter_url": self.dead_letter_url,
        }

    def close(self) -> None:
        """Let go of the queue."""
        if "inbox" in vars(self):
            self.inbox.close()

    # --- files ---

    @cached_property
    def buckets(self) -> Buckets:
        """Two new buckets, the first one versioned."""
        s3, where = self.clients.get("s3"), {"LocationConstraint": REGION}
        for kind in ("uploads", "processed"):
            s3.create_bucket(Bucket=f"{self._id}-{kind}", CreateBucketConfiguration=where)
        s3.put_bucket_versioning(Bucket=f"{self._id}-uploads", VersioningConfiguration={"Status": "Enabled"})
        return Buckets(f"{self._id}-uploads", f"{self._id}-processed")

    @cached_property
    def blobs(self) -> S3Blobs:
        return S3Blobs(self.clients, self.buckets)

    @cached_property
    def links(self) -> S3Links:
        return S3Links(self.clients, self.buckets, clock=self.clock, outputs_url="https://d1.cloudfront.net/")

    @cached_property
    def multiparts(self) -> S3Multiparts:
        return S3Multiparts(self.clients, self.buckets, blobs=self.blobs)

    # --- tables ---

    @cached_property
    def jobs(self) -> DynamoJobs:
        self._make_table(jobs_table(f"{self._id}-jobs"))
        return DynamoJobs(self.clients, f"{self._id}-jobs", retention=30 * DAY)

    @cached_property
    def notices(self) -> "Stream":
        _ = self.jobs
        return Stream(self.clients, f"{self._id}-jobs")

    @cached_property
    def records(self) -> DynamoRecords:
        self._make_table(records_table(f"{self._id}-records"))
        return DynamoRecords(self.clients, f"{self._id}-records", clock=self.clock)

    def _make_table(self, table: dict[str, Any]) -> None:
        db = self.clients.get("dynamodb")
        db.create_table(**table)
        db.get_waiter("table_exists").wait(
            TableName=table["TableName"], WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )

    # --- queue ---

    @cached_property
    def dead_letter_url(self) -> str:
        """The queue for what the other gives up."""
        answer = self.clients.get("sqs").create_queue(QueueName=f"{self._id}-dlq")
        return str(answer["QueueUrl"])

    @cached_property
    def queue_url(self) -> str:
        """A queue that hands a message out five times."""
        sqs = self.clients.get("sqs")
        answer = sqs.get_queue_attributes(QueueUrl=self.dead_letter_url, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": answer["Attributes"]["QueueArn"], "maxReceiveCount": 5}
        made = sqs.create_queue(
            QueueName=f"{self._id}-queue", Attributes={"RedrivePolicy": json.dumps(policy)}
        )
        return str(made["QueueUrl"])

    @cached_property
    def queue(self) -> SqsQueue:
        return SqsQueue(self.clients, self.queue_url, bucket="uploads", clock=self.clock)

    @cached_property
    def inbox(self) -> SqsInbox:
        return SqsInbox(self.clients, self.queue_url, clock=self.clock)

    @cached_property
    def dead_letters(self) -> SqsDeadLetters:
        return SqsDeadLetters(self.clients, self.dead_letter_url, queue=self.queue)

    @cached_property
    def watch(self) -> "Told":
        dead = SqsQueue(self.clients, self.dead_letter_url, bucket="uploads", clock=self.clock)
        watch = AwsWatch(self.jobs, self.queue, dead, self.records, clock=self.clock)
        return Told(watch, self.notices)


class Told:
    """The operator's view, kept as the notifier keeps it: by what the stream tells."""

    def __init__(self, watch: AwsWatch, stream: "Stream") -> None:
        self._watch = watch
        self._stream = stream
        self._noted: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        new = [
            (notice, job_of(record["dynamodb"]["NewImage"]))
            for record in self._stream.records()
            if (notice := notice_in(record)) and notice.id not in self._noted
        ]
        self._noted |= {notice.id for notice, _ in new}
        self._watch.note([job for _, job in new])
        return getattr(self._watch, name)


class Stream:
    """The notices in a table's stream, read from its beginning: what the notifier function is given."""

    def __init__(self, clients: Clients, table: str) -> None:
        self._streams = botocore.session.get_session().create_client("dynamodbstreams", region_name=REGION)
        described = clients.get("dynamodb").describe_table(TableName=table)
        self._arn = described["Table"]["LatestStreamArn"]

    def pending(self, now: float, *, limit: int = 100) -> list[Notice]:
        """All there were."""
        return [notice for record in self.records() if (notice := notice_in(record))][:limit]

    def settle(self, notice_id: str) -> None:
        """Not here."""
        raise NotImplementedError

    def postpone(self, notice_id: str, until: float) -> None:
        """Not here."""
        raise NotImplementedError

    def records(self) -> list[dict[str, Any]]:
        """What Lambda would hand to the notifier."""
        found: list[dict[str, Any]] = []
        stream = self._streams.describe_stream(StreamArn=self._arn)["StreamDescription"]
        for shard in stream["Shards"]:
            iterator = self._streams.get_shard_iterator(
                StreamArn=self._arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            for _ in range(3):
                answer = self._streams.get_records(ShardIterator=iterator)
                found += answer["Records"]
                iterator = answer.get("NextShardIterator")
                if iterator is None:
                    break
        return found
