"""The keeper: sweeps in turns, so that nothing else it does waits for long."""

import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from safelight.entrypoints import keeper


class Store:
    """A store in which each sweep takes so many seconds, or raises, up to the last of them."""

    def __init__(self, sweeps: list[Any]) -> None:
        self.now = 0.0
        self.began: list[float] = []
        self.stop = threading.Event()
        self._sweeps = sweeps
        self.settings = SimpleNamespace(sweep_seconds=3.0)
        self.sweeper = SimpleNamespace(sweep=self.sweep)

    def sweep(self, *, budget: float) -> Counter[str]:
        """One sweep."""
        self.began.append(self.now)
        took = self._sweeps.pop(0)
        if not self._sweeps:
            self.stop.set()
        if isinstance(took, Exception):
            raise took
        self.now += min(took, budget)
        return Counter()

    def clean(self) -> None:
        """Nothing to clean."""

    def wait(self, seconds: float) -> bool:
        """Time passes."""
        self.now += seconds
        return self.stop.is_set()


def kept(sweeps: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each sweep began."""
    store = Store(sweeps)
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: store.now))
    keeper.sweep(cast(Any, store), cast(Any, SimpleNamespace(wait=store.wait)))
    return store.began


def test_a_sweep_waits_for_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning of the one before, however long that took."""
    assert kept([0.0, 2.0, 0.0], monkeypatch) == [0.0, 3.0, 6.0]


def test_a_long_sweep_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one turn does not finish is the next one's: the end does not wait for all of it."""
    assert kept([60.0, 60.0, 0.0], monkeypatch) == [0.0, keeper.AT_ONCE, 2 * keeper.AT_ONCE]


def test_a_sweep_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper goes on."""
    assert len(kept([OSError(), 0.0], monkeypatch)) == 2


def test_the_store_is_tended_while_a_sweep_goes_on() -> None:
    """A checkpoint neither waits for sweeps nor gives up at an error: the log would grow meanwhile."""
    stop = threading.Event()
    tended = 0

    def tend() -> None:
        nonlocal tended
        tended += 1
        raise OSError

    def wait(seconds: float) -> bool:
        assert seconds == keeper.TEND_EVERY
        return tended == 3

    system: Any = SimpleNamespace(tend=tend)
    keeper.tend(system, cast(Any, SimpleNamespace(wait=wait, is_set=stop.is_set)))
    assert tended == 3


def test_what_happens_at_once_is_told_together() -> None:
    """A bell that never stops ringing is answered after a rest each time, which is a part of the wait for what is due;
    and a request to stop ends the rest."""
    done: list[str] = []
    stop = threading.Event()

    def rest(seconds: float) -> bool:
        assert seconds == keeper.REST
        done.append("rest")
        if done.count("rest") == 3:
            stop.set()
        return stop.is_set()

    def slept(seconds: float) -> None:
        assert seconds == pytest.approx(2.0 - keeper.REST)
        done.append("rung")

    bell = SimpleNamespace(drain=lambda: None, ring=lambda: None, sleep=slept)
    courier = SimpleNamespace(
        take_over=lambda: None, start_due=lambda: 2.0, close=lambda: done.append("closed")
    )
    system: Any = SimpleNamespace(
        service=None,
        courier_bell=bell,
        courier=lambda _body, freed: courier,
        sweeper=SimpleNamespace(tell=lambda budget: done.append("told")),
    )
    keeper.deliver(system, cast(Any, SimpleNamespace(wait=rest, is_set=stop.is_set)))
    assert done == ["told", "rest", "rung", "told", "rest", "rung", "told", "rest", "closed"]
