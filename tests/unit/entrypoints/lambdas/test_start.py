"""What Lambda opens: handlers by name, from the archive beside it."""

import gc
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from safelight.entrypoints.lambdas import dispatcher


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module; what it does to the path, and to what is looked at for garbage, is undone."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "safelight.entrypoints.lambdas.start", raising=False)
    import safelight.entrypoints.lambdas.start as module

    yield module
    gc.unfreeze()


def test_a_handler_is_found_by_its_name(start: ModuleType) -> None:
    """As a template writes it: `start.dispatcher`."""
    assert start.dispatcher is dispatcher.handler
    assert sys.path[0].endswith("/packages.zip")


def test_nothing_is_looked_for_among_what_is_loaded(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No garbage is collected while modules load, nor among them later; what comes after is looked at as ever."""
    looked: list[bool] = []

    def load(_name: str) -> ModuleType:
        looked.append(gc.isenabled())
        return dispatcher

    before = gc.get_freeze_count()
    monkeypatch.setattr("importlib.import_module", load)
    _ = start.dispatcher
    assert looked == [False]
    assert gc.get_freeze_count() > before
    assert gc.isenabled()


def test_what_is_no_function_is_not_found(start: ModuleType) -> None:
    """And says so by its own name."""
    with pytest.raises(ModuleNotFoundError, match="nobody"):
        _ = start.nobody
    assert not hasattr(start, "__path__")


def test_a_function_that_does_not_start_says_why(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda takes an AttributeError for a handler that is not there, and drops the traceback."""

    def broken(name: str) -> None:
        raise AttributeError(f"module 'x' has no attribute 'y', which {name} wants")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(RuntimeError, match="dispatcher does not start: module 'x' has no attribute 'y'"):
        _ = start.dispatcher
