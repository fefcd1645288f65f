"""What one caller may take: requests in a minute, open jobs at a time, bytes in a day. All off unless set.

Requests are counted in windows of a minute by the clock: in memory where one process answers everybody, in `Records`
where many do (one read and one conditional write a request). The quotas of uploads are one record a caller, written
with every job that is made; it holds the ids of the caller's jobs that were open at the last look, and only a caller
who seems to have reached the limit makes us look again.
"""

import threading
from collections.abc import Sequence
from hashlib import sha256
from math import ceil
from typing import Final, NamedTuple, Protocol

import msgspec

from safelight.config import Settings
from safelight.decoding import from_json
from safelight.errors import JobNotFound, QuotaUsedUp, RecordConflict, StorageUnavailable, TooManyRequests
from safelight.model import DAY, MINUTE, Value
from safelight.ports import Clock, Ports, Records
from safelight.rewriting import change

REQUESTS: Final = "requests"
QUOTAS: Final = "quotas"
"""Partitions of the records: counts of a minute's requests, and what callers have used up."""

KEPT: Final = 8 * DAY
"""How long what a caller has used is remembered after its last upload: no job is open for longer."""

LOOK_AGAIN: Final = 5
"""Seconds after which a caller with too many open jobs may well have fewer."""


class Standing(NamedTuple):
    """How a caller stands with one limit."""

    policy: str
    limit: int
    remaining: int
    resets_in: int | None = None
    """Whole seconds; None where time alone does not help."""
    window: int | None = None
    """Whole seconds; None for a limit of how many at a time."""


# --- requests ---------------------------------------------------------------------------------------------


class Counts(Protocol):
    """Counts in windows of time."""

    def add(self, owner: str, window: int) -> int:
        """Count one more in this window, and return how many it are. Raise RecordConflict if that can not be told."""


class InMemory:
    """Counts of one process. What is kept is the newest window alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = 0
        self._counts: dict[str, int] = {}

    def add(self, owner: str, window: int) -> int:
        """Count one more."""
        with self._lock:
            if window > self._window:
                self._window = window
                self._counts.clear()
            self._counts[owner] = count = self._counts.get(owner, 0) + 1
            return count


class InRecords:
    """Counts that many processes share."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add(self, owner: str, window: int) -> int:
        """Count one more."""
        key = f"{_hashed(owner)}-{window}"

        def one_more(value: bytes | None) -> bytes:
            return b"%d" % (int(value or b"0") + 1)

        return int(change(self._records, REQUESTS, key, one_more, expires_at=(window + 2) * MINUTE))


class RateLimit:
    """At most so many requests of a caller in a minute."""

    def __init__(self, limit: int, counts: Counts, clock: Clock) -> None:
        self._limit = limit
        self._counts = counts
        self._clock = clock

    def count(self, owner: str) -> Standing:
        """Count one request. Raise TooManyRequests for one too many."""
        now = self._clock()
        window = int(now // MINUTE)
        left = max(1, ceil((window + 1) * MINUTE - now))
        try:
            count = self._counts.add(owner, window)
        except RecordConflict:  # so many at the same moment that they can not even be counted
            count = self._limit + 1
        standing = Standing(REQUESTS, self._limit, max(0, self._limit - count), left, int(MINUTE))
        if count > self._limit:
            raise TooManyRequests(
                f"A caller may make {self._limit} requests in a minute; go on in {left} s.", standing=standing
            )
        return standing


# --- uploads ----------------------------------------------------------------------------------------------


class Used(Value, frozen=True):
    """What a caller has used: bytes on a day, and the jobs that were open when it was last looked at."""

    day: int = 0
    bytes: int = 0
    open: tuple[str, ...] = ()


class Quotas:
    """What a caller may have under way at a time, and upload in a day."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._most_open = settings.max_open_jobs
        self._most_bytes = settings.max_bytes_per_day
        self._ports = ports

    def take(self, owner: str, job_ids: Sequence[str], size: int) -> None:
        """Take from the owner's quotas what these jobs need, and `size` bytes. Raise QuotaUsedUp, or
        StorageUnavailable if others wrote the same record every time; nothing is taken then.

        What was taken for a job that is not made after all comes back by itself: its place among the open jobs when
        that is looked at, its bytes with the new day.
        """
        if not self._most_open and not self._most_bytes:
            return
        now = self._ports.clock()
        day = int(now // DAY)

        def taken(value: bytes | None) -> bytes:
            used = Used() if value is None else from_json(value, Used)
            before = used.bytes if used.day == day else 0
            self._refuse_bytes(before, size, left=ceil((day + 1) * DAY - now))
            still_open = self._refuse_open(used.open, len(job_ids)) if self._most_open else ()
            return msgspec.json.encode(Used(day=day, bytes=before + size, open=(*still_open, *job_ids)))

        try:
            change(self._ports.records, QUOTAS, _hashed(owner), taken, expires_at=now + KEPT)
        except RecordConflict:
            raise StorageUnavailable(
                "Too many uploads were asked for at the same moment; try again."
            ) from None

    def _refuse_bytes(self, before: int, size: int, left: int) -> None:
        if self._most_bytes and before + size > self._most_bytes:
            remaining = max(0, self._most_bytes - before)
            raise QuotaUsedUp(
                f"A caller may upload {self._most_bytes} bytes in a day; {remaining} are left until midnight UTC, "
                f"and this counts {size}. An upload that declares its size counts no more than that.",
                standing=Standing("bytes", self._most_bytes, remaining, left, int(DAY)),
            )

    def _refuse_open(self, known: tuple[str, ...], more: int) -> tuple[str, ...]:
        """Those of the jobs that are open, if there is room for so many more."""
        if len(known) + more <= self._most_open:
            return known
        still = tuple(job_id for job_id in known if self._is_open(job_id))
        if len(still) + more > self._most_open:
            left = self._most_open - len(still)
            raise QuotaUsedUp(
                f"A caller may have {self._most_open} open jobs, of which {left} are free; "
                "wait until one has ended, or cancel one.",
                standing=Standing("open-jobs", self._most_open, left, LOOK_AGAIN),
            )
        return still

    def _is_open(self, job_id: str) -> bool:
        try:
            return not self._ports.jobs.get(job_id).state.terminal
        except JobNotFound:
            return False


def _hashed(owner: str) -> str:
    return sha256(owner.encode()).hexdigest()
