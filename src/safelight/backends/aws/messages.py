"""What stands in a message of the queue.

    body                {"jobId": "…", "s3Key": "…", "bucket": "…", "owner": "…", "notBefore": 0.0}
    attribute JobId     the same, for people who filter
    message group       the owner, hashed: standard queues hand out fairly by group (fair queues)

`jobId`, `s3Key`, `bucket` and the attribute are the first contract's. `notBefore` stands only in messages that have to
wait for longer than the 15 minutes that SQS can delay.
"""

import json
from hashlib import sha256
from math import isfinite
from typing import Any, Final

from safelight.model import Value, Wake

LONGEST_DELAY: Final = 900.0
LONGEST_VISIBILITY: Final = 43_200.0
"""Limits of SQS, in seconds."""


class Letter(Value, frozen=True):
    """A message as it was written: whom it wakes, and the Unix time before which it is to be put back."""

    wake: Wake
    not_before: float = 0.0


def encode(letter: Letter, bucket: str) -> dict[str, Any]:
    """The parameters of `SendMessage`."""
    wake = letter.wake
    body: dict[str, Any] = {"jobId": wake.job_id, "s3Key": wake.key, "bucket": bucket, "owner": wake.group}
    if letter.not_before:
        body["notBefore"] = letter.not_before
    return {
        "MessageBody": json.dumps(body, ensure_ascii=False),
        "MessageAttributes": {"JobId": {"DataType": "String", "StringValue": wake.job_id}},
        "MessageGroupId": group_id(wake.group),
    }


def decode(body: str) -> Letter | None:
    """What a body says, or None if it is not one of ours. A message of the first contract names no owner."""
    try:
        match json.loads(body):
            case {"jobId": str(job_id), "s3Key": str(key), **rest} if job_id:
                wake = Wake(job_id=job_id, key=key, group=str(rest.get("owner", "")))
                match rest.get("notBefore"):
                    case float(at) if isfinite(at):
                        return Letter(wake=wake, not_before=at)
                return Letter(wake=wake)
    except (ValueError, RecursionError):
        pass
    return None


def group_id(owner: str) -> str:
    """The owner as a message group: groups allow fewer characters than owners have."""
    return sha256(owner.encode()).hexdigest()[:32]
