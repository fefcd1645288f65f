"""A renderer uses a second core when it has had a rest, and leaves it to others when it has not."""

from contextlib import suppress

import pytest

from safelight.imaging import pace
from safelight.imaging.pace import Pace


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with two cores, whatever this one has."""
    monkeypatch.setattr(pace, "cores", lambda: 2)


class Clock:
    """Time that goes on when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def drawn(renderer: Pace, clock: Clock, seconds: float) -> int:
    """How many threads a drawing got that takes so long."""
    with renderer.drawing() as threads:
        clock.now += seconds
    return threads


def test_a_backlog_is_drawn_by_one_thread_each() -> None:
    """The first one, and each that comes after a rest as long as the last drawing took, by two."""
    clock = Clock()
    renderer = Pace(2, clock)
    assert drawn(renderer, clock, 0.25) == 2
    clock.now += 0.125
    assert drawn(renderer, clock, 0.25) == 1
    assert drawn(renderer, clock, 0.25) == 1
    clock.now += 0.25
    assert drawn(renderer, clock, 0.5) == 2
    clock.now += 0.25
    assert drawn(renderer, clock, 0.5) == 1


@pytest.mark.parametrize(("most", "cores", "threads"), [(2, 1, 1), (1, 64, 1), (2, 64, 2)])
def test_no_more_than_there_are_and_are_allowed(
    monkeypatch: pytest.MonkeyPatch, most: int, cores: int, threads: int
) -> None:
    """However long the rest was."""
    monkeypatch.setattr(pace, "cores", lambda: cores)
    clock = Clock()
    assert drawn(Pace(most, clock), clock, 0.1) == threads


def test_a_drawing_that_fails_counts() -> None:
    """It took the core as others do."""
    clock = Clock()
    renderer = Pace(2, clock)
    with suppress(ValueError), renderer.drawing():
        clock.now += 5
        raise ValueError("broken")
    clock.now += 1
    assert drawn(renderer, clock, 0.1) == 1
