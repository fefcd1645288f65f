"""What webhooks and the topic are told: `{type, timestamp, data}`, as Standard Webhooks recommends it.

`data` is the job as GET /jobs/{jobId} shows it at the moment of sending, so that its outputs' URLs were signed just
now. If the job has moved on since the event, only what was true then is told; of a job that was erased, its id alone.
"""

from typing import Any

import msgspec

from safelight.entrypoints.api.views import view_job
from safelight.errors import JobNotFound
from safelight.model import Failure, Job, JobState, Notice, Stage, timestamp
from safelight.service import Service
from safelight.webhooks import Delivery


def body_of(service: Service, delivery: Delivery) -> bytes:
    """The body of a delivery. Raise StorageUnavailable."""
    if delivery.notice is None:
        return _body(delivery.event, delivery.created_at, {"message": "It works: this is a test."})
    return body_of_notice(service, delivery.notice)


def body_of_notice(service: Service, notice: Notice) -> bytes:
    """What is told of a notice. Raise StorageUnavailable."""
    return _body(notice.kind, notice.at, _data(service, notice))


def _body(event: str, at: float, data: object) -> bytes:
    return msgspec.json.encode({"type": event, "timestamp": timestamp(at), "data": data})


def _data(service: Service, notice: Notice) -> Any:
    if notice.batch is not None and notice.whole_batch:
        batch = notice.batch
        return {"batchId": batch.id, "total": batch.size, "updatedAt": timestamp(notice.at)}
    try:
        job = service.describe(notice.owner, notice.job_id)
    except JobNotFound:
        return {"jobId": notice.job_id, "status": notice.state, "updatedAt": timestamp(notice.at)}
    return view_job(service, job if job.state is notice.state else _as_of(notice, job))


def _as_of(notice: Notice, job: Job) -> Job:
    """A job that was started again since, as far as it is still known how it stood."""
    failure = None
    if notice.state is JobState.FAILED:
        codes = [moment.code for moment in job.timeline if moment.at <= notice.at and moment.code]
        failure = Failure(
            code=codes[-1] if codes else "failed", message="It failed, and was started again since."
        )
    return msgspec.structs.replace(
        job,
        state=notice.state,
        stage=Stage.DONE,
        updated_at=notice.at,
        outputs=(),
        failure=failure,
        timeline=tuple(moment for moment in job.timeline if moment.at <= notice.at),
    )
