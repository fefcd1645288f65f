"""The journeys' Safelight: one real server for all of them, or whatever SAFELIGHT_TEST_API names.

Tests marked `embedded` look at what only a server of their own can show: its processes, its settings, its folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis.internal.constants_ast import Constants
from tests.journeys.serving import Server, client

ELSEWHERE = os.environ.get("SAFELIGHT_TEST_API")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "embedded: needs a server of this machine that the test starts itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ELSEWHERE:
        for item in items:
            if "embedded" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="SAFELIGHT_TEST_API names a Safelight elsewhere"))


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running Safelight."""
    if ELSEWHERE:
        yield ELSEWHERE.rstrip("/")
        return
    with Server(tmp_path_factory.mktemp("shared") / "data", "--workers", "2") as server:
        yield server.url


@pytest.fixture
def http(api: str) -> Iterator[httpx.Client]:
    """A plain HTTP client of the running Safelight."""
    with client(api) as http:
        yield http


@pytest.fixture
def same_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same examples in every run: hypothesis 6.170 takes some from the constants of whatever modules this process
    happens to have loaded, which with tests side by side is another lot each time."""
    monkeypatch.setattr("hypothesis.internal.conjecture.providers._get_local_constants", Constants)


@pytest.fixture
def known_to_schemathesis(request: pytest.FixtureRequest, same_examples: None) -> None:
    """The test under the name that schemathesis 4.32 looks for, and pytest 9.2 has renamed."""
    request.node._nodeid = request.node.nodeid


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG file."""
    from tests.journeys.serving import image

    path = tmp_path / "beach.jpg"
    path.write_bytes(image())
    return path
