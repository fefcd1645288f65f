"""The API's description, OpenAPI 3.1. Its paths come from the routes and its schemas from the structs that are read
and sent. What no signature says, which headers count and which errors end what, stands in OPERATIONS."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from safelight import __version__, errors, recipes, shelf
from safelight.entrypoints.api import problems, requests, views
from safelight.entrypoints.api.auth import needed
from safelight.entrypoints.api.problems import Problem
from safelight.entrypoints.api.webhook_views import (
    DeliveriesView,
    DeliveryView,
    WebhooksView,
    WebhookView,
)
from safelight.errors import SafelightError

Json = dict[str, Any]

ABOUT: Final = """\
Ask for an upload, send the file to the signed URL, look at the job until it is COMPLETED, download its outputs.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Every answer carries `X-Request-Id`; a request
may bring its own. POST requests may carry an `Idempotency-Key`."""

COMPONENT: Final = "#/components/schemas/{name}"

EXAMPLES: Final = {
    "jobId": "0d5c0b52-6f5e-4d0e-9d3e-3f2f0b5a7c11",
    "batchId": "7f3a9c1e-2b4d-4e6f-8a90-b1c2d3e4f506",
    "name": "default",
    "webhookId": "7c2f4f0e-95a1-4b51-8d8c-1f6f1f0f9a2e",
    "deliveryId": "8230116799999-1f0c5a2b7d3e9a64",
}
"""An example of each path parameter."""

HEADERS: Final = {
    "ETag": "Changes with the job, and when its download URLs are signed anew; send it back as If-None-Match.",
    "Idempotent-Replayed": "`true` if the request was carried out before under its Idempotency-Key.",
    "Location": "The URL of the job, or of the batch.",
    "RateLimit": "How much is left of each limit, and when it begins anew: draft-ietf-httpapi-ratelimit-headers-10.",
    "RateLimit-Policy": "The limits that the caller has; sent with RateLimit, where there are any.",
    "Retry-After": "In how many seconds to ask again.",
    "WWW-Authenticate": "How to authenticate, and what is wrong with the key that came (RFC 6750).",
    "X-Image-Frames": "How many frames the picture has.",
    "X-Image-Height": "The picture's height in pixels, as displayed.",
    "X-Image-Output": "The name of the output that was drawn.",
    "X-Image-Width": "The picture's width in pixels, as displayed.",
    "X-Request-Id": "Names this request in the logs of the operator.",
}


class Answer(msgspec.Struct, frozen=True):
    """One way for a request to succeed: what that means, what is in the body and which headers count."""

    description: str
    body: type[msgspec.Struct] | Json | None = None
    headers: tuple[str, ...] = ()
    media_type: str = "application/json"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler's signature does not say."""

    answers: dict[int, Answer]
    errors: tuple[type[SafelightError], ...] = ()
    not_found: tuple[type[SafelightError], ...] = ()
    """Errors that are answered with 404 here, whatever they are elsewhere."""
    headers: tuple[Json, ...] = ()
    body: type[msgspec.Struct] | None = None
    body_required: bool = False
    form: Json | None = None
    in_path: Json = {}
    """What else its parameter in the path has to be."""
    """The schema of a form that is sent instead of a body in JSON."""
    query: type[msgspec.Struct] | None = None


def _header(name: str, about: str, **schema: Any) -> Json:
    return {"name": name, "in": "header", "description": about, "schema": {"type": "string", **schema}}


IF_NONE_MATCH: Final = _header(
    "If-None-Match", "An ETag from before: answered with 304 if nothing has changed."
)
LAST_EVENT_ID: Final = _header(
    "Last-Event-ID", "The id of the last event seen; a browser sends it by itself."
)
IDEMPOTENCY_KEY: Final = _header(
    "Idempotency-Key",
    "For 24 hours the same request with the same key gives the same job again.",
    pattern="^[!-~]{1,255}$",
)

KEY_ERRORS: Final = (errors.InvalidRequest, errors.IdempotencyKeyInUse, errors.IdempotencyKeyReused)
AUTH_ERRORS: Final = (errors.NotAuthenticated, errors.ScopeMissing, errors.TooManyRequests)
"""What every route that is not open may end with."""

