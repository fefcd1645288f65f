"""What an operator sees at a glance: the queues' own counts, the index of due jobs, and a tally of ends.

DynamoDB can not count cheaply, so who reads the table's stream (the notifier) keeps the tally, in the records table:

    pk ends-minutes     sk the minute             how many jobs came to which end in it; kept for a day
    pk ends-totals      sk all                    the same from the beginning on
    pk ends-failures    sk newest first           why jobs FAILED; kept for a week

The first two are counters: for a batch of up to 100 ends a call for each minute in it and one for the totals, in which
the stream's several readers are not in each other's way; and none on the way of an upload. The stream tells at least
once: a batch that is told again counts again.

Actions: to look `sqs:GetQueueAttributes` on both queues, `dynamodb:Query` on the index `due` and the records table,
`BatchGetItem` on the jobs table; to keep the tally `UpdateItem` and `PutItem` on the records table.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from safelight.backends.aws.jobs import DynamoJobs
from safelight.backends.aws.records import DynamoRecords
from safelight.backends.aws.sqs import SqsQueue
from safelight.decoding import known
from safelight.model import DAY, MINUTE, Job, JobState
from safelight.ports import MINUTES_KEPT, TROUBLES_KEPT, Backlog, Clock, Minute, Trouble

MINUTES: Final = "ends-minutes"
TOTALS: Final = "ends-totals"
FAILURES: Final = "ends-failures"

FAILURES_KEPT_FOR: Final = 7 * DAY

LONGEST_CLAIM: Final = 15 * MINUTE
"""A claim that is alive runs out within this time: by it the jobs in work are found among those that are due."""

_trouble: Final = msgspec.json.Decoder(known(Trouble)).decode


class AwsWatch:
    """`ports.Watch`."""

    def __init__(
        self, jobs: DynamoJobs, queue: SqsQueue, dead: SqsQueue, records: DynamoRecords, *, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._dead = dead
        self._records = records
        self._clock = clock

    def backlog(self) -> Backlog:
        """What waits in the queue, and what it gave up. SQS tells its age to CloudWatch only."""
        return Backlog(depth=self._queue.depth(), oldest_age=None, dead=self._dead.depth())

    def counts(self) -> dict[JobState, int]:
        """The queue's messages, and how many jobs ever came to each end."""
        waiting, in_hand = self._queue.waiting()
        ended = dict(self._records.counters(TOTALS)).get("all", {})
        return {
            JobState.PENDING: waiting,
            JobState.PROCESSING: in_hand,
            **{JobState(state): number for state, number in ended.items()},
        }

    def working(self, *, limit: int = 100) -> list[Job]:
        """Jobs that a worker has claimed."""
        now = self._clock()
        return [*self._jobs.claimed(now, now + LONGEST_CLAIM, limit=limit)]

    def failures(self, *, limit: int = 20) -> list[Trouble]:
        """The newest failures."""
        page = self._records.list(FAILURES, limit=min(limit, TROUBLES_KEPT))
        return [_trouble(record.value) for record in page.items]

    def minutes(self, since: float) -> list[Minute]:
        """The minutes in which jobs ended."""
        first = max(since, self._clock() - MINUTES_KEPT * MINUTE)
        found = []
        for minute, ends in self._records.counters(MINUTES):
            at = float(minute) * MINUTE
            completed, failed = ends.get(JobState.COMPLETED, 0), ends.get(JobState.FAILED, 0)
            if at >= first // MINUTE * MINUTE and (completed or failed):
                found.append(Minute(at=at, completed=completed, failed=failed))
        return found

    # --- the tally ---

    def note(self, ended: Sequence[Job]) -> None:
        """Count jobs that have ended."""
        by_minute: dict[int, Counter[str]] = {}
        for job in ended:
            by_minute.setdefault(int(job.updated_at // MINUTE), Counter())[job.state] += 1
        for minute, ends in by_minute.items():
            self._records.count(MINUTES, f"{minute:010d}", ends, expires_at=(minute + MINUTES_KEPT) * MINUTE)
        if ended:
            self._records.count(TOTALS, "all", sum(by_minute.values(), Counter()))
        for job in ended:
            if job.failure is not None:
                trouble = Trouble(
                    job_id=job.id, at=job.updated_at, code=job.failure.code, message=job.failure.message
                )
                key = f"{10**13 - int(job.updated_at * 1000):013d}.{job.id}"
                expires_at = job.updated_at + FAILURES_KEPT_FOR
                self._records.put(FAILURES, key, msgspec.json.encode(trouble), expires_at=expires_at)
