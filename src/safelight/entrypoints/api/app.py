"""The ASGI application. Made by a factory: importing this does nothing."""

from typing import Final

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from safelight.config import Settings
from safelight.entrypoints.api import (
    about,
    auth,
    batches,
    events,
    jobs,
    ops,
    parts,
    previews,
    problems,
    webhooks,
)
from safelight.entrypoints.api.context import Call, Changes, Context, Health, Polling, Principal
from safelight.entrypoints.api.headers import AnswerHeaders
from safelight.entrypoints.api.requests import MAX_BODY
from safelight.errors import SafelightError
from safelight.previews import Previews
from safelight.service import Service
from safelight.webhooks import Webhooks

ROUTES: Final[tuple[ControllerRouterHandler, ...]] = (
    jobs.create_upload,
    parts.Parts,
    batches.Batches,
    jobs.Jobs,
    events.listen,
    ops.Ops,
    webhooks.WebhookRoutes,
    about.get_about,
    about.Recipes,
    about.get_openapi,
    about.get_health,
)


def routes(settings: Settings) -> tuple[ControllerRouterHandler, ...]:
    """All routes: how large a body may be depends on the settings for some."""
    return (*ROUTES, previews.route(settings))


def create_app(
    service: Service,
    *,
    drawing: Previews | None = None,
    changes: Changes | None = None,
    health: Health | None = None,
    principal: Principal | None = None,
    streaming: bool = True,
    heads: bool = False,
) -> Litestar:
    """The API on a service.

    `drawing` draws previews; without it the service's own renderer does. `changes` wakes event streams; without it
    they look every second. `health` asks the parts; without it the ports are asked. `principal` says who calls; without
    it the settings say how that is known. `streaming=False` is for hosts that can not keep an answer open: an event
    stream tells the state now and ends, and the client comes back by itself. `heads` is for hosts that answer HEAD in
    front of it, so that `Allow` names it. Raise ConfigurationError for settings by which no caller can be known.
    """
    principal = principal or auth.principal_of(service)
    context = Context(
        service=service,
        webhooks=Webhooks(service.settings, service.ports),
        changes=changes or Polling(),
        health=health or service.health,
        principal=principal,
        streaming=streaming,
        previews=drawing or Previews(service.settings, lambda _settings: service.ports.renderer),
    )
    return Litestar(
        routes(service.settings),
        request_class=Call,
        guards=auth.guards(principal, auth.rate_limit(service)),
        state=State({"context": context}),
        exception_handlers={
            SafelightError: problems.refuse,
            HTTPException: problems.refuse_http,
            Exception: problems.fault,
        },
        before_send=[AnswerHeaders(service.settings.cors_origins, heads=heads)],
        request_max_body_size=MAX_BODY,
        openapi_config=None,  # described in `openapi`, from the same structs that are read and sent
        logging_config=None,  # logging belongs to whoever runs the application
    )