ALSO_TOLD: Final[dict[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("RateLimit", "RateLimit-Policy"),
}
"""Headers that come with a status, whatever ended with it."""

SECURITY_SCHEMES: Final[dict[str, dict[str, Json]]] = {
    "none": {},
    "apikey": {
        "bearerKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "sl_<prefix>_<secret>",
            "description": "An API key: `safelight keys create` makes one.",
        },
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key."},
    },
    "jwt": {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of the identity provider.",
        }
    },
}
"""How callers are known, by the setting SAFELIGHT_AUTH."""

ADDRESS_ERRORS: Final = (errors.AddressRefused, errors.HostUnknown)
RECIPE_ERRORS: Final = (errors.UnknownRecipe, errors.RecipeInvalid)
PUBLISHED_ERRORS: Final = (*RECIPE_ERRORS, errors.PublicOutputsOff)
PREVIEW_ERRORS: Final = (
    errors.EmptyFile,
    errors.TooLarge,
    errors.TypeNotAllowed,
    errors.TooManyPixels,
    errors.TooManyFrames,
    errors.TooManyScans,
    errors.TooMuchMetadata,
    errors.Truncated,
    errors.Unprocessable,
    errors.RenderTimedOut,
    errors.RenderCrashed,
    errors.OutputTooLarge,
    errors.RendererUnavailable,
)
"""What drawing may end with."""

PREVIEW_FORM: Final = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "The picture, by default at most 1 MB.",
        },
        "recipe": {
            "type": "string",
            "description": "The name of a recipe (GET /recipes), or a recipe as JSON. Without one, the default recipe.",
        },
        "output": {
            "type": "string",
            "description": "Which of the recipe's outputs to draw. Without a name, the primary one.",
        },
    },
    "required": ["file"],
    "additionalProperties": False,
}

UPLOAD_ERRORS: Final = (
    *KEY_ERRORS,
    *PUBLISHED_ERRORS,
    errors.ConflictingFields,
    errors.MultipartNeedsSize,
    errors.EmptyFile,
    errors.TooLarge,
    errors.Overloaded,
    errors.QuotaUsedUp,
)
JOB_NOW: Final = Answer("The job as it is now.", views.JobView, ("Retry-After", "Idempotent-Replayed"))

EVENT: Final = {
    "description": "One event. Comments keep the connection alive.",
    "type": "object",
    "properties": {
        "event": {"const": "job"},
        "id": {"type": "string", "description": "The job's revision."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": COMPONENT.format(name="JobView")},
        },
    },
}

