"""Tokens of an identity provider: what is accepted, and the long list of what is not."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from tests.unit.pipeline import Pipeline

from safelight.entrypoints.api import create_app

jwt = pytest.importorskip("jwt", reason="tokens need the extra jwt")
from cryptography.hazmat.primitives import serialization  # noqa: E402 (after the skip)
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402

ISSUER = "https://login.example.org/pool"
GOOD = {"iss": ISSUER, "aud": "safelight", "sub": "anna", "scope": "openid safelight/upload safelight/read"}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(key: Any, kid: str) -> dict[str, Any]:
    """The public half of a key, as the issuer publishes it."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", **claims: Any) -> str:
    """A token; a claim of None is left out, and times count from now."""
    said = {**GOOD, "exp": 300, **claims}
    said |= {name: time.time() + said[name] for name in ("exp", "nbf", "iat") if said.get(name) is not None}
    headers = {} if kid is None else {"kid": kid}
    payload = {name: value for name, value in said.items() if value is not None}
    return str(jwt.encode(payload, key, algorithm=algorithm, headers=headers))


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    shared = {
        "kty": "oct",
        "kid": "shared",
        "k": base64.urlsafe_b64encode(b"s" * 32).decode(),
        "alg": "HS256",
    }
    path.write_text(json.dumps({"keys": [jwk(RSA, "rsa"), jwk(EC, "ec"), shared]}))
    return path


@pytest.fixture
def pipeline(jwks: Path) -> Pipeline:
    return Pipeline(
        auth="jwt",
        jwt_issuer=ISSUER,
        jwt_audience="safelight",
        jwt_keys=str(jwks),
        jwt_scope_prefix="safelight/",
    )


@pytest.fixture
def http(pipeline: Pipeline) -> Iterator[httpx.Client]:
    with TestClient(create_app(pipeline.service), raise_server_exceptions=False) as http:
        yield http


def ask(http: httpx.Client, text: str, method: str = "GET") -> httpx.Response:
    path = "/jobs" if method == "GET" else "/uploads"
    return http.request(method, path, headers={"Authorization": f"Bearer {text}"})


def test_a_good_token(http: httpx.Client, pipeline: Pipeline) -> None:
    """Its sub is the owner of what it makes, its scope says what it may."""
    job_id = ask(http, token(), "POST").json()["jobId"]
    assert pipeline.ports.jobs.get(job_id).owner == "anna"
    assert ask(http, token()).json()["items"][0]["jobId"] == job_id
    assert ask(http, token(sub="ben")).json()["items"] == []


@pytest.mark.parametrize(
    "good",
    [
        {"key": EC, "algorithm": "ES256", "kid": "ec"},
        {"aud": ["other", "safelight"]},
        {"aud": None, "client_id": "safelight"},
        {"scope": ["safelight/read"]},
        {"scope": "safelight/admin"},
        {"nbf": -10},
        {"exp": -5},
        {"iat": 5},
    ],
    ids=[
        "elliptic",
        "audiences",
        "Cognito's",
        "scopes as a list",
        "admin",
        "nbf",
        "clock fast",
        "clock slow",
    ],
)
def test_other_good_tokens(http: httpx.Client, good: dict[str, Any]) -> None:
    """What identity providers do in different ways, and clocks that differ by seconds."""
    assert ask(http, token(**good)).status_code == 200


