"""What the tests of faults share. SAFELIGHT_TEST_FAULTS=all asks for every case and the full counts; without it, the
tests take the cases that differ most, so that they fit into every run of the suite."""

import os
from collections.abc import Iterator

import pytest
from tests.faults.lab import Lab
from tests.faults.mutants import EXPECTED

import safelight

ALL = os.environ.get("SAFELIGHT_TEST_FAULTS") == "all"


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Whether to do everything."""
    return ALL


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Where processes are killed and stopped at fault points."""
    with Lab() as lab:
        yield lab


def pytest_configure() -> None:
    """Tests that were to run on a mutant must not pass because they ran on something else."""
    expected = os.environ.get(EXPECTED)
    assert expected is None or safelight.__file__.startswith(expected), safelight.__file__
