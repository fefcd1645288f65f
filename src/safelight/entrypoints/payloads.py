"""What webhooks and the topic are told: `{type, timestamp, data}`, as Standard Webhooks recommends it.

`data` is the job as GET /jobs/{jobId} shows it at the moment of sending, so that its outputs' URLs were signed just
now. If the job has moved on since the event, only what was true then is told; of a job that was erased, its id alone.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from safelight.entrypoints.api.views import view_job
from safelight.model import Failure, Job, JobState, Notice, Stage, timestamp
from safelight.service import Service
from safelight.webhooks import Delivery


def body_of(service: Service, delivery: Delivery) -> bytes:
    """The body of a delivery. Raise StorageUnavailable."""
    if delivery.notice is None:
        return _body(delivery.event, delivery.created_at, {"message": "It works: this is a test."})
    [body] = bodies_of(service, (delivery.notice,))
    return body


def bodies_of(service: Service, notices: Sequence[Notice]) -> list[bytes]:
    """What is told of each notice; their jobs are read together. Raise StorageUnavailable."""
    ids = dict.fromkeys(notice.job_id for notice in notices if not notice.whole_batch)
    jobs = {job.id: job for job in service.ports.jobs.read(tuple(ids))}
    return [
        _body(notice.kind, notice.at, _data(service, notice, jobs.get(notice.job_id))) for notice in notices
    ]


def _body(event: str, at: float, data: object) -> bytes:
    return msgspec.json.encode({"type": event, "timestamp": timestamp(at), "data": data})


def _data(service: Service, notice: Notice, job: Job | None) -> Any:
    if notice.batch is not None and notice.whole_batch:
        batch = notice.batch
        return {"batchId": batch.id, "total": batch.size, "updatedAt": timestamp(notice.at)}
    if job is None:
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
