"""Idempotency keys: a request that is repeated with its key is answered again, not carried out again.

Kept per caller for 24 hours. What is stored is the id of the job that the request was about; the answer is made
anew from it, so that no signed URL is ever stored.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec

from safelight.decoding import from_json
from safelight.errors import IdempotencyKeyInUse, IdempotencyKeyReused, RecordConflict
from safelight.model import DAY, Value
from safelight.ports import Clock, Records

PARTITION: Final = "idempotency"
BUSY_SECONDS: Final = 60.0
"""After this long, a request that has left no answer is taken to have died, and its key is free again."""


class Answered(Value, frozen=True):
    """What is kept under a key: which request it was, and the job it was about, once that is known."""

    request: str
    job_id: str | None = None


def once(
    records: Records, clock: Clock, *, owner: str, key: str, request: bytes, action: Callable[[], str]
) -> str:
    """Carry out `action` unless this very request was carried out before; return its job id either way.

    Raise IdempotencyKeyReused if the key belongs to another request, IdempotencyKeyInUse if the same is under way.
    An action that raises frees the key.
    """
    now = clock()
    record_key = sha256(f"{owner}\0{key}".encode()).hexdigest()
    mine = Answered(request=sha256(request).hexdigest())
    try:
        records.put(
            PARTITION, record_key, msgspec.json.encode(mine), expected=0, expires_at=now + BUSY_SECONDS
        )
    except RecordConflict:
        return _answer_of(records, record_key, mine)
    try:
        job_id = action()
    except BaseException:
        records.delete(PARTITION, record_key)
        raise
    answer = msgspec.json.encode(msgspec.structs.replace(mine, job_id=job_id))
    records.put(PARTITION, record_key, answer, expires_at=now + DAY)
    return job_id


def _answer_of(records: Records, record_key: str, mine: Answered) -> str:
    record = records.get(PARTITION, record_key)
    if record is None:  # it was freed between the two calls
        raise IdempotencyKeyInUse
    answered = from_json(record.value, Answered)
    if answered.request != mine.request:
        raise IdempotencyKeyReused
    if answered.job_id is None:
        raise IdempotencyKeyInUse
    return answered.job_id
