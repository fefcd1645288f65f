"""Records, in the table `records`. What has expired is invisible at once and removed by `purge`."""

from safelight.backends.embedded.database import Database
from safelight.cursors import pack, unpack
from safelight.errors import RecordConflict
from safelight.ports import Clock, Page, Record

_COLUMNS = "partition, key, value, version, expires_at"


class Records:
    """The `Records` port."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, partition: str, key: str) -> Record | None:
        """The record as last written."""
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM records WHERE partition = ? AND key = ?"  # nosec B608 # a constant
            " AND (expires_at IS NULL OR expires_at > ?)",
            (partition, key, self._clock()),
        )
        return _record(*row) if row else None

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
        with self._database.writing() as write:
            row = write.row(
                "SELECT version FROM records WHERE partition = ? AND key = ?"
                " AND (expires_at IS NULL OR expires_at > ?)",
                (partition, key, self._clock()),
            )
            version = int(row[0]) if row else 0
            if expected is not None and expected != version:
                raise RecordConflict
            columns = (partition, key, value, version + 1, expires_at)
            write.run(f"INSERT OR REPLACE INTO records ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", columns)
        return _record(*columns)

    def delete(self, partition: str, key: str) -> None:
        """Remove the record."""
        with self._database.writing() as write:
            write.run("DELETE FROM records WHERE partition = ? AND key = ?", (partition, key))

    def list(
        self, partition: str, *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Record]:
        """The partition's records whose key begins with `prefix`, ordered by key."""
        after = unpack(cursor, str)[0] if cursor is not None else ""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM records WHERE partition = ? AND key >= ? AND key < ? AND key > ?"  # nosec B608 # ditto
            " AND (expires_at IS NULL OR expires_at > ?) ORDER BY key LIMIT ?",
            # No text sorts behind the last code point.
            (partition, prefix, f"{prefix}\U0010ffff", after, self._clock(), limit + 1),
        )
        records = tuple(_record(*row) for row in rows[:limit])
        return Page(items=records, cursor=pack(records[-1].key) if len(rows) > limit and records else None)

    def purge(self, now: float, *, limit: int = 1000) -> int:
        """Remove up to `limit` expired records; how many it were. Call again while it is `limit`."""
        with self._database.writing() as write:
            return write.run(
                "DELETE FROM records WHERE (partition, key) IN (SELECT partition, key FROM records"
                " WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
                (now, limit),
            )


def _record(partition: str, key: str, value: bytes, version: int, expires_at: float | None) -> Record:
    return Record(partition=partition, key=key, value=value, version=version, expires_at=expires_at)
