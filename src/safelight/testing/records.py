"""Records, by key."""

import threading
import time
from collections.abc import Callable

from safelight.cursors import unpack
from safelight.errors import RecordConflict
from safelight.ports import Page, Record
from safelight.testing.pages import page_of


class Records:
    """The `Records` port in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._records: dict[tuple[str, str], Record] = {}

    def get(self, partition: str, key: str) -> Record | None:
        """The record as last written."""
        with self._lock:
            record = self._records.get((partition, key))
        return record if record and self._alive(record) else None

    def put(
        self,
        partition: str,
        key: str,
        value: bytes,
        *,
        expected: int | None = None,
        expires_at: float | None = None,
    ) -> Record:
        """Write if the record's version is `expected`."""
        with self._lock:
            before = self.get(partition, key)
            version = before.version if before else 0
            if expected is not None and expected != version:
                raise RecordConflict
            record = Record(
                partition=partition, key=key, value=value, version=version + 1, expires_at=expires_at
            )
            self._records[partition, key] = record
            return record

    def delete(self, partition: str, key: str) -> None:
        """Remove the record."""
        with self._lock:
            self._records.pop((partition, key), None)

    def list(
        self, partition: str, *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Record]:
        """The partition's records whose key begins with `prefix`, ordered by key."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        with self._lock:
            records = [self._records[name] for name in sorted(self._records) if name[0] == partition]
        found = [r for r in records if r.key.startswith(prefix) and r.key > after and self._alive(r)]
        return page_of(found, limit, lambda record: (record.key,))

    def _alive(self, record: Record) -> bool:
        return record.expires_at is None or record.expires_at > self._clock()
