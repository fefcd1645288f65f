"""What every test shares: the way hypothesis works, that Ctrl-C reaches what is started, the stack on the emulator,
which tests run in one process, and that those marked `long` run with `make infra` only."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from tests.support import servers
from tests.support.stack import Emulated, Stack, deployed
from xdist.scheduler import LoadFileScheduling

# A deadline for one example fails on a busy machine and says nothing about the code; pytest's timeout stays.
# Where CI is set, hypothesis loads its own profile: no deadline, and the same examples every time.
settings.register_profile("default", deadline=None)

# A shell that starts the tests in the background has them ignore Ctrl-C, and with them every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


LONG = os.environ.get("SAFELIGHT_TEST_INFRA") == "all"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes; `make infra` runs it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "long" in item.keywords and not LONG:
            item.add_marker(pytest.mark.skip(reason="takes minutes; `make infra` runs it"))


class OneStack(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    """Gives each process, of those that test side by side, whole groups of tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """A file, so that it starts its servers once; and all that needs the deployed stack together, which takes half a
    minute to come and go."""
    file, _, test = nodeid.partition("::")
    if file.startswith("tests/infra/") or (file.startswith("tests/browser/") and test.endswith("[aws]")):
        return "the stack"
    return file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneStack:
    """Who distributes the tests."""
    return OneStack(config, log)


@pytest.fixture(scope="session")
def account() -> Iterator[Emulated]:
    """An account with the session's stack in it."""
    yield from _emulator()


@pytest.fixture
def empty_account() -> Iterator[Emulated]:
    """An account with nothing in it."""
    yield from _emulator()


def _emulator() -> Iterator[Emulated]:
    try:
        with servers.emulator() as endpoint:
            yield Emulated(endpoint)
    except servers.Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def deployed_stack(account: Emulated) -> Iterator[Stack]:
    """The real stack, with the first contract's names."""
    with deployed(account) as stack:
        yield stack
