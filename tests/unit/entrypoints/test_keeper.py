"""The keeper: sweeps in turns, so that nothing else it does waits for long."""

import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from safelight.entrypoints import keeper


def kept(sweeps: list[Any], calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a store in which each sweep takes so many seconds, or raises, to the last of them."""
    now = 0.0
    stop = threading.Event()

    def sweep(*, budget: float) -> Counter[str]:
        nonlocal now
        calls.append("sweep")
        took = sweeps.pop(0)
        if not sweeps:
            stop.set()
        if isinstance(took, Exception):
            raise took
        now += min(took, budget)
        return Counter()

    def wait(seconds: float) -> bool:
        nonlocal now
        now += seconds
        calls.append("wait")
        return stop.is_set()

    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: now))
    system: Any = SimpleNamespace(
        settings=SimpleNamespace(sweep_seconds=3.0),
        sweeper=SimpleNamespace(sweep=sweep),
        clean=lambda: None,
        tend=lambda: calls.append("tend"),
    )
    asked: Any = SimpleNamespace(wait=wait)
    keeper.run(system, asked)


def test_a_sweep_waits_for_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """In between, the store is tended."""
    calls: list[str] = []
    kept([0.0, 0.0], calls, monkeypatch)
    assert calls == ["sweep", *["tend", "wait"] * 3, "sweep", "tend", "wait"]


def test_a_long_sweep_goes_on_after_the_store_was_tended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one turn does not finish is the next one's: neither checkpoints nor the end wait for all of it."""
    calls: list[str] = []
    kept([60.0, 60.0, 0.0], calls, monkeypatch)
    assert calls == ["sweep", "tend", "wait"] * 3


def test_a_sweep_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper goes on."""
    calls: list[str] = []
    kept([OSError(), 0.0], calls, monkeypatch)
    assert calls.count("sweep") == 2
