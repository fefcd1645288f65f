"""Errors as answers: `application/problem+json` (RFC 9457), and the one table from errors to HTTP statuses.

`error` and `message` repeat `title` and `detail` under the names that the first clients read. What a client sees is
an error's class and its message, which is written for it; never an exception's text, a path or a stack.
"""

import logging
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from safelight import errors
from safelight.entrypoints.api.headers import STANDINGS, request_id
from safelight.errors import SafelightError

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a request was not carried out."""

    type: Annotated[
        str, msgspec.Meta(description="A URN that names the kind of problem: the code, made unique.")
    ]
    title: Annotated[
        str, msgspec.Meta(description="The kind of problem in a few words; the same every time.")
    ]
    status: Annotated[int, msgspec.Meta(description="The HTTP status.", ge=400, le=599)]
    detail: Annotated[
        str, msgspec.Meta(description="What is wrong with this request, and what to do about it.")
    ]
    code: Annotated[str, msgspec.Meta(description="The kind of problem for programs; stable.")]
    request_id: Annotated[str, msgspec.Meta(description="Names this request in the logs of the operator.")]
    error: Annotated[str, msgspec.Meta(description="The title again.")]
    message: Annotated[str, msgspec.Meta(description="The detail again.")]


class Kind(msgspec.Struct, frozen=True):
    """How a class of errors is answered."""

    status: int
    title: str
    retry_after: int | None = None


KINDS: Final[dict[type[SafelightError], Kind]] = {
    errors.InvalidRequest: Kind(400, "Invalid request"),
    errors.ConflictingFields: Kind(422, "Fields in conflict"),
    errors.MultipartNeedsSize: Kind(422, "Multipart needs a size"),
    errors.NotMultipart: Kind(409, "Not an upload in parts"),
    errors.InvalidPart: Kind(422, "Part not valid"),
    errors.InvalidPartOrder: Kind(422, "Parts out of order"),
    errors.EntityTooSmall: Kind(422, "Part too small"),
    errors.PartsMissing: Kind(422, "Parts missing"),
    errors.PartsGone: Kind(410, "Parts gone"),
    errors.MissingJobId: Kind(400, "Missing jobId parameter"),
    errors.NotAuthenticated: Kind(401, "Not authenticated"),
    errors.ScopeMissing: Kind(403, "Scope missing"),
    errors.TooManyRequests: Kind(429, "Too many requests", retry_after=60),
    errors.QuotaUsedUp: Kind(429, "Quota used up", retry_after=5),
    errors.IssuerUnavailable: Kind(503, "Issuer unavailable", retry_after=5),
    errors.JobNotFound: Kind(404, "Job not found"),
    errors.BatchNotFound: Kind(404, "Batch not found"),
    errors.NotAllowedNow: Kind(409, "Not allowed now"),
    errors.UnknownRecipe: Kind(422, "Unknown recipe"),
    errors.RecipeInvalid: Kind(422, "Recipe not valid"),
    errors.RecipeNameTaken: Kind(409, "Recipe name taken"),
    errors.TooManyRecipes: Kind(409, "Too many recipes"),
    errors.UnknownOutput: Kind(422, "Unknown output"),
    errors.PublicOutputsOff: Kind(422, "Public outputs are off"),
    errors.SourceGone: Kind(410, "Original gone"),
    errors.IdempotencyKeyReused: Kind(422, "Idempotency-Key used before"),
    errors.IdempotencyKeyInUse: Kind(409, "Idempotency-Key in use", retry_after=1),
    errors.PreviewsBusy: Kind(503, "Previews busy", retry_after=1),
    errors.Overloaded: Kind(503, "Overloaded", retry_after=60),
    errors.WebhookNotFound: Kind(404, "Webhook not found"),
    errors.DeliveryNotFound: Kind(404, "Delivery not found"),
    errors.TooManyWebhooks: Kind(409, "Too many webhooks"),
    errors.WebhooksOff: Kind(409, "Webhooks are off"),
    errors.AddressRefused: Kind(422, "Address refused"),
    errors.HostUnknown: Kind(422, "Host unknown"),
    errors.TooLarge: Kind(413, "File too large"),
    errors.EmptyFile: Kind(422, "Empty file"),
    # A preview tells at once what a job would be told later.
    errors.TypeNotAllowed: Kind(415, "Type not allowed"),
    errors.TooManyPixels: Kind(422, "Too many pixels"),
    errors.TooManyFrames: Kind(422, "Too many frames"),
    errors.TooManyScans: Kind(422, "Too many scans"),
    errors.TooMuchMetadata: Kind(422, "Too much metadata"),
    errors.Truncated: Kind(422, "File cut off"),
    errors.Unprocessable: Kind(422, "File damaged"),
    errors.RenderTimedOut: Kind(422, "Takes too long"),
    errors.RenderCrashed: Kind(422, "Drawing stopped"),
    errors.AssetUnusable: Kind(422, "Asset unusable"),
    errors.OutputTooLarge: Kind(422, "Result too large"),
    errors.RendererUnavailable: Kind(503, "Renderer unavailable", retry_after=5),
    errors.StorageUnavailable: Kind(503, "Storage unavailable", retry_after=5),
}
"""Everything that a request may end with; whatever else is raised is a fault of ours."""


def refuse(
    request: Request[Any, Any, Any], error: SafelightError, status: int | None = None
) -> Response[bytes]:
    """The answer to a request that ends with one of our errors. `status` overrides the table's."""
    kind = KINDS.get(type(error))
    if kind is None:
        return fault(request, error)
    if kind.status >= 500:
        log.warning("refused", extra={"request": request_id(request.scope), "code": error.code})
    headers = {} if kind.retry_after is None else {"Retry-After": str(kind.retry_after)}
    headers |= _told(request, error)
    return _answer(request, status or kind.status, kind.title, error.code, error.message, headers)


