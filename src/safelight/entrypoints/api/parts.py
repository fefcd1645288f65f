"""Uploads in parts: request → use case → answer."""

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, RawBody

from safelight.callers import Scope
from safelight.entrypoints.api.auth import needs
from safelight.entrypoints.api.context import LOOK_AGAIN, Call, answer
from safelight.entrypoints.api.requests import CompleteBody, PartsQuery, read_body, read_job_id, read_query
from safelight.entrypoints.api.views import view_job, view_parts
from safelight.multipart import MultipartUploads


class Parts(Controller):
    """What can be done with a file that comes in parts."""

    path = "/uploads/{job_id:str}"

    @get("/parts", opt=needs(Scope.UPLOAD), sync_to_thread=True)
    def get_parts(self, request: Call, job_id: FromPath[str]) -> Response[bytes]:
        """Where to send each part of a file, and which have arrived.

        The URLs are signed anew by every request: ask again for those that are left when they have run out."""
        wanted = read_job_id(job_id)
        query = read_query(request.query_params.multi_items(), PartsQuery)
        page = MultipartUploads(request.service).page(
            request.owner_of(wanted), wanted, start=query.start, limit=query.limit
        )
        return answer(view_parts(request.service, page), headers={"Cache-Control": "no-store"})

    @post("/complete", status_code=200, sync_to_thread=True)
    def complete_parts(self, request: Call, body: RawBody, job_id: FromPath[str]) -> Response[bytes]:
        """Make a file of its parts, which queues the job. Completing twice is the same."""
        wanted = read_job_id(job_id)
        parts = read_body(body, CompleteBody).named()
        job = MultipartUploads(request.service).complete(request.owner_of(wanted), wanted, parts)
        headers = {"Cache-Control": "no-store"} | ({} if job.state.terminal else LOOK_AGAIN)
        return answer(view_job(request.service, job), headers=headers)

    @delete("/parts", status_code=204, sync_to_thread=True)
    def abort_parts(self, request: Call, job_id: FromPath[str]) -> Response[None]:
        """Drop the parts that have arrived. The job goes on waiting for its file; dropping twice is the same."""
        wanted = read_job_id(job_id)
        MultipartUploads(request.service).abort(request.owner_of(wanted), wanted)
        return Response(None, status_code=204)
