"""The AWS backend: S3 keeps the files, DynamoDB the jobs and records, SQS the queue; SNS tells who wants to know.

    border.py           clients, and AWS's errors in our words
    s3.py, links.py     files, and the URLs that clients use; parts.py for files that come in parts
    tables.py           the two tables; jobs.py and records.py keep things in them
    watch.py            what operators see at a glance, and the tally that it is read from
    stream.py, sns.py   notices: from the jobs table's stream to a topic
    messages.py         what stands in a message; sqs.py sends and receives it, dead_letters.py is for people

Each module says which IAM actions it needs. The stack (`infra/template.yaml`) makes all of it and hands the names to
every function as settings. Clients are made when a port is first used.
"""

import time
from typing import Any

from safelight.backends.aws.border import Clients
from safelight.backends.aws.dead_letters import SqsDeadLetters
from safelight.backends.aws.jobs import DynamoJobs, job_of
from safelight.backends.aws.keys import Buckets
from safelight.backends.aws.links import DOWNLOAD_SECONDS, S3Links
from safelight.backends.aws.messages import decode
from safelight.backends.aws.parts import S3Multiparts
from safelight.backends.aws.records import DynamoRecords
from safelight.backends.aws.s3 import S3Blobs
from safelight.backends.aws.sns import SnsAnnouncer
from safelight.backends.aws.sqs import SqsInbox, SqsQueue
from safelight.backends.aws.stream import StreamedNotices, notice_in
from safelight.backends.aws.watch import AwsWatch
from safelight.model import DAY, Job, Notice, Wake
from safelight.ports import Clock

__all__ = ["Aws"]


class Aws:
    """The backend of one process. An empty region is the one that AWS's own variables and files name."""

    def __init__(
        self,
        *,
        uploads_bucket: str,
        processed_bucket: str,
        jobs_table: str,
        records_table: str,
        queue_url: str,
        dead_letter_url: str = "",
        topic_arn: str = "",
        region: str = "",
        retention: float = 30 * DAY,
        download_seconds: int = DOWNLOAD_SECONDS,
        outputs_url: str = "",
        clock: Clock = time.time,
    ) -> None:
        self.clients = Clients(region)
        buckets = Buckets(uploads_bucket, processed_bucket)
        self.blobs = S3Blobs(self.clients, buckets)
        self.links = S3Links(
            self.clients, buckets, clock=clock, download_seconds=download_seconds, outputs_url=outputs_url
        )
        self.multiparts = S3Multiparts(self.clients, buckets, blobs=self.blobs)
        self.jobs = DynamoJobs(self.clients, jobs_table, retention=retention)
        self.notices = StreamedNotices()
        self.records = DynamoRecords(self.clients, records_table, clock=clock)
        self.queue = SqsQueue(self.clients, queue_url, bucket=uploads_bucket, clock=clock)
        self.inbox = SqsInbox(self.clients, queue_url, clock=clock)
        self.dead_letters = SqsDeadLetters(self.clients, dead_letter_url, queue=self.queue)
        dead = SqsQueue(self.clients, dead_letter_url, bucket=uploads_bucket, clock=clock)
        self.watch = AwsWatch(self.jobs, self.queue, dead, self.records, clock=clock)
        self.announce = SnsAnnouncer(self.clients, topic_arn)

    def read_message(self, body: str) -> Wake | None:
        """What the body of a message says, or None if it is not one of ours."""
        letter = decode(body)
        return letter.wake if letter else None

    def notice_in(self, record: dict[str, Any]) -> Notice | None:
        """The notice that a record of the jobs table's stream carries, or None."""
        return notice_in(record)

    def job_in(self, record: dict[str, Any]) -> Job:
        """The job as a record of the stream that carries a notice has left it."""
        return job_of(record["dynamodb"]["NewImage"])

    def close(self) -> None:
        """Stop receiving, give back what still arrives, and close every connection."""
        self.inbox.close()
        self.clients.close()
