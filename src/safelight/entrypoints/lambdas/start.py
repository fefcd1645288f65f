"""What Lambda opens of a zip: puts the archive beside it on the path and hands out the functions' handlers.

A template names `start.dispatcher`, and that is `handler` in `safelight.entrypoints.lambdas.dispatcher`. Nothing of
the archive can be imported before this has run, so it lies outside, alone.
"""

import gc
import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).with_name("packages.zip")))


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    gc.disable()  # what is loaded stays: looking for garbage among it takes time, now and at every later look
    try:
        module = importlib.import_module(f"safelight.entrypoints.lambdas.{name}")
    except AttributeError as error:  # of that, Lambda would say no more than that there is no handler
        raise RuntimeError(f"{name} does not start: {error}") from error
    finally:
        gc.freeze()
        gc.enable()
    return module.handler
