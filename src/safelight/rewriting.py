"""Changing a record that others may be changing, too."""

from collections.abc import Callable
from typing import Final

from safelight.errors import RecordConflict
from safelight.ports import Records

TRIES: Final = 10
"""How often a change is tried that others get in the way of."""


def change(
    records: Records, partition: str, key: str, to: Callable[[bytes | None], bytes], *, expires_at: float
) -> bytes:
    """Write what `to` makes of the record's value, and return it. `to` may be called again; if it raises, nothing is
    written. Raise RecordConflict if others, writing the same record, were faster every time."""
    for _ in range(TRIES):
        record = records.get(partition, key)
        value = to(None if record is None else record.value)
        try:
            records.put(
                partition, key, value, expected=0 if record is None else record.version, expires_at=expires_at
            )
        except RecordConflict:
            continue
        return value
    raise RecordConflict
