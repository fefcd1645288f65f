"""The API's description is true: requests made from it are answered as it says."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from tests.unit.pipeline import ME, Pipeline

from safelight.callers import Scope
from safelight.entrypoints.api import create_app
from safelight.entrypoints.api.openapi import OPERATIONS, document
from safelight.keys import Keys
from safelight.uploads import UploadRequest

PIPELINE = Pipeline(auth="apikey")
APP = create_app(PIPELINE.service, streaming=False)
_, KEY = Keys(PIPELINE.ports.records, PIPELINE.clock).create(name=ME, scopes=tuple(Scope))
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            # A request of the right form may still name what is not there, or ask for what can not be done.
            "positive_data_acceptance": {"expected-statuses": ["2xx", 304, 404, 409, 410, 413, 422]},
            # What is wrong in two ways is refused for the first that is found: a size over the limit may come first.
            "negative_data_rejection": {"expected-statuses": ["4xx"]},
        },
        # A cursor is opaque: no schema tells one of ours from another. And a field that nobody knows is passed over by
        # POST /uploads, but one that looks like a slip of a known field is refused.
        "operations": [
            *(
                {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}}
                for name in (
                    "GET /jobs",
                    "GET /batches/{batchId}",
                    "GET /ops/dead-letters",
                    "GET /webhooks/{webhookId}/deliveries",
                    "POST /uploads",
                )
            ),
            # Every corner of a recipe, thousands of them, is looked into by POST /uploads: these take the same one.
            *(
                {"include-name": name, "phases": {"coverage": {"enabled": False}}}
                for name in ("POST /batches", "POST /jobs", "PUT /recipes/{name}")
            ),
            # So does this one; and in its form all is text: a file of "null" where null was meant is a file.
            {
                "include-name": "POST /preview",
                "phases": {"coverage": {"enabled": False}},
                "checks": {"negative_data_rejection": {"expected-statuses": ["2xx", "4xx"]}},
            },
        ],
    }
)
# Of a fixture: examples are made when the test runs, and not by every process that collects tests.
SCHEMA = schemathesis.pytest.from_fixture("described")


@pytest.fixture
def described(known_to_schemathesis: None) -> Any:
    """What the API says of itself."""
    return schemathesis.openapi.from_asgi("/openapi.json", APP, config=CONFIG)


def jobs() -> Iterator[str]:
    """Jobs in one state after the other, and every sixth one not there any more."""
    while True:
        for number in range(6):
            made = PIPELINE.request()
            if number in (1, 2, 3):
                PIPELINE.send(made, b"" if number == 1 else b"picture")
            if number in (1, 2):
                PIPELINE.work()
            if number == 4:
                PIPELINE.service.cancel(ME, made.id)
            if number == 5:
                PIPELINE.service.delete(ME, made.id)
            yield made.id


JOBS = jobs()


@pytest.mark.timeout(300)
@SCHEMA.parametrize()
@settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_requests_made_from_the_description(case: Any) -> None:
    """Status, headers, media type and body of every answer are described; wrong requests are refused."""
    if "batchId" in case.path_parameters and case.meta.generation.mode.is_positive:
        case.path_parameters["batchId"] = PIPELINE.service.request_batch(ME, [UploadRequest()] * 3).id
    if "/uploads/" in case.path and case.meta.generation.mode.is_positive:
        case.path_parameters["jobId"] = PIPELINE.request(size=20_000_000, multipart=True).id
    elif "jobId" in case.path_parameters and case.meta.generation.mode.is_positive:
        case.path_parameters["jobId"] = next(JOBS)  # a made-up id never is that of a job
    # One check takes the key away again, and expects 401.
    case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"})


def test_every_route_is_described() -> None:
    """No operation is missing, and none is described that there is not."""
    described = [operation for path in document(APP)["paths"].values() for operation in path.values()]
    assert len(described) == len(OPERATIONS)
    assert len({operation["operationId"] for operation in described}) == len(OPERATIONS)
    assert all(operation["summary"] and operation["description"] for operation in described)


def test_every_error_is_described_with_an_example() -> None:
    """Each refusal says what it means, and shows one problem for each code."""
    for path in document(APP)["paths"].values():
        for operation in path.values():
            problems = {
                status: answer["content"]["application/problem+json"]
                for status, answer in operation["responses"].items()
                if "application/problem+json" in answer.get("content", {})
            }
            assert "500" in problems
            for status, problem in problems.items():
                assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert problem["examples"]
                for code, example in problem["examples"].items():
                    assert (example["value"]["code"], str(example["value"]["status"])) == (code, status)


def test_the_document_says_what_it_is() -> None:
    """OpenAPI 3.1, with every reference leading somewhere."""
    text = json.dumps(document(APP))
    assert '"openapi": "3.1.0"' in text
    components = document(APP)["components"]
    for kind, name in re.findall(r"#/components/(\w+)/([\w-]+)", text):
        assert name in components[kind]
