"""Uploads and jobs: request → use case → answer."""

from collections.abc import Callable

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, RawBody

from safelight.callers import Scope
from safelight.entrypoints.api.context import LOOK_AGAIN, Call, answer
from safelight.entrypoints.api.replay import once_only
from safelight.entrypoints.api.requests import (
    ListQuery,
    RenderBody,
    UploadBody,
    read_body,
    read_job_id,
    read_query,
)
from safelight.entrypoints.api.views import JobsView, etag, view_job, view_upload
from safelight.errors import MissingJobId, ScopeMissing
from safelight.model import Job, JobState


@post("/uploads", status_code=200, sync_to_thread=True)
def create_upload(request: Call, body: RawBody) -> Response[bytes]:
    """Ask for an upload: makes a job and gives the signed URL to send the file to."""
    service = request.service
    wanted = read_body(body, UploadBody).request()
    job, headers = once_only(
        request, body, lambda: service.request_upload(request.owner, wanted), request.describe
    )
    status_url = request.address_of(job.id)
    done = wanted.dedupe and job.state is JobState.COMPLETED
    view = view_upload(service, job, None if done else service.upload_link(job), status_url)
    return answer(view, headers=headers | {"Location": status_url, "Cache-Control": "no-store"})


class Jobs(Controller):
    """What can be done to jobs."""

    path = "/jobs"

    @get("/{job_id:str}", sync_to_thread=True)
    def get_job(self, request: Call, job_id: FromPath[str]) -> Response[bytes]:
        """Where a job stands, with signed URLs of its outputs once it is COMPLETED."""
        service = request.service
        job = request.describe(read_job_id(job_id))
        tag = etag(job, service.ports.clock())
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if not job.state.terminal:
            headers |= LOOK_AGAIN
        if _matches(request.headers.get("if-none-match"), tag):
            return Response(b"", status_code=304, headers=headers)
        return answer(view_job(service, job), headers=headers)

    @get("/", sync_to_thread=True)
    def list_jobs(self, request: Call) -> Response[bytes]:
        """The caller's jobs, newest first."""
        if _ends_with_slash(request):
            raise MissingJobId
        service = request.service
        query = read_query(request.query_params.multi_items(), ListQuery)
        owner = query.owner or request.owner
        if owner != request.owner and not request.caller.admin:
            raise ScopeMissing(
                "Only the scope admin lets you list the jobs of another owner.", scope=Scope.ADMIN
            )
        page = service.list_jobs(
            owner, state=query.status or None, cursor=query.cursor or None, limit=query.limit
        )
        view = JobsView(items=tuple(view_job(service, job) for job in page.items), next_cursor=page.cursor)
        return answer(view, headers={"Cache-Control": "private, no-cache"})

    @post("/", status_code=200, sync_to_thread=True)
    def render_again(self, request: Call, body: RawBody) -> Response[bytes]:
        """Render the kept original of an earlier job again: makes a new job."""
        service = request.service
        wanted = read_body(body, RenderBody)
        source = read_job_id(wanted.source)
        return _answer_job(
            request,
            body,
            lambda: service.render_again(request.owner_of(source), source, wanted.recipe),
            new=True,
        )

    @post("/{job_id:str}/cancel", status_code=200, sync_to_thread=True)
    def cancel_job(self, request: Call, body: RawBody, job_id: FromPath[str]) -> Response[bytes]:
        """Stop a job that has not ended; no outputs will come of it. Canceling twice is the same."""
        wanted = read_job_id(job_id)
        return _answer_job(request, body, lambda: request.service.cancel(request.owner_of(wanted), wanted))

    @post("/{job_id:str}/retry", status_code=200, sync_to_thread=True)
    def retry_job(self, request: Call, body: RawBody, job_id: FromPath[str]) -> Response[bytes]:
        """Start a FAILED or CANCELED job again. A job on its way stays as it is."""
        wanted = read_job_id(job_id)
        return _answer_job(request, body, lambda: request.service.retry(request.owner_of(wanted), wanted))

    @delete("/{job_id:str}", status_code=204, sync_to_thread=True)
    def delete_job(self, request: Call, job_id: FromPath[str]) -> Response[None]:
        """Erase a job, its original and its outputs. Deleting twice is the same."""
        wanted = read_job_id(job_id)
        request.service.delete(request.owner_of(wanted), wanted)
        return Response(None, status_code=204)


def _answer_job(
    request: Call, body: bytes, action: Callable[[], Job], *, new: bool = False
) -> Response[bytes]:
    job, headers = once_only(request, body, action, request.describe)
    headers |= {"Cache-Control": "no-store"}
    if new:
        headers |= {"Location": request.address_of(job.id)}
    if not job.state.terminal:
        headers |= LOOK_AGAIN
    return answer(view_job(request.service, job), headers=headers)


def _matches(if_none_match: str | None, tag: str) -> bool:
    """Whether a client that sent this holds what `tag` stands for. Compares weakly (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    held = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in held or tag.removeprefix("W/") in held


def _ends_with_slash(request: Call) -> bool:
    """Whether the address was `/jobs/`, a job's address without its id. Routing takes it for `/jobs`."""
    return (request.scope.get("raw_path") or b"").endswith(b"/")
