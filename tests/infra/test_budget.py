"""What a cold start costs, against boto3 with the clients that a function uses, measured in the same run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import cold_start

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def unpacked() -> Iterator[Path]:
    """The functions' code."""
    with cold_start.unpacked() as folder:
        yield folder


@pytest.mark.parametrize("function", list(cold_start.GOALS))
def test_a_cold_start_costs_little_more_than_its_clients(unpacked: Path, function: str) -> None:
    """The function with its clients, log and metrics, against boto3 with the same clients."""
    ratio = cold_start.cost(function, unpacked).ratio
    assert ratio <= cold_start.GOALS[function], f"{function} takes {ratio:.2f} times its clients"
