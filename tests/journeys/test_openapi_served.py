"""The description that a running Safelight serves is true of it: HTTP, the server, SQLite and the disk included."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from tests.journeys.serving import Server, client, image, submit, wait
from tests.unit.pipeline import Pipeline

from safelight.entrypoints.api import create_app
from safelight.entrypoints.api.openapi import document

pytestmark = pytest.mark.embedded

CONFIG = schemathesis.Config.from_dict(
    {
        # Every corner of every parameter is tried by test_openapi, in process: to make those up takes a minute.
        "phases": {"coverage": {"enabled": False}},
        "checks": {
            # A request of the right form may still name what is not there, or ask for what can not be done.
            "positive_data_acceptance": {"expected-statuses": ["2xx", 304, 404, 409, 410, 413, 415, 422]},
            # What is wrong in two ways is refused for the first that is found.
            "negative_data_rejection": {"expected-statuses": ["4xx"]},
        },
        # A cursor is opaque: see test_openapi.
        "operations": [
            {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}}
            for name in ("GET /jobs", "GET /batches/{batchId}", "GET /ops/dead-letters")
        ],
    }
)


APP = create_app(Pipeline(webhooks="off").service)
# To make up recipes takes a quarter of a minute for each call that holds one; test_openapi does.
HOLD_RECIPES = (("POST", "/uploads"), ("POST", "/batches"), ("POST", "/jobs"), ("PUT", "/recipes/{name}"))
SCHEMA = schemathesis.pytest.from_fixture("described").exclude(
    lambda context: (context.operation.method.upper(), context.operation.path) in HOLD_RECIPES
)


@pytest.fixture
def described(known_to_schemathesis: None) -> Any:
    """What the API says of itself."""
    return schemathesis.openapi.from_dict(document(APP), config=CONFIG)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Safelight that sends nothing to any host."""
    data = tmp_path_factory.mktemp("described") / "data"
    with Server(data, "--workers", "1", webhooks="off") as server, client(server.url) as http:
        wait(http, submit(http, image()))
        submit(http, b"no picture")
        yield server.url


def test_it_serves_this_description(url: str) -> None:
    """The very one that the requests are made from."""
    with client(url) as http:
        assert http.get("/openapi.json").json() == json.loads(json.dumps(document(APP)))


@pytest.mark.timeout(300)
@SCHEMA.parametrize()
@settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_requests_made_from_the_description(case: Any, url: str) -> None:
    """Status, headers, media type and body of every answer are described; wrong requests are refused."""
    case.call_and_validate(base_url=url, timeout=20)
