"""What every handler has at hand: the service, whose request it is, and how to learn of changes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from litestar import Request, Response
from litestar.datastructures import State

from safelight.callers import NOBODY_ELSE, Caller
from safelight.errors import JobNotFound
from safelight.model import Job
from safelight.previews import Previews
from safelight.service import Service
from safelight.webhooks import Webhooks


class Changes(Protocol):
    """Tells the event streams when to look at a job again."""

    async def wait(self, job_id: str, timeout: float) -> None:  # noqa: ASYNC109 (running out is no error)
        """Return when the job may have changed, at the latest after `timeout` seconds. A change from the moment of
        the call on is noticed; one too many is harmless."""


class Polling:
    """Changes where nobody tells of them: the job is looked at every second."""

    async def wait(self, job_id: str, timeout: float) -> None:  # noqa: ARG002, ASYNC109 (the protocol's)
        """Return after a second."""
        await asyncio.sleep(min(timeout, 1.0))


Principal = Callable[["Call"], Caller]
"""Says who makes a request. Raises NotAuthenticated if that is nobody who may; may read from a store."""

CALLER: Final = "safelight.caller"
"""Where a request's state holds its caller, once that is known."""

Health = Callable[[], Mapping[str, bool]]
"""Asks every part whether it answers."""


def local(call: "Call") -> Caller:  # noqa: ARG001 (every principal gets the request)
    """Everybody is the same, single owner: for an installation that its network protects."""
    return NOBODY_ELSE


@dataclass(frozen=True)
class Context:
    """What the application was made with."""

    service: Service
    webhooks: Webhooks
    changes: Changes
    health: Health
    principal: Principal
    streaming: bool
    previews: Previews


class Call(Request[Any, Any, State]):
    """A request, with what its handler needs."""

    @property
    def context(self) -> Context:
        """What the application was made with."""
        context: Context = self.app.state.context
        return context

    @property
    def service(self) -> Service:
        """The use cases."""
        return self.context.service

    @property
    def caller(self) -> Caller:
        """Who makes this request, and what that allows."""
        state = self.scope["state"]
        if CALLER not in state:
            state[CALLER] = self.context.principal(self)
        caller: Caller = state[CALLER]
        return caller

    @property
    def owner(self) -> str:
        """Whose the jobs are that this request makes."""
        return self.caller.owner

    def owner_of(self, job_id: str) -> str:
        """As whom this request may ask for a job: as the caller, or, with the scope `admin`, as the job's owner."""
        if not self.caller.admin:
            return self.owner
        try:
            return self.service.ports.jobs.get(job_id).owner
        except JobNotFound:
            return self.owner

    def describe(self, job_id: str) -> Job:
        """The job, if this caller may see it. Raise JobNotFound."""
        return self.service.describe(self.owner_of(job_id), job_id)

    def address_of(self, name: str, kind: str = "jobs") -> str:
        """The URL of a job (or of another `kind` of thing), as this client reaches the API."""
        base = self.service.settings.public_url.rstrip("/")
        if not base:
            host = self.headers.get("host", "localhost")
            base = f"{self.scope['scheme']}://{host}{self.scope.get('root_path', '')}"
        return f"{base}/{kind}/{name}"


LOOK_AGAIN: Final = {"Retry-After": "1"}
"""When to ask for a job that has not ended."""

JSON: Final = "application/json"


def answer(
    content: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """An answer in JSON."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Response(body, status_code=status, media_type=JSON, headers=headers)
