"""The keeper: the one process that sweeps, and that moves the write-ahead log into the database."""

import logging
import signal
import threading
import time
from typing import Final

from safelight import bootstrap, config
from safelight.entrypoints.process import end_with_parent, log_to_stderr, say_ready

log = logging.getLogger(__name__)

TEND_EVERY: Final = 1.0
"""Seconds between two checkpoints."""

AT_ONCE: Final = 5.0
"""Seconds that one sweep may take: a request to stop waits for its end."""


def tend(system: bootstrap.System, stop: threading.Event) -> None:
    """Tend the store about once a second, whatever the sweeper is at, until `stop` is set."""
    while True:
        try:
            system.tend()
        except Exception:
            log.exception("tending the store failed; it is tried again")
        if stop.wait(TEND_EVERY):
            return


def sweep(system: bootstrap.System, stop: threading.Event) -> None:
    """Sweep at once and then at every interval, until `stop` is set."""
    next_sweep = 0.0
    while True:
        try:
            if (begun := time.monotonic()) >= next_sweep:
                next_sweep = begun + system.settings.sweep_seconds
                done = system.sweeper.sweep(budget=AT_ONCE)
                if time.monotonic() - begun >= AT_ONCE:
                    next_sweep = begun  # there is more to do
                system.clean()
                if any(done.values()):
                    log.debug("swept", extra=dict(done))
        except Exception:
            log.exception("sweeping failed; it is tried again")
        if stop.wait(max(0.0, min(TEND_EVERY, next_sweep - time.monotonic()))):
            return


def main() -> None:
    """The keeper as a process of its own."""
    end_with_parent()
    settings = config.load()
    log_to_stderr("keeper", settings.log_level)
    with bootstrap.build(settings) as system:
        stop = threading.Event()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
        say_ready()
        # Not in this thread: a signal handler that sets an event for which its own thread is just about to wait may
        # wait for itself for ever.
        threads = [threading.Thread(target=work, args=(system, stop)) for work in (sweep, tend)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
