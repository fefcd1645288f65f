"""Who may call the API, and for what."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from tests.unit.pipeline import Pipeline

from safelight.callers import Scope
from safelight.entrypoints.api import create_app
from safelight.entrypoints.api.openapi import document
from safelight.errors import StorageUnavailable
from safelight.keys import Keys

NOBODY = "00000000-0000-4000-8000-000000000000"


class Guarded:
    """An API that asks for keys."""

    def __init__(self, **settings: Any) -> None:
        self.pipeline = Pipeline(auth="apikey", **settings)
        self.keys = Keys(self.pipeline.ports.records, self.pipeline.clock)
        self.app = create_app(self.pipeline.service, streaming=False)
        self.http = TestClient(self.app, base_url="http://api.example", raise_server_exceptions=False)

    def key(self, owner: str = "shop", *scopes: Scope) -> dict[str, str]:
        """The header of a new key."""
        _, text = self.keys.create(name=owner, scopes=scopes or (Scope.UPLOAD, Scope.READ))
        return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def api() -> Iterator[Guarded]:
    guarded = Guarded()
    with guarded.http:
        yield guarded


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    return body


def every_operation(api: Guarded) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document(api.app, "apikey")["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path.replace("{jobId}", NOBODY).replace("{name}", "default"), operation


def test_every_route_but_three_needs_a_key(api: Guarded) -> None:
    """Without a key, and with a wrong one, the answer is 401 and a challenge; what is open is health, the description
    and the sign at the door. The description says the same."""
    open_ = set()
    for method, path, operation in every_operation(api):
        answer = api.http.request(method, path)
        if "security" not in operation:
            open_.add(path)
            assert answer.status_code == 200
            continue
        problem(answer, 401, "not_authenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="safelight"'
        wrong = api.http.request(method, path, headers={"Authorization": "Bearer sl_00000000_" + "a" * 43})
        problem(wrong, 401, "not_authenticated")
        assert wrong.headers["www-authenticate"] == 'Bearer realm="safelight", error="invalid_token"'
    assert open_ == {"/", "/health", "/openapi.json"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic c2w6eA=="},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": "sl_0_0"},
        {"X-Api-Key": "nonsense"},
        {"X-Api-Key": "\u00e9"},
        {"Cookie": "key=1"},
    ],
    ids=str,
)
def test_what_is_no_key_is_refused(api: Guarded, headers: dict[str, str]) -> None:
    """Another scheme, an empty one, nonsense: 401, never a fault."""
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    problem(api.http.get("/jobs", headers=encoded), 401, "not_authenticated")  # type: ignore[arg-type]


def test_a_key_opens_the_door(api: Guarded) -> None:
    """As a bearer, whatever its case, or as X-Api-Key."""
    bearer = api.key()
    text = bearer["Authorization"].removeprefix("Bearer ")
    for headers in (bearer, {"X-Api-Key": text}, {"Authorization": f"bearer {text}"}):
        assert api.http.get("/jobs", headers=headers).status_code == 200


def test_a_revoked_key_is_refused_at_once(api: Guarded) -> None:
    """The next request that brings it is a stranger's."""
    key = api.key()
    assert api.http.get("/jobs", headers=key).status_code == 200
    [kept] = api.keys.all()
    api.keys.revoke(kept.prefix)
    problem(api.http.get("/jobs", headers=key), 401, "not_authenticated")


def test_scopes(api: Guarded) -> None:
    """A call needs the scope that its description names, and `admin` does for every one. A key without is 403, and told
    which scope it needs."""
    for scope in Scope:
        key = api.key("shop", scope)
        for method, path, operation in every_operation(api):
            if "security" not in operation:
                continue
            answer = api.http.request(method, path, headers=key)
            needed = operation["security"][0]["bearerKey"][0]
            if scope in (needed, Scope.ADMIN):
                assert answer.status_code not in (401, 403), (scope, method, path)
                continue
            problem(answer, 403, "scope_missing")
            assert answer.headers["www-authenticate"].endswith(
                f'error="insufficient_scope", scope="{needed}"'
            )


def test_another_owner_s_job_is_not_there(api: Guarded) -> None:
    """In every call it is the same 404 as for a job that never was."""
    mine, yours = api.key("mine"), api.key("yours")
    job_id = api.http.post("/uploads", headers=mine).json()["jobId"]
    for method, path in [
        ("GET", ""),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
        ("GET", "/events"),
    ]:
        foreign = problem(
            api.http.request(method, f"/jobs/{job_id}{path}", headers=yours), 404, "job_not_found"
        )
        never = problem(
            api.http.request(method, f"/jobs/{NOBODY}{path}", headers=yours), 404, "job_not_found"
        )
        assert foreign | {"requestId": ""} == never | {"requestId": ""}
    problem(api.http.post("/jobs", json={"from": job_id}, headers=yours), 404, "job_not_found")
    assert api.http.get("/jobs", headers=yours).json()["items"] == []
    assert api.http.get(f"/jobs/{job_id}", headers=mine).status_code == 200


