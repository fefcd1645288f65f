"""What every test shares: the way hypothesis works, that Ctrl-C reaches what is started, the stack on the emulator, and
which tests run in one process."""

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


class OneStack(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    """Side by side, a process takes whole files, so that a file starts its servers once; and one process takes all that
    needs the deployed stack, which takes half a minute to come and go."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if file.startswith("tests/infra/") or (file.startswith("tests/browser/") and test.endswith("[aws]")):
            return "the stack"
        return file


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