OPERATIONS: Final[dict[str, Operation]] = {
    "create_upload": Operation(
        headers=(IDEMPOTENCY_KEY,),
        body=requests.UploadBody,
        answers={200: Answer("Send the file now.", views.UploadView, ("Location", "Idempotent-Replayed"))},
        errors=UPLOAD_ERRORS,
    ),
    "create_batch": Operation(
        headers=(IDEMPOTENCY_KEY,),
        body=requests.BatchBody,
        body_required=True,
        answers={
            200: Answer("Send the files now.", views.BatchMadeView, ("Location", "Idempotent-Replayed"))
        },
        errors=UPLOAD_ERRORS,
    ),
    "get_batch": Operation(
        query=requests.PageQuery,
        answers={200: Answer("The batch.", views.BatchView, ("Retry-After",))},
        errors=(errors.InvalidRequest, errors.BatchNotFound),
    ),
    "get_parts": Operation(
        query=requests.PartsQuery,
        answers={200: Answer("A page of the parts.", views.PartsView)},
        errors=(errors.InvalidRequest, errors.JobNotFound, errors.NotMultipart, errors.NotAllowedNow),
    ),
    "complete_parts": Operation(
        body=requests.CompleteBody,
        body_required=True,
        answers={200: Answer("The file is whole, and its job queued.", views.JobView, ("Retry-After",))},
        errors=(
            errors.InvalidRequest,
            errors.JobNotFound,
            errors.NotMultipart,
            errors.NotAllowedNow,
            errors.InvalidPart,
            errors.InvalidPartOrder,
            errors.EntityTooSmall,
            errors.PartsMissing,
            errors.PartsGone,
        ),
    ),
    "abort_parts": Operation(
        answers={204: Answer("Nothing of it is left; the job waits on.")},
        errors=(errors.JobNotFound, errors.NotMultipart, errors.NotAllowedNow),
    ),
    "get_job": Operation(
        headers=(IF_NONE_MATCH,),
        answers={
            200: Answer("The job.", views.JobView, ("ETag", "Retry-After")),
            304: Answer("Nothing has changed, and the URLs still work.", headers=("ETag", "Retry-After")),
        },
        errors=(errors.JobNotFound,),
    ),
    "list_jobs": Operation(
        query=requests.ListQuery,
        answers={200: Answer("A part of the jobs.", views.JobsView)},
        errors=(errors.InvalidRequest, errors.MissingJobId),
    ),
    "render_again": Operation(
        headers=(IDEMPOTENCY_KEY,),
        body=requests.RenderBody,
        body_required=True,
        answers={200: Answer("The new job.", views.JobView, ("Location", *JOB_NOW.headers))},
        errors=(
            *KEY_ERRORS,
            *PUBLISHED_ERRORS,
            errors.JobNotFound,
            errors.SourceGone,
            errors.Overloaded,
            errors.QuotaUsedUp,
        ),
    ),
    "cancel_job": Operation(
        headers=(IDEMPOTENCY_KEY,),
        answers={200: JOB_NOW},
        errors=(*KEY_ERRORS, errors.JobNotFound, errors.NotAllowedNow),
    ),
    "retry_job": Operation(
        headers=(IDEMPOTENCY_KEY,),
        answers={200: JOB_NOW},
        errors=(*KEY_ERRORS, errors.JobNotFound, errors.NotAllowedNow),
    ),
    "delete_job": Operation(answers={204: Answer("It is gone.")}, errors=(errors.JobNotFound,)),
    "listen": Operation(
        headers=(LAST_EVENT_ID,),
        answers={
            200: Answer("Events until the job has ended.", EVENT, media_type="text/event-stream"),
            204: Answer("The job has ended; do not listen again."),
        },
        errors=(errors.JobNotFound,),
    ),
    "create_preview": Operation(
        form=PREVIEW_FORM,
        answers={
            200: Answer(
                "The output's file.",
                {"type": "string", "contentMediaType": "image/*"},
                ("X-Image-Output", "X-Image-Width", "X-Image-Height", "X-Image-Frames"),
                media_type="image/*",
            )
        },
        errors=(
            *PREVIEW_ERRORS,
            *RECIPE_ERRORS,
            errors.UnknownOutput,
            errors.InvalidRequest,
            errors.PreviewsBusy,
        ),
    ),
    "get_ops": Operation(answers={200: Answer("How it is doing.", views.OpsView)}),
    "list_dead_letters": Operation(
        query=requests.PageQuery,
        answers={200: Answer("A part of the dead letters.", views.DeadLettersView)},
        errors=(errors.InvalidRequest,),
    ),
    "redrive_dead_letters": Operation(
        body=requests.RedriveBody,
        body_required=True,
        answers={200: Answer("What was done.", views.RedrivenView)},
        errors=(errors.InvalidRequest, errors.ConflictingFields),
    ),
    "get_about": Operation(answers={200: Answer("A Safelight.", views.AboutView)}),
    "create_webhook": Operation(
        headers=(IDEMPOTENCY_KEY,),
        body=requests.WebhookBody,
        body_required=True,
        answers={201: Answer("The webhook, with its secret.", WebhookView, ("Idempotent-Replayed",))},
        errors=(*KEY_ERRORS, *ADDRESS_ERRORS, errors.TooManyWebhooks, errors.WebhooksOff),
    ),
    "list_webhooks": Operation(answers={200: Answer("All of them.", WebhooksView)}),
    "get_webhook": Operation(
        answers={200: Answer("The webhook.", WebhookView)}, errors=(errors.WebhookNotFound,)
    ),
    "change_webhook": Operation(
        body=requests.WebhookChangeBody,
        answers={200: Answer("The webhook as it is now.", WebhookView)},
        errors=(errors.InvalidRequest, *ADDRESS_ERRORS, errors.WebhookNotFound, errors.WebhooksOff),
    ),
    "delete_webhook": Operation(answers={204: Answer("It is gone.")}, errors=(errors.WebhookNotFound,)),
    "rotate_webhook_secret": Operation(
        headers=(IDEMPOTENCY_KEY,),
        answers={200: Answer("The webhook, with its new secret.", WebhookView, ("Idempotent-Replayed",))},
        errors=(*KEY_ERRORS, errors.WebhookNotFound),
    ),
    "test_webhook": Operation(
        headers=(IDEMPOTENCY_KEY,),
        answers={202: Answer("The test's delivery.", DeliveryView, ("Idempotent-Replayed",))},
        errors=(*KEY_ERRORS, errors.WebhookNotFound, errors.DeliveryNotFound),
    ),
    "list_deliveries": Operation(
        query=requests.PageQuery,
        answers={200: Answer("A part of the deliveries.", DeliveriesView)},
        errors=(errors.InvalidRequest, errors.WebhookNotFound),
    ),
    "replay_delivery": Operation(
        headers=(IDEMPOTENCY_KEY,),
        answers={202: Answer("The delivery, to be sent again.", DeliveryView, ("Idempotent-Replayed",))},
        errors=(*KEY_ERRORS, errors.WebhookNotFound, errors.DeliveryNotFound),
    ),
    "list_recipes": Operation(answers={200: Answer("All of them.", views.RecipesView)}),
    "get_recipe": Operation(
        answers={200: Answer("The recipe.", views.RecipeView)}, not_found=(errors.UnknownRecipe,)
    ),
    "put_recipe": Operation(
        in_path={"pattern": f"^{shelf.NAME.pattern}$", "not": {"enum": ["default", shelf.INLINE]}},
        body=recipes.Recipe,
        body_required=True,
        answers={
            200: Answer("The name means this recipe now.", views.RecipeView),
            201: Answer("The name is new.", views.RecipeView),
        },
        errors=(
            errors.InvalidRequest,
            errors.RecipeInvalid,
            errors.RecipeNameTaken,
            errors.TooManyRecipes,
        ),
    ),
    "delete_recipe": Operation(answers={204: Answer("It is gone.")}, errors=(errors.RecipeNameTaken,)),
    "get_recipe_schema": Operation(answers={200: Answer("A JSON Schema (2020-12).", {"type": "object"})}),
    "get_openapi": Operation(answers={200: Answer("An OpenAPI document.", {"type": "object"})}),
    "get_health": Operation(
        answers={
            200: Answer("Every part answers.", views.HealthView),
            503: Answer("A part does not answer.", views.HealthView),
        }
    ),
}


