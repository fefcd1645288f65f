"""The API behind API Gateway. One handler for both functions: which routes reach which is the template's to say."""

from functools import cache
from typing import Any

from mangum import Mangum

from safelight.entrypoints.api import create_app
from safelight.entrypoints.lambdas.observing import Context, observed
from safelight.entrypoints.lambdas.wiring import system


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer one request."""
    with observed(context) as call:
        call.about((event.get("pathParameters") or {}).get("jobId"))
        answer: dict[str, Any] = _application()(event, context)  # type: ignore[arg-type]  # Lambda's own class
        if made := _job_made(answer):
            call.about(made)
        call.log.info("answered", extra={"route": event.get("routeKey"), "status": answer["statusCode"]})
        return answer


@cache
def _application() -> Mangum:
    # API Gateway answers a request once and whole, so an event stream tells the state now and ends.
    app = create_app(system().service, drawing=system().previews, streaming=False)
    return Mangum(app, lifespan="off")  # type: ignore[arg-type]  # Litestar's scopes are narrower than ASGI's


def _job_made(answer: dict[str, Any]) -> str | None:
    """The job that a request has made: the answer says where to look for it."""
    location: str = answer.get("headers", {}).get("location", "")
    return location.rpartition("/jobs/")[2] or None
