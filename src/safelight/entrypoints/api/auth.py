"""Who may call, and for what: the guard before every route, and the three ways to know a caller.

    none      everybody is the same owner, with the scopes upload and read
    apikey    a key of `safelight keys`, as `Authorization: Bearer sl_…` or `X-Api-Key: sl_…`
    jwt       a token of an identity provider, as `Authorization: Bearer …`: checked here, or by API Gateway before us

A route needs the scope `read` if it is a GET and `upload` otherwise, unless it says `opt=needs(…)`: so a new route is
closed until somebody opens it. Signed URLs are no routes of this application; whoever has one needs no key.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from safelight.callers import Caller, Scope
from safelight.config import Settings
from safelight.entrypoints.api.context import CALLER, Call, Principal, local
from safelight.entrypoints.api.headers import STANDINGS
from safelight.errors import NotAuthenticated, ScopeMissing
from safelight.keys import Keys
from safelight.limits import InMemory, InRecords, RateLimit
from safelight.service import Service

_NEEDS: Final = "needs"


def needs(scope: Scope | None) -> dict[str, Any]:
    """The `opt` of a route that needs this scope instead of the usual one, or (None) is open to everybody."""
    return {_NEEDS: scope}


OPEN: Final = needs(None)


def needed(handler: BaseRouteHandler, method: str) -> Scope | None:
    """The scope that a request of this route needs."""
    scope: Scope | None = handler.opt.get(_NEEDS, Scope.READ if method in ("GET", "HEAD") else Scope.UPLOAD)
    return scope


class Guard:
    """Lets a request through whose caller is known, has the scope, and has not made too many."""

    def __init__(self, principal: Principal, rate: RateLimit | None) -> None:
        self._principal = principal
        self._rate = rate

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Raise NotAuthenticated, ScopeMissing or TooManyRequests."""
        call = cast(Call, connection)
        if call.method == "OPTIONS":  # a browser's question, which can carry no key
            return
        scope = needed(handler, call.method)
        if scope is not None:
            await sync_to_thread(self._admit, call, scope)

    def _admit(self, call: Call, scope: Scope) -> None:
        caller = call.scope["state"][CALLER] = self._principal(call)
        if self._rate is not None:
            call.scope["state"][STANDINGS] = [self._rate.count(caller.owner)]
        # Without keys everybody may do everything; what only the operator may, looks where the caller sits.
        if self._principal is not local and not caller.may(scope):
            raise ScopeMissing(
                f"This call needs the scope {scope}, which your key does not have; ask the operator for one that does.",
                scope=scope,
            )


def guards(principal: Principal, rate: RateLimit | None) -> list[Guard]:
    """What stands before every route: nothing where everybody may do everything, so that it costs nothing."""
    return [] if principal is local and rate is None else [Guard(principal, rate)]


def rate_limit(service: Service) -> RateLimit | None:
    """How requests are counted, if they are: in memory on one machine, where one process answers them all."""
    settings, ports = service.settings, service.ports
    if not settings.requests_per_minute:
        return None
    counts = InRecords(ports.records) if settings.backend == "aws" else InMemory()
    return RateLimit(settings.requests_per_minute, counts, ports.clock)


def principal_of(service: Service) -> Principal:
    """How the settings say that callers are known. Raise ConfigurationError."""
    settings = service.settings
    if settings.auth == "apikey":
        return ByKey(Keys(service.ports.records, service.ports.clock))
    if settings.auth == "jwt":
        if settings.backend == "aws":
            return ByGateway(settings)
        from safelight.entrypoints.api.tokens import (
            ByToken,
        )  # its library is an extra, and takes time to load

        return ByToken(settings)
    return local


class ByKey:
    """Callers with API keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __call__(self, call: Call) -> Caller:
        """Whose key the request brings: as a bearer's, or else (Authorization may be for a proxy) as X-Api-Key."""
        try:
            text = bearer(call)
        except NotAuthenticated:
            text = call.headers.get("x-api-key", "")
            if not text:
                raise
        return self._keys.check(text)


class ByGateway:
    """Callers whose token API Gateway has checked: its claims come with the event."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, call: Call) -> Caller:
        """Whose token it is."""
        context = call.scope.get("aws.event", {}).get("requestContext", {})  # type: ignore[attr-defined]  # by Mangum
        claims = context.get("authorizer", {}).get("jwt", {}).get("claims")
        if not claims:
            raise NotAuthenticated
        return caller_of(claims, self._settings)


def bearer(call: Call) -> str:
    """What the Authorization header brings. Raise NotAuthenticated if it brings nothing of the kind."""
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise NotAuthenticated
    return value.strip()


MAX_OWNER: Final = 255


def caller_of(claims: Mapping[str, Any], settings: Settings) -> Caller:
    """The caller that a token's claims name. Raise NotAuthenticated if they name none."""
    owner = claims.get("sub")
    if not isinstance(owner, str) or not 0 < len(owner) <= MAX_OWNER or not owner.isprintable():
        raise NotAuthenticated(
            f"The token's sub has to be text of 1 to {MAX_OWNER} characters; it names the owner."
        )
    given = claims.get(settings.jwt_scope_claim, "")
    # API Gateway hands lists on as text in brackets.
    words = given.strip("[]").replace(",", " ").split() if isinstance(given, str) else given
    named = {str(word) for word in words} if isinstance(words, list | tuple) else set()
    prefix = settings.jwt_scope_prefix
    return Caller(owner=owner, scopes=frozenset(scope for scope in Scope if prefix + scope in named))
