"""Tests marked `long` run with `make infra` only."""

import os

import pytest

LONG = os.environ.get("SAFELIGHT_TEST_INFRA") == "all"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes; `make infra` runs it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "long" in item.keywords and not LONG:
            item.add_marker(pytest.mark.skip(reason="takes minutes; `make infra` runs it"))

