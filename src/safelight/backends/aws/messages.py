"""What stands in a message of the queue.

    body                {"jobId": "…", "s3Key": "…", "bucket": "…", "owner": "…", "doc": "…", "notBefore": 0.0}
    attribute JobId     the same, for people who filter
    message group       the owner, hashed: standard queues hand out fairly by group (fair queues)

`jobId`, `s3Key`, `bucket` and the attribute are the first contract's. `notBefore` stands only in messages that have to
wait for longer than the 15 minutes that SQS can delay. `doc` is the job as the table holds it when the message is sent:
it spares the worker a read, and whoever claims by an old one is refused by the table and reads the new one.
"""

import json
from contextlib import suppress
from hashlib import sha256
from math import isfinite
from typing import Any, Final

import msgspec

from safelight.model import Job, Value, Wake

_doc: Final = msgspec.json.Encoder().encode
_job: Final = msgspec.json.Decoder(Job).decode

LONGEST_DOC: Final = 64 * 1024
"""Jobs of more bytes are read by the worker: SQS takes messages of 256 KiB."""

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
    if wake.job is not None and len(doc := _doc(wake.job)) <= LONGEST_DOC:
        body["doc"] = doc.decode()
    if letter.not_before:
        body["notBefore"] = letter.not_before
    return {
        "MessageBody": json.dumps(body),  # in ASCII: SQS refuses some of what JSON may hold
        "MessageAttributes": {"JobId": {"DataType": "String", "StringValue": wake.job_id}},
        "MessageGroupId": group_id(wake.group),
    }


def decode(body: str) -> Letter | None:
    """What a body says, or None if it is not one of ours. A message of the first contract names no owner."""
    try:
        match json.loads(body):
            case {"jobId": str(job_id), "s3Key": str(key), **rest} if job_id:
                owner, job = str(rest.get("owner", "")), _known(job_id, rest.get("doc"))
                wake = Wake(job_id=job_id, key=key, group=owner, job=job)
                match rest.get("notBefore"):
                    case float(at) if isfinite(at):
                        return Letter(wake=wake, not_before=at)
                return Letter(wake=wake)
    except (ValueError, RecursionError):
        pass
    return None


def _known(job_id: str, doc: object) -> Job | None:
    """The job of this id that a message holds, if it is one of this version's."""
    if isinstance(doc, str):
        with suppress(msgspec.DecodeError):
            job = _job(doc)
            return job if job.id == job_id else None
    return None


def group_id(owner: str) -> str:
    """The owner as a message group: groups allow fewer characters than owners have."""
    return sha256(owner.encode()).hexdigest()[:32]