def document(app: Litestar, auth: str = "none") -> Json:
    """The description of every route of the application, for callers that are known in this way."""
    paths: dict[str, Json] = {}
    for template, handler in _handlers(app):
        path = re.sub(r"\{(\w+):\w+\}", lambda match: f"{{{_camel(match[1])}}}", template)
        for method in sorted(handler.http_methods):
            paths.setdefault(path, {})[method.lower()] = _operation(handler, path, method, auth)
    info = {
        "title": "Safelight",
        "version": __version__,
        "description": ABOUT,
        "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    }
    headers = {name: {"description": about, "schema": {"type": "string"}} for name, about in HEADERS.items()}
    schemas = _schemas()
    _link(paths, schemas)
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers,
            **({"securitySchemes": SECURITY_SCHEMES[auth]} if SECURITY_SCHEMES[auth] else {}),
        },
    }


def _handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Paths and handlers of all routes, without the handlers that the framework adds to answer OPTIONS."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.resolve_include_in_schema():
                yield route.path, handler


def _operation(handler: HTTPRouteHandler, path: str, method: str, auth: str) -> Json:
    function = getattr(handler.fn, "func", handler.fn)  # the framework wraps those that run in threads
    name = function.__name__
    told = OPERATIONS[name]
    scope = needed(handler, method)
    if scope is not None:
        told = msgspec.structs.replace(told, errors=(*told.errors, *AUTH_ERRORS))
    summary, _, description = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
    result: Json = {
        "operationId": _camel(name),
        "summary": summary.replace("\n", " ").rstrip("."),
        "description": description or summary,
        "parameters": [
            *(_in_path(name, told.in_path) for name in re.findall(r"\{(\w+)\}", path)),
            *_query(told.query),
            *told.headers,
        ],
        "responses": {str(status): _answer(answer) for status, answer in told.answers.items()},
    }
    if told.body is not None:
        content = {"application/json": {"schema": _ref(told.body)}}
        result["requestBody"] = {"required": told.body_required, "content": content}
    if scope is not None and SECURITY_SCHEMES[auth]:
        result["security"] = [{scheme: [scope.value]} for scheme in SECURITY_SCHEMES[auth]]
    if told.form is not None:
        result["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": told.form}}}
    result["responses"] |= _failures(told, with_body=method in ("POST", "PUT", "PATCH"))
    return result


