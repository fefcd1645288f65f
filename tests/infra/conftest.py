"""The stack on the emulator, deployed once for the session. Tests marked `long` run with `make infra` only."""

import os
from collections.abc import Iterator

import pytest
from tests.support import servers
from tests.support.stack import Emulated, Stack, deployed

LONG = os.environ.get("SAFELIGHT_TEST_INFRA") == "all"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes; `make infra` runs it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "long" in item.keywords and not LONG:
            item.add_marker(pytest.mark.skip(reason="takes minutes; `make infra` runs it"))


def _emulator() -> Iterator[Emulated]:
    try:
        with servers.emulator() as endpoint:
            yield Emulated(endpoint)
    except servers.Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def account() -> Iterator[Emulated]:
    """An account with the session's stack in it."""
    yield from _emulator()


@pytest.fixture
def empty_account() -> Iterator[Emulated]:
    """An account with nothing in it."""
    yield from _emulator()


@pytest.fixture(scope="session")
def deployed_stack(account: Emulated) -> Iterator[Stack]:
    """The real stack, with the first contract's names."""
    with deployed(account) as stack:
        yield stack