def forged(header: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps({**GOOD, "exp": time.time() + 300}).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def signed_with_the_public_key() -> str:
    """The best-known forgery: the public key, taken as the secret of an HMAC."""
    public = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = forged({"alg": "HS256", "typ": "JWT", "kid": "rsa"}).rstrip(".")
    mac = hmac.new(public, text.encode(), "sha256").digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


BAD: dict[str, Callable[[], str]] = {
    "expired": lambda: token(exp=-60),
    "without an end": lambda: token(exp=None),
    "not yet": lambda: token(nbf=60),
    "made tomorrow": lambda: token(iat=86400),
    "of another issuer": lambda: token(iss="https://evil.example"),
    "without an issuer": lambda: token(iss=None),
    "for somebody else": lambda: token(aud="other"),
    "for nobody": lambda: token(aud=None),
    "for another client": lambda: token(aud="other", client_id="safelight"),
    "without a subject": lambda: token(sub=None),
    "of an empty subject": lambda: token(sub=""),
    "of a subject too long": lambda: token(sub="x" * 256),
    "of a subject with a line break": lambda: token(sub="a\nb"),
    "signed by a stranger": lambda: token(STRANGER),
    "of a key that is not there": lambda: token(STRANGER, kid="stranger"),
    "without a key's name": lambda: token(kid=None),
    "signed with the shared secret": lambda: token("s" * 32, "HS256", "shared"),
    "not signed": lambda: forged({"alg": "none", "kid": "rsa"}),
    "not signed, in capitals": lambda: forged({"alg": "NONE", "kid": "rsa"}),
    "signed with the public key": signed_with_the_public_key,
    "of an algorithm that is not allowed": lambda: token(RSA, "RS512"),
    "of one key's algorithm and another's name": lambda: token(RSA, "RS256", "ec"),
    "with a key of its own": lambda: forged({"alg": "RS256", "jwk": jwk(STRANGER, "x"), "kid": "x"}, b"x"),
    "with a key's address": lambda: forged({"alg": "RS256", "jku": "https://evil.example", "kid": "x"}, b"x"),
    "with a path for a key's name": lambda: forged({"alg": "RS256", "kid": "../../dev/null"}, b"x"),
    "with a list for a key's name": lambda: forged({"alg": "RS256", "kid": ["rsa"]}, b"x"),
    "cut off": lambda: token()[:-10],
    "no token": lambda: "a.b.c",
    "nothing much": lambda: "..",
    "endless": lambda: "a" * 20_000,
}


@pytest.mark.parametrize("bad", list(BAD))
def test_bad_tokens_are_strangers(http: httpx.Client, bad: str) -> None:
    """401 with a challenge; of its holder's troubles only the expiry is told, and never why a forgery failed."""
    answer = ask(http, BAD[bad]())
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "not_authenticated"
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    expected = (
        "expired" if bad == "expired" else "The token's sub" if "subject" in bad else "This token is not one"
    )
    if bad != "without a subject":
        assert answer.json()["detail"].startswith(expected) or expected in answer.json()["detail"]


@pytest.mark.parametrize("scope", [None, "", "read", "safelight/reader", 7, {"safelight/read": 1}, ["read"]])
def test_scopes_that_are_none(http: httpx.Client, scope: object) -> None:
    """A token without our scopes may nothing: 403, whatever stands in the claim."""
    answer = ask(http, token(scope=scope))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_what_is_open_needs_no_token(http: httpx.Client) -> None:
    """Health and the description are for everybody; the description names the scheme."""
    assert http.get("/health").status_code == 200
    assert http.get("/openapi.json").json()["components"]["securitySchemes"]["token"]["bearerFormat"] == "JWT"


def test_the_issuer_changes_its_keys(http: httpx.Client, jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of a key that we have not seen makes us look again, but not more often than every ten seconds: strangers
    can make such tokens, too."""
    now = time.monotonic()
    monkeypatch.setattr("safelight.entrypoints.api.tokens.time.monotonic", lambda: now)
    assert ask(http, token()).status_code == 200
    jwks.write_text(json.dumps({"keys": [jwk(STRANGER, "new")]}))
    assert ask(http, token(STRANGER, kid="new")).status_code == 401
    now += 11
    assert ask(http, token(STRANGER, kid="new")).status_code == 200
    assert ask(http, token()).status_code == 401


def test_an_issuer_that_is_away(http: httpx.Client, jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys hold on; if there never were any the answer is 503, and nobody gets in."""
    now = time.monotonic()
    monkeypatch.setattr("safelight.entrypoints.api.tokens.time.monotonic", lambda: now)
    keys = jwks.read_text()
    for broken in ("", "[]", "{}", '{"keys": 1}', "not JSON"):
        jwks.write_text(broken)
        answer = ask(http, token())
        assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable"), broken
        now += 11
    jwks.write_text(keys)
    assert ask(http, token()).status_code == 200
    jwks.unlink()
    now += 301
    assert ask(http, token()).status_code == 200


def test_behind_api_gateway(pipeline: Pipeline) -> None:
    """On AWS the gateway has checked the token; without its claims nobody gets in, whatever the request brings."""
    on_aws = Pipeline(auth="jwt", backend="aws", jwt_scope_prefix="safelight/")
    claims: dict[str, Any] = {}

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        scope["aws.event"] = {"requestContext": {"authorizer": {"jwt": {"claims": claims}}} if claims else {}}
        await app(scope, receive, send)

    app = create_app(on_aws.service)
    with TestClient(gateway) as http:
        assert ask(http, token()).status_code == 401
        claims |= {"sub": "anna", "scope": "safelight/read"}
        assert ask(http, token()).status_code == 200
        assert ask(http, token(), "POST").status_code == 403
        claims["scope"] = "[safelight/upload safelight/read]"
        assert ask(http, token(), "POST").status_code == 200
