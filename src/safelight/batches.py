"""When a batch is over: the ends of its jobs are counted by the notices that tell of them.

Whoever delivers notices asks `Batches.completed_by` about each. A notice is handed out until it is settled, and
counting it twice changes nothing, so no end is missed and nothing is lost if the process dies in between: the notice
comes again, and gives the same answer. What is kept of a batch is one bit for each of its jobs.
"""

from typing import Final

import msgspec

from safelight.decoding import from_json
from safelight.model import DAY, Notice, Value, notice_of_batch
from safelight.ports import Clock, Records
from safelight.rewriting import change

ENDED: Final = "batches-ended"
"""The partition of the records: which jobs of each batch have ended."""

KEPT: Final = 60 * DAY
"""How long after the last end it is remembered which jobs have ended."""


class Ended(Value, frozen=True):
    """Which jobs of a batch have ended at least once, as bits, and the id of the notice that told of the last one."""

    jobs: bytes
    last: str | None = None


class Batches:
    """Counts the ends of jobs in batches."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    def completed_by(self, notice: Notice) -> Notice | None:
        """Count the end that `notice` tells of. Return the notice of its batch if no other job of it was left: asked
        again about the same notice, the same again. A job that is retried and ends once more changes nothing.

        Raise RecordConflict if others counted at the same moment, every time.
        """
        batch = notice.batch
        if batch is None or notice.whole_batch:
            return None
        whole = (1 << batch.size) - 1

        def counted(value: bytes | None) -> bytes:
            ended = Ended(jobs=b"") if value is None else from_json(value, Ended)
            bits = int.from_bytes(ended.jobs, "little")
            after = bits | 1 << batch.number
            last = notice.id if after == whole and bits != whole else ended.last
            return msgspec.json.encode(Ended(jobs=after.to_bytes((batch.size + 7) // 8, "little"), last=last))

        written = change(self._records, ENDED, batch.id, counted, expires_at=self._clock() + KEPT)
        last = from_json(written, Ended).last
        return notice_of_batch(notice) if last == notice.id else None
