"""S3 says that an object was created: the upload's version is pinned on its job, and a worker is woken.

S3 tells at least once, and in any order. What is no upload of ours, or no creation, is passed over; a record that can
not be carried out now does not stop the others, and the whole event comes again: the second time changes nothing.
"""

from typing import Any
from urllib.parse import unquote_plus

from safelight.entrypoints.lambdas.observing import Call, Context, observed
from safelight.entrypoints.lambdas.wiring import system
from safelight.errors import SafelightError
from safelight.model import Value, job_id_of


class Created(Value, frozen=True):
    """One version of one object came to be."""

    bucket: str
    key: str
    version: str
    bytes: int


class NotAllDispatched(SafelightError):
    """Some uploads could not be dispatched; Lambda hands the event in again."""

    code = "not_all_dispatched"


def handler(event: dict[str, Any], context: Context) -> None:
    """Dispatch every upload that the event tells of. Raise NotAllDispatched."""
    with observed(context) as call:
        done = [_carried_out(record, call) for record in event.get("Records", ())]
        if not all(done):
            raise NotAllDispatched


def _carried_out(record: dict[str, Any], call: Call) -> bool:
    """Whether nothing is left to do about this record."""
    call.about(None)
    created = created_in(record)
    if created is None or created.bucket != system().settings.uploads_bucket:
        call.log.warning("not a creation of ours; passed over", extra={"event_name": record.get("eventName")})
        return True
    job_id = job_id_of(created.key)
    if job_id is None:
        call.log.warning("not an upload of ours; passed over")
        return True
    call.about(job_id)
    try:
        job = system().service.dispatch(created.key, created.version, created.bytes)
    except Exception:
        call.log.exception("not dispatched")
        return False
    if job is None:
        call.log.info("no such job")
    else:
        call.log.info("dispatched", extra={"state": job.state, "stage": job.stage, "bytes": created.bytes})
        call.count("JobsDispatched")
    return True


def created_in(record: dict[str, Any]) -> Created | None:
    """What a record says was created, or None if it is no such record.

    S3 writes keys as HTML forms do: a space is a `+`, and a `+` is `%2B`.
    """
    match record:
        case {
            "eventName": str(name),
            "s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **about}},
        } if name.removeprefix("s3:").startswith("ObjectCreated:"):
            size = about.get("size", 0)
            return Created(
                bucket=bucket,
                key=unquote_plus(key),
                version=str(about.get("versionId") or "null"),  # some compatible stores write an empty one
                bytes=size if isinstance(size, int) else 0,
            )
    return None