def test_only_admin_sees_the_jobs_of_all_owners(api: Guarded) -> None:
    """Job by job, and as the list of an owner; what an admin renders again stays the owner's."""
    shop, admin = api.key("shop"), api.key("operator", Scope.ADMIN)
    job = api.pipeline.completed(owner="shop")
    assert api.http.get(f"/jobs/{job.id}", headers=admin).json()["status"] == "COMPLETED"
    listed = api.http.get("/jobs", params={"owner": "shop"}, headers=admin).json()["items"]
    assert [each["jobId"] for each in listed] == [job.id]
    assert api.http.get("/jobs", headers=admin).json()["items"] == []
    problem(api.http.get("/jobs", params={"owner": "operator"}, headers=shop), 403, "scope_missing")
    assert api.http.get("/jobs", params={"owner": "shop"}, headers=shop).status_code == 200
    again = {**admin, "Idempotency-Key": "1"}
    made = [api.http.post("/jobs", json={"from": job.id}, headers=again).json()["jobId"] for _ in range(2)]
    assert made[0] == made[1]
    assert api.pipeline.ports.jobs.get(made[0]).owner == "shop"
    assert api.http.delete(f"/jobs/{job.id}", headers=admin).status_code == 204
    problem(api.http.get(f"/jobs/{job.id}", headers=shop), 404, "job_not_found")


def test_idempotency_keys_are_each_caller_s_own(api: Guarded) -> None:
    """The same Idempotency-Key of two owners is two requests; of two keys of one owner it is one."""
    first, second, other = api.key("mine"), api.key("mine"), api.key("yours")
    made = [
        api.http.post("/uploads", headers={**key, "Idempotency-Key": "1"}).json()["jobId"]
        for key in (first, second, other)
    ]
    assert made[0] == made[1] != made[2]


def test_a_preflight_needs_no_key(api: Guarded) -> None:
    """A browser asks without one, and learns that it may send one; cookies are never asked for."""
    question = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    answer = api.http.options("/jobs", headers=question)
    assert answer.status_code == 204
    assert {"Authorization", "X-Api-Key"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers


def test_what_is_not_there_is_no_secret(api: Guarded) -> None:
    """An address without a route, or a wrong method, is answered without a key."""
    problem(api.http.get("/nothing"), 404, "not_found")
    problem(api.http.put("/jobs"), 405, "method_not_allowed")


def test_a_store_that_is_away_lets_nobody_in(api: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """If keys can not be looked up the answer is 503, not an open door."""
    key = api.key()

    def away(*_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(api.pipeline.ports.records, "get", away)
    problem(api.http.get("/jobs", headers=key), 503, "storage_unavailable")


def test_a_caller_is_limited_and_told_how_it_stands() -> None:
    """Every answer says what is left; one request too many is 429 with Retry-After, for this caller only."""
    api = Guarded(requests_per_minute=2)
    mine, yours = api.key("mine"), api.key("yours")
    with api.http:
        first = api.http.get("/jobs", headers=mine)
        assert first.headers["ratelimit-policy"] == '"requests";q=2;w=60'
        assert first.headers["ratelimit"] == '"requests";r=1;t=40'  # the clock stands 20 s into a minute
        missing = api.http.get(f"/jobs/{NOBODY}", headers=mine)
        assert missing.headers["ratelimit"] == '"requests";r=0;t=40'
        answer = api.http.get("/jobs", headers=mine)
        problem(answer, 429, "too_many_requests")
        assert (answer.headers["retry-after"], answer.headers["ratelimit"]) == ("40", '"requests";r=0;t=40')
        assert api.http.get("/jobs", headers=yours).status_code == 200
        assert api.http.get("/health").status_code == 200
        assert "ratelimit" not in api.http.get("/health").headers
        api.pipeline.clock.advance(40)
        assert api.http.get("/jobs", headers=mine).status_code == 200


def test_requests_are_limited_without_keys_too() -> None:
    """With `none` there is one caller, and the limit is its."""
    pipeline = Pipeline(requests_per_minute=1)
    with TestClient(create_app(pipeline.service)) as http:
        assert [http.get("/jobs").status_code for _ in range(2)] == [200, 429]


def test_quotas_are_told() -> None:
    """A used-up quota is 429, names the quota and says when to come back."""
    pipeline = Pipeline(max_open_jobs=1, max_bytes_per_day=10)
    with TestClient(create_app(pipeline.service)) as http:
        assert http.post("/uploads", json={"size": 7}).status_code == 200
        answer = http.post("/uploads", json={"size": 3})
        problem(answer, 429, "quota_used_up")
        assert (answer.headers["ratelimit"], answer.headers["retry-after"]) == ('"open-jobs";r=0;t=5', "5")
        answer = http.post("/uploads", json={"size": 4})
        problem(answer, 429, "quota_used_up")
        assert answer.headers["ratelimit-policy"] == '"bytes";q=10;w=86400'
        assert int(answer.headers["retry-after"]) <= 86400


def test_a_refusal_shows_nothing_of_the_key(api: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the answer nor the log repeats what was sent."""
    with caplog.at_level("DEBUG"):
        answer = api.http.get("/jobs", headers={"Authorization": "Bearer sl_12345678_" + "Q" * 43})
    assert "QQQ" not in answer.text + str(answer.headers) + caplog.text