def _link(paths: Json, schemas: Json) -> None:
    """Say where an answer leads: to every operation whose path takes an id that the answer gives."""
    takers: defaultdict[str, list[str]] = defaultdict(list)
    for path, methods in paths.items():
        names = re.findall(r"\{(\w+)\}", path)
        if len(names) == 1:
            takers[names[0]] += [operation["operationId"] for operation in methods.values()]
    for operation in (operation for methods in paths.values() for operation in methods.values()):
        for answer in operation["responses"].values():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            given = schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
            links = {
                target: {"operationId": target, "parameters": {name: f"$response.body#/{name}"}}
                for name in given
                for target in takers[name]
            }
            if links:
                answer["links"] = links


def _in_path(name: str, more: Json) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string"} | more,
        "example": EXAMPLES[name],
    }


def _query(kind: type[msgspec.Struct] | None) -> Iterator[Json]:
    """The fields of a struct as query parameters."""
    if kind is None:
        return
    _, schemas = msgspec.json.schema_components([kind], ref_template=COMPONENT)
    for name, schema in schemas[kind.__name__]["properties"].items():
        yield {"name": name, "in": "query", "description": schema.pop("description"), "schema": schema}


def _answer(answer: Answer) -> Json:
    result: Json = {"description": answer.description, "headers": _headers(*answer.headers)}
    if answer.body is not None:
        schema = answer.body if isinstance(answer.body, dict) else _ref(answer.body)
        result["content"] = {answer.media_type: {"schema": schema}}
    return result


def _failures(told: Operation, *, with_body: bool) -> Json:
    """The errors of an operation by status: those it names, and those that any request may end with."""
    found: defaultdict[int, list[Problem]] = defaultdict(list)
    retry: set[int] = set()

    def add(status: int, title: str, code: str, detail: str) -> None:
        found[status].append(problems.problem(status, title, code, detail, EXAMPLES["jobId"]))

    ends: tuple[type[SafelightError], ...] = (*told.errors, *told.not_found, errors.StorageUnavailable)
    for error in ends:
        kind = problems.KINDS[error]
        status = 404 if error in told.not_found else kind.status
        add(status, kind.title, error.code, error().message)
        if kind.retry_after:
            retry.add(status)
    if with_body:
        code, title, detail = problems.TURNED_AWAY[413]
        add(413, title, code, detail)
    code, title, detail = problems.FAULT
    add(500, title, code, detail)
    return {
        str(status): {
            "description": "; ".join(one.title for one in these) + ".",
            "headers": _headers(*(["Retry-After"] if status in retry else []), *ALSO_TOLD.get(status, ())),
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": _ref(Problem),
                    "examples": {one.code: {"value": msgspec.to_builtins(one)} for one in these},
                }
            },
        }
        for status, these in sorted(found.items())
        if status not in told.answers
    }


def _schemas() -> Json:
    """The schema of everything that is read or sent, and of recipes."""
    sent = [answer.body for told in OPERATIONS.values() for answer in told.answers.values()]
    kinds = [kind for kind in (*sent, *(told.body for told in OPERATIONS.values())) if isinstance(kind, type)]
    _, schemas = msgspec.json.schema_components(
        [*dict.fromkeys(kinds), requests.BatchFile, Problem], ref_template=COMPONENT
    )
    moved = msgspec.json.encode(recipes.schema()["$defs"]).replace(b"#/$defs/", COMPONENT[:-6].encode())
    schemas |= msgspec.json.decode(moved)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return schemas


def _ref(kind: type[msgspec.Struct]) -> Json:
    return {"$ref": COMPONENT.format(name=kind.__name__)}


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _camel(name: str) -> str:
    """`job_id` as clients spell it: `jobId`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
