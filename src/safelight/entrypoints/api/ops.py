"""For operators: how this Safelight is doing, and what its queue gave up on. Needs the scope `admin`."""

import ipaddress
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Controller, Response, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import RawBody

from safelight.callers import Scope
from safelight.dead_letters import Morgue
from safelight.entrypoints.api.auth import needs
from safelight.entrypoints.api.context import Call, answer, local
from safelight.entrypoints.api.requests import PageQuery, RedriveBody, read_body, read_query
from safelight.entrypoints.api.views import DeadLettersView, RedrivenView, view_dead_letters, view_ops
from safelight.errors import ConflictingFields, ScopeMissing

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


async def from_here(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Where nobody is asked for a key, only who sits at this very machine is its operator. Raise ScopeMissing."""
    if connection.app.state.context.principal is not local:
        return
    if not _sits_here(connection):
        raise ScopeMissing(
            "Without keys, the operator's calls are answered on this machine only; SAFELIGHT_AUTH=apikey and a key "
            "with the scope admin open them from elsewhere.",
            scope=Scope.ADMIN,
        )


def _sits_here(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the caller is on this machine, asks for it by such a name (a page could have made another one point
    here), and is no page from elsewhere."""
    headers = connection.headers
    asked_for, origin = headers.get("host", ""), headers.get("origin")
    return (
        connection.client is not None
        and _is_loopback(connection.client.host)
        and not any(name in headers for name in _FORWARDED)
        and _is_loopback(_host_of(f"//{asked_for}"))
        and (origin is None or origin.partition("://")[2].lower() == asked_for.lower())
    )


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


class Ops(Controller):
    """The operator's view."""

    path = "/ops"
    opt = needs(Scope.ADMIN)
    guards = [from_here]

    @get("/", sync_to_thread=True)
    def get_ops(self, request: Call) -> Response[bytes]:
        """How the queue, the workers and the jobs are doing, at a glance."""
        return answer(view_ops(request.service), headers=_NOT_KEPT)

    @get("/dead-letters", sync_to_thread=True)
    def list_dead_letters(self, request: Call) -> Response[bytes]:
        """What the queue gave up on, with what became of the jobs."""
        query = read_query(request.query_params.multi_items(), PageQuery)
        page = _morgue(request).cases(cursor=query.cursor or None, limit=query.limit)
        view: DeadLettersView = view_dead_letters(page)
        return answer(view, headers=_NOT_KEPT)

    @post("/dead-letters/redrive", status_code=200, sync_to_thread=True)
    def redrive_dead_letters(self, request: Call, body: RawBody) -> Response[bytes]:
        """Have the work of dead letters done after all: of some, or of all. What is not there is passed over."""
        wanted = read_body(body, RedriveBody)
        if (wanted.job_ids is None) == (not wanted.all):
            raise ConflictingFields("Expected jobIds, a list of ids, or all: true, and not both.")
        done = _morgue(request).redrive(None if wanted.all else frozenset(wanted.job_ids or ()))
        return answer(RedrivenView(redriven=dict(done)), headers=_NOT_KEPT)


_NOT_KEPT: Final = {"Cache-Control": "no-store"}


def _morgue(request: Call) -> Morgue:
    return Morgue(request.service, request.service.ports.dead_letters)
