"""Batches: many uploads asked for in one call, and how they stand together."""

from collections import Counter
from collections.abc import Mapping

from litestar import Controller, Response, get, post
from litestar.params import FromPath, RawBody

from safelight.cursors import pack, unpack
from safelight.entrypoints.api.context import LOOK_AGAIN, Call, answer
from safelight.entrypoints.api.replay import once_only
from safelight.entrypoints.api.requests import BatchBody, PageQuery, read_batch_id, read_body, read_query
from safelight.entrypoints.api.views import BatchMadeView, BatchView, view_job, view_upload
from safelight.model import Job, JobState, timestamp
from safelight.service import Batch


class Batches(Controller):
    """What can be done with many files at once."""

    path = "/batches"

    @post("/", status_code=200, sync_to_thread=True)
    def create_batch(self, request: Call, body: RawBody) -> Response[bytes]:
        """Ask for many uploads at once: makes a job for each file and gives the signed URLs to send them to.

        All of them or none are made. When the last job has ended, one notice (`batch.completed`) says so."""
        service = request.service
        wanted = read_body(body, BatchBody).requests()
        batch, headers = once_only(
            request,
            body,
            lambda: service.request_batch(request.owner, wanted),
            lambda batch_id: service.describe_batch(request.owner, batch_id),
        )
        jobs = service.ports.jobs.read(batch.job_ids)
        status_url = request.address_of(batch.id, "batches")
        view = BatchMadeView(
            batch_id=batch.id,
            status_url=status_url,
            jobs=tuple(
                view_upload(service, job, service.upload_link(job), request.address_of(job.id))
                for job in jobs
            ),
        )
        return answer(view, headers=headers | {"Location": status_url, "Cache-Control": "no-store"})

    @get("/{batch_id:str}", sync_to_thread=True)
    def get_batch(self, request: Call, batch_id: FromPath[str]) -> Response[bytes]:
        """How many jobs of a batch are in which state, whether all have ended, and a part of them."""
        service = request.service
        query = read_query(request.query_params.multi_items(), PageQuery)
        owner = None if request.caller.admin else request.owner
        batch = service.describe_batch(owner, read_batch_id(batch_id))
        jobs = {job.id: job for job in service.ports.jobs.read(batch.job_ids)}
        states = Counter(job.state for job in jobs.values())
        done = all(state.terminal for state in states)
        start = unpack(query.cursor, int)[0] if query.cursor else 0
        page, following = _page(batch, jobs, start, query.limit)
        view = BatchView(
            batch_id=batch.id,
            created_at=timestamp(batch.created_at),
            total=len(batch.job_ids),
            counts={state: states[state] for state in JobState},
            deleted=len(batch.job_ids) - len(jobs),
            done=done,
            items=tuple(view_job(service, job) for job in page),
            next_cursor=None if following is None else pack(following),
        )
        return answer(view, headers={"Cache-Control": "private, no-cache"} | ({} if done else LOOK_AGAIN))


def _page(batch: Batch, jobs: Mapping[str, Job], start: int, limit: int) -> tuple[list[Job], int | None]:
    """The jobs that are there from a place in the batch on, at most `limit`, and the place after them."""
    page: list[Job] = []
    for place in range(max(0, start), len(batch.job_ids)):
        if len(page) == limit:
            return page, place
        if job := jobs.get(batch.job_ids[place]):
            page.append(job)
    return page, None
