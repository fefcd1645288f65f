"""A stack that asks for tokens of Amazon Cognito: what docs/how-to/cognito.md sets up."""

from typing import Any

import httpx
import pytest
from tests.journeys.serving import client, image, submit, wait
from tests.support import servers
from tests.support.stack import Emulated, deployed

SCOPES = ("upload", "read")


def make_pool(cognito: Any) -> str:
    """A user pool with our scopes; its id."""
    pool: str = cognito.create_user_pool(PoolName="shop")["UserPool"]["Id"]
    cognito.create_resource_server(
        UserPoolId=pool,
        Identifier="safelight",
        Name="Safelight",
        Scopes=[{"ScopeName": scope, "ScopeDescription": scope} for scope in SCOPES],
    )
    return pool


def make_client(cognito: Any, pool: str, *scopes: str) -> tuple[str, str]:
    """An app client that may ask for these scopes: its id and its secret."""
    made = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="app",
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=[f"safelight/{scope}" for scope in scopes],
    )["UserPoolClient"]
    return made["ClientId"], made["ClientSecret"]


def token(account: Emulated, credentials: tuple[str, str]) -> str:
    """An access token, asked for as programs do."""
    answer = httpx.post(
        f"{account.endpoint}/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials
    )
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["access_token"]
    return text


def forged(text: str) -> str:
    """The token with another signature."""
    head, body, signature = text.split(".")
    return f"{head}.{body}.{signature[:10]}{'A' if signature[10] != 'A' else 'B'}{signature[11:]}"


@pytest.mark.timeout(300)
def test_a_stack_with_tokens(account: Emulated) -> None:
    """A token of the pool and of a client that is named opens it for its scopes, and a job goes its whole way; no token,
    a forged one, one for somebody else, and a key do not. What is open stays open."""
    cognito = account.client("cognito-idp")
    pool = make_pool(cognito)
    writer, reader, other = (make_client(cognito, pool, *scopes) for scopes in (SCOPES, ("read",), SCOPES))
    given = {
        "AuthMode": "jwt",
        "JwtIssuer": f"https://cognito-idp.{servers.REGION}.amazonaws.com/{pool}",
        "JwtAudience": f"{writer[0]},{reader[0]}",
        "JwtScopePrefix": "safelight/",
    }
    with deployed(account, "tokens", AppName="tokens", **given) as stack, client(stack.api) as http:
        for path in ("/", "/health", "/openapi.json"):
            assert http.get(path).status_code == 200, path
        good = token(account, writer)
        for wrong in ("", "Bearer", "Bearer x.y.z", forged(good), token(account, other), "sl_12345678_" + "a" * 43):
            bearer = wrong if wrong[:6] in ("", "Bearer") else f"Bearer {wrong}"
            assert http.get("/jobs", headers={"Authorization": bearer} if bearer else {}).status_code == 401
        http.headers["Authorization"] = f"Bearer {token(account, reader)}"
        assert http.get("/jobs").json()["items"] == []
        refused = http.post("/uploads", json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
        http.headers["Authorization"] = f"Bearer {good}"
        job_id = submit(http, image())
        assert wait(http, job_id, within=60)["status"] == "COMPLETED"
        http.headers["Authorization"] = f"Bearer {token(account, reader)}"
        assert http.get(f"/jobs/{job_id}").status_code == 404