def _told(request: Request[Any, Any, Any], error: SafelightError) -> dict[str, str]:
    """What a refusal says in headers: which key would do (RFC 6750), or when there is room again."""
    match error:
        case errors.NotAuthenticated():
            brought = "authorization" in request.headers or "x-api-key" in request.headers
            return {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"' if brought else CHALLENGE}
        case errors.ScopeMissing(scope=scope):
            return {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'}
        case errors.TooManyRequests(standing=standing) | errors.QuotaUsedUp(standing=standing) if standing:
            # Of two limits, the one that was met counts.
            request.scope["state"].setdefault(STANDINGS, []).append(standing)
            return {"Retry-After": str(standing.resets_in)} if standing.resets_in else {}
    return {}


CHALLENGE: Final = 'Bearer realm="safelight"'


def refuse_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The answer to a request that the framework turns away: no such route, wrong method, body too large."""
    if error.status_code >= 500:
        return fault(request, error)
    code, title, detail = TURNED_AWAY.get(error.status_code, TURNED_AWAY[400])
    return _answer(request, error.status_code, title, code, detail, error.headers or {})


TURNED_AWAY: Final = {
    400: (
        "bad_request",
        "Bad request",
        "The request is not valid HTTP for this API; GET /openapi.json describes it.",
    ),
    404: (
        "not_found",
        "Not found",
        "There is nothing at this address; GET /openapi.json lists what there is.",
    ),
    405: (
        "method_not_allowed",
        "Method not allowed",
        "This address takes other methods: those in the Allow header.",
    ),
    413: (
        "body_too_large",
        "Body too large",
        "A request to this API is never this large; files go to the upload URL.",
    ),
}
"""Code, title and detail where there is no error class of ours."""

FAULT: Final = (
    "internal_error",
    "Internal server error",
    "Something went wrong inside; the operator finds it in the logs by the request id.",
)


def fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to a request that ends with an error nobody foresaw: the log gets it all, the client an id."""
    log.error(
        "unexpected error",
        exc_info=error,
        extra={"request": request_id(request.scope), "method": request.method, "path": request.scope["path"]},
    )
    code, title, detail = FAULT
    return _answer(request, 500, title, code, detail, {})


def problem(status: int, title: str, code: str, detail: str, request_id: str) -> Problem:
    """A problem with all its members."""
    return Problem(
        type=f"urn:safelight:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
        error=title,
        message=detail,
    )


def _answer(
    request: Request[Any, Any, Any], status: int, title: str, code: str, detail: str, headers: dict[str, str]
) -> Response[bytes]:
    body = msgspec.json.encode(problem(status, title, code, detail, request_id(request.scope)))
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)
