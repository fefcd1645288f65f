"""Webhooks through the API, on in-memory ports: what a repeated request is answered."""

from collections.abc import Iterator

import httpx
import pytest
from tests.unit.entrypoints.test_api import assert_problem, client
from tests.unit.pipeline import Pipeline

KEY = {"Idempotency-Key": "one"}
WANTED = {"url": "https://93.184.216.34/hook"}


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def api(pipeline: Pipeline) -> Iterator[httpx.Client]:
    yield from client(pipeline)


def test_a_repeated_request_makes_one_webhook(api: httpx.Client) -> None:
    """Under its key it is answered with the first one, and says so."""
    made = api.post("/webhooks", json=WANTED, headers=KEY)
    again = api.post("/webhooks", json=WANTED, headers=KEY)
    assert (made.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["idempotent-replayed"]) == (made.json(), "true")
    assert "idempotent-replayed" not in made.headers
    assert len(api.get("/webhooks").json()["items"]) == 1


def test_the_key_of_a_webhook_that_was_erased_is_used(api: httpx.Client) -> None:
    """It makes no second one, and the answer says that another key would."""
    made = api.post("/webhooks", json=WANTED, headers=KEY).json()
    assert api.delete(f"/webhooks/{made['id']}").status_code == 204
    problem = assert_problem(api.post("/webhooks", json=WANTED, headers=KEY), 422, "idempotency_key_reused")
    assert "erased meanwhile" in problem["detail"]
    assert api.get("/webhooks").json()["items"] == []
