"""GET /ops and the dead letters, on in-memory ports: figures, and who may see them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from tests.unit.entrypoints.test_api import assert_problem
from tests.unit.pipeline import Pipeline

from safelight.callers import Scope
from safelight.entrypoints.api import create_app
from safelight.errors import Unprocessable
from safelight.keys import Keys
from safelight.model import Claim, Job

HERE = "http://127.0.0.1:8000"


def here(pipeline: Pipeline, host: str = "127.0.0.1") -> Iterator[httpx.Client]:
    """A client at this address."""
    app = create_app(pipeline.service)

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = (host, 1)
        await app(scope, receive, send)

    with TestClient(seen, base_url=HERE) as it:
        yield it


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def api(pipeline: Pipeline) -> Iterator[httpx.Client]:
    yield from here(pipeline)


def died(pipeline: Pipeline) -> Job:
    """A job whose message was handed out too often."""
    job = pipeline.send(pipeline.request())
    while delivery := pipeline.receive():
        pipeline.ports.inbox.retry(delivery, 0)
    return job


def test_the_figures(api: httpx.Client, pipeline: Pipeline) -> None:
    """One of each: a job that waits, one in work, one done, one failed, one canceled, one dead letter."""
    dead = died(pipeline)
    pipeline.failing(Unprocessable())
    failed = pipeline.send(pipeline.request())
    pipeline.work()
    pipeline.completed()
    pipeline.service.cancel("local", pipeline.request().id)
    waiting = pipeline.send(pipeline.request())
    now = pipeline.clock()
    pipeline.claim(dead, Claim(token="t", worker="worker-1", until=now + 40))
    pipeline.clock.advance(12)
    body = api.get("/ops").json()
    assert body["queue"] == {"depth": 1, "oldestAgeSeconds": 12.0}
    [worker] = body["workers"]
    assert (worker["name"], worker["jobId"]) == ("worker-1", dead.id)
    assert body["jobs"] == {
        "PENDING": 1,
        "PROCESSING": 1,
        "COMPLETED": 1,
        "FAILED": 1,
        "EXPIRED": 0,
        "CANCELED": 1,
    }
    assert body["deadLetters"] == {"count": 1}
    [failure] = body["failures"]["recent"]
    assert (failure["jobId"], failure["code"]) == (failed.id, "unprocessable")
    [minute] = body["throughput"]
    assert (minute["completed"], minute["failed"]) == (1, 1)
    assert waiting.state == "PENDING"


def test_dead_letters_are_shown_and_redriven(api: httpx.Client, pipeline: Pipeline) -> None:
    """In pages, with what became of their jobs; some or all are sent again, and the second time there is nothing."""
    jobs = sorted(died(pipeline).id for _ in range(3))
    first = api.get("/ops/dead-letters", params={"limit": 2}).json()
    rest = api.get("/ops/dead-letters", params={"limit": 2, "cursor": first["nextCursor"]}).json()
    items = [*first["items"], *rest["items"]]
    assert ([one["jobId"] for one in items], rest["nextCursor"]) == (jobs, None)
    assert {(one["status"], one["owner"], one["received"]) for one in items} == {("PENDING", "local", 5)}

    def redriven(**said: object) -> object:
        answer = api.post("/ops/dead-letters/redrive", json=said)
        assert answer.status_code == 200, answer.text
        return answer.json()["redriven"]

    assert redriven(jobIds=[jobs[0], "nobody"]) == {jobs[0]: "sent"}
    assert redriven(all=True) == {jobs[1]: "sent", jobs[2]: "sent"}
    assert redriven(all=True) == {}
    assert api.get("/ops/dead-letters").json() == {"items": [], "nextCursor": None}
    assert pipeline.work() == 3


@pytest.mark.parametrize("said", [{}, {"jobIds": ["x"], "all": True}, {"jobIds": None, "all": False}])
def test_redriving_is_for_some_or_for_all(api: httpx.Client, said: dict[str, object]) -> None:
    """Never by accident for all, and never for both."""
    assert_problem(api.post("/ops/dead-letters/redrive", json=said), 422, "conflicting_fields")


CALLS = [("GET", "/ops"), ("GET", "/ops/dead-letters"), ("POST", "/ops/dead-letters/redrive")]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_keys_the_machine_itself_may(method: str, path: str, host: str) -> None:
    """Whoever sits there is the operator."""
    for http in here(Pipeline(), host):
        answer = http.request(method, path, json={"all": True} if method == "POST" else None)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.2", "testclient", "2001:db8::1", "1.127.0.1"])
def test_without_keys_nobody_else_may(method: str, path: str, host: str) -> None:
    """Another machine's caller is told how to open it."""
    for http in here(Pipeline(), host):
        assert_problem(http.request(method, path), 403, "scope_missing")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_is_not_the_machine_itself(api: httpx.Client, header: str) -> None:
    """What it passes on comes from anywhere."""
    assert_problem(api.get("/ops", headers={header: "127.0.0.1"}), 403, "scope_missing")


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.1.2.3:80", "[::1]:8000"])
def test_the_machine_may_go_by_any_of_its_own_names(method: str, path: str, name: str) -> None:
    """With or without a port, and from a page of its own."""
    for http in here(Pipeline()):
        headers = {"Host": name, "Origin": f"http://{name.lower()}"}
        body = {"all": True} if method == "POST" else None
        assert http.request(method, path, headers=headers, json=body).status_code == 200


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "name", ["evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::1", ""]
)
def test_a_strangers_name_for_this_machine_opens_nothing(method: str, path: str, name: str) -> None:
    """A page whose host's name was made to point here asks under that name."""
    for http in here(Pipeline()):
        assert_problem(http.request(method, path, headers={"Host": name}), 403, "scope_missing")


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9000", "http://127.0.0.1:8000.evil.example"]
)
def test_a_page_from_elsewhere_opens_nothing(method: str, path: str, origin: str) -> None:
    """Though the operator's own browser sends its requests."""
    for http in here(Pipeline()):
        assert_problem(http.request(method, path, headers={"Origin": origin}), 403, "scope_missing")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_counting_requests_closes_nothing(method: str, path: str) -> None:
    """Without keys, a limit of requests leaves the operator's calls open on this machine, and closed elsewhere."""
    for host, status in (("127.0.0.1", 200), ("10.0.0.1", 403)):
        for http in here(Pipeline(requests_per_minute=100), host):
            answer = http.request(method, path, json={"all": True} if method == "POST" else None)
            assert answer.status_code == status, answer.text


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_with_keys_the_scope_counts(method: str, path: str) -> None:
    """From this machine or from elsewhere: admin may, nobody else."""
    pipeline = Pipeline(auth="apikey")
    keys = Keys(pipeline.ports.records, pipeline.clock)
    _, user = keys.create(name="user")
    _, admin = keys.create(name="admin", scopes=(Scope.ADMIN,))
    for host in ("127.0.0.1", "10.0.0.1"):
        for http in here(pipeline, host):
            assert_problem(http.request(method, path), 401, "not_authenticated")
            assert_problem(http.request(method, path, headers={"X-Api-Key": user}), 403, "scope_missing")
            answer = http.request(
                method, path, headers={"X-Api-Key": admin}, json={"all": True} if method == "POST" else None
            )
            assert answer.status_code == 200, answer.text
