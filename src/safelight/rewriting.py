"""Changing a record that others may be changing, too."""

import random
import time
from collections.abc import Callable
from typing import Final

from safelight.errors import RecordConflict
from safelight.ports import Records

TRIES: Final = 10
"""How often a change is tried that others get in the way of."""

FIRST_PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 0.1
"""Seconds. All pauses of a change together stay below one: its caller waits meanwhile."""


def pause_after(attempt: int) -> float:
    """Seconds to wait after this attempt, the first being 0: longer each time, and never in step with others."""
    return random.uniform(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))


def change(
    records: Records,
    partition: str,
    key: str,
    to: Callable[[bytes | None], bytes],
    *,
    expires_at: float | None,
    wait: Callable[[float], object] = time.sleep,
) -> bytes:
    """Write what `to` makes of the record's value, and return it. `to` may be called again; if it raises, nothing is
    written. Raise RecordConflict if others, writing the same record, were faster every time."""
    for attempt in range(TRIES):
        if attempt:
            wait(pause_after(attempt - 1))
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
