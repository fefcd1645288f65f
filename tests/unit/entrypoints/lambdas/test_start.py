"""What Lambda opens: handlers by name, from the archive beside it."""

import sys
from types import ModuleType

import pytest

from safelight.entrypoints.lambdas import dispatcher


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module; what it does to the path is undone."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "safelight.entrypoints.lambdas.start", raising=False)
    import safelight.entrypoints.lambdas.start as module

    return module


def test_a_handler_is_found_by_its_name(start: ModuleType) -> None:
    """As a template writes it: `start.dispatcher`."""
    assert start.dispatcher is dispatcher.handler
    assert sys.path[0].endswith("/packages.zip")


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
