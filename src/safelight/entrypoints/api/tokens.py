"""Tokens of an identity provider (JWT, RFC 7519), checked by PyJWT with the issuer's public keys.

Signature, issuer, audience, expiry and not-before are checked, and expiry has to be there. How a token may be signed
says our setting and never the token; only algorithms with a public key are possible, so that a public key can not be
taken for a shared secret.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec

from safelight.callers import Caller
from safelight.config import Settings
from safelight.decoding import from_json
from safelight.entrypoints.api.auth import bearer, caller_of
from safelight.entrypoints.api.context import Call
from safelight.errors import IssuerUnavailable, NotAuthenticated

log = logging.getLogger(__name__)

LEEWAY: Final = 10.0
"""How many seconds the issuer's clock may differ from ours."""

FRESH_FOR: Final = 300.0
"""Seconds after which the issuer's keys are read again."""

LOOK_AGAIN_AFTER: Final = 10.0
"""For a key that we do not know, the issuer is asked at most this often: strangers can make such tokens."""

MAX_KEYS: Final = 1_000_000
"""The most bytes of a JWKS."""


class ByToken:
    """Callers with tokens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = IssuerKeys(lambda: read(settings.jwt_keys))

    def __call__(self, call: Call) -> Caller:
        """Whose token the request brings. Raise NotAuthenticated, or IssuerUnavailable."""
        return caller_of(self._claims(bearer(call)), self._settings)

    def _claims(self, token: str) -> dict[str, Any]:
        settings = self._settings
        try:
            key = self._keys.find(jwt.get_unverified_header(token).get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(settings.jwt_algorithms),
                issuer=settings.jwt_issuer,
                leeway=LEEWAY,
                # The audience is looked at below, by the rule of API Gateway: Cognito's access tokens have no aud.
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated(
                "The token has expired; get a new one from its identity provider."
            ) from None
        except jwt.PyJWTError:
            raise NotAuthenticated(_WRONG) from None
        audience = claims.get("aud", claims.get("client_id"))
        if settings.jwt_audience not in (audience if isinstance(audience, list) else [audience]):
            raise NotAuthenticated(_WRONG)
        return claims


_WRONG: Final = "This token is not one that this Safelight accepts; get one from its identity provider."


class _Published(msgspec.Struct, frozen=True):
    """A JWKS (RFC 7517)."""

    keys: list[dict[str, Any]]


class IssuerKeys:
    """The issuer's public keys, read when needed and kept for a while. Any number of threads may ask."""

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")

    def find(self, kid: object) -> jwt.PyJWK:
        """The key of this id; without one, the only key. Raise NotAuthenticated, or IssuerUnavailable."""
        now = time.monotonic()
        with self._lock:
            stale = now - self._read_at >= FRESH_FOR or (kid is not None and kid not in self._keys)
            if stale and now - self._tried_at >= LOOK_AGAIN_AFTER:
                self._tried_at = now
                self._read(now)
            if not self._keys:
                raise IssuerUnavailable
            if kid is None and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            if not isinstance(kid, str) or kid not in self._keys:
                raise NotAuthenticated(_WRONG)
            return self._keys[kid]

    def _read(self, now: float) -> None:
        try:
            published = from_json(self._fetch(), _Published)
            found = jwt.PyJWKSet(published.keys)
        except (
            OSError,
            msgspec.DecodeError,
            jwt.PyJWTError,
        ):  # those from before hold until the issuer is back
            log.warning("the issuer's keys can not be read")
            return
        # A shared secret has no place in a set of public keys.
        self._keys = {key.key_id: key for key in found.keys if key.key_type != "oct"}
        self._read_at = now


def read(place: str) -> bytes:
    """A JWKS from its address or its file. Raise OSError."""
    if not place.startswith("https://"):
        with Path(place).open("rb") as file:
            return file.read(MAX_KEYS)
    import httpx

    try:
        with (
            httpx.Client(timeout=5.0) as client,
            client.stream("GET", place) as response,
        ):  # follows no redirect
            response.raise_for_status()
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_KEYS:
                    raise OSError("more than a JWKS can be")
            return body
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
