"""The keeper: the one process that sweeps, moves the write-ahead log into the database, and delivers webhooks.

Webhooks are delivered by a thread of its own as something happens, 50 ms later at most: it sleeps on a bell that every
write of a notice rings, and looks by itself when the next attempt is due, or when a ring may have been lost.
"""

import logging
import signal
import threading
import time
from functools import partial
from typing import Final

from safelight import bootstrap, config
from safelight.entrypoints.payloads import body_of
from safelight.entrypoints.process import end_with_parent, log_to_stderr, say_ready

log = logging.getLogger(__name__)

TEND_EVERY: Final = 1.0
"""Seconds between two checkpoints."""

AT_ONCE: Final = 5.0
"""Seconds that one sweep may take: a request to stop waits for its end."""

LOOK_AGAIN: Final = 5.0
"""Seconds after which the courier looks for work though nobody rang: a ring dies with the process that heard it."""

REST: Final = 0.05
"""Seconds between two looks, however often it rings: under load, what happens meanwhile is told together."""

PAUSE_AFTER_ERROR: Final = 1.0


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


def deliver(system: bootstrap.OnOneMachine, stop: threading.Event) -> None:
    """Tell of what has happened as it happens, until `stop` is set and the bell rings."""
    bell = system.courier_bell
    courier = system.courier(partial(body_of, system.service), freed=bell.ring)
    alone = False
    try:
        while not stop.is_set():
            bell.drain()
            try:
                if not alone:
                    courier.take_over()  # there is one keeper, and whatever another had in hand, it is dead
                    alone = True
                system.sweeper.tell(budget=AT_ONCE)
                wait = courier.start_due()
            except Exception:
                log.exception("webhooks are not delivered; it is tried again")
                wait = PAUSE_AFTER_ERROR
            if not stop.wait(REST):
                bell.sleep(max(0.0, (LOOK_AGAIN if wait is None else min(wait, LOOK_AGAIN)) - REST))
    finally:
        courier.close()


def main(url: str) -> None:
    """The keeper as a process of its own; `url` is where clients reach the server whose files webhooks tell of."""
    end_with_parent()
    settings = config.load()
    log_to_stderr("keeper", settings.log_level)
    with bootstrap.build_on_one_machine(settings, url=url) as system:
        stop = threading.Event()

        def ask(_signal: int, _frame: object) -> None:
            stop.set()
            system.courier_bell.stop()

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, ask)
        say_ready()
        # Not in this thread: a signal handler that sets an event for which its own thread is just about to wait may
        # wait for itself for ever.
        threads = [
            threading.Thread(target=sweep, args=(system, stop), name="sweeping"),
            threading.Thread(target=tend, args=(system, stop), name="tending"),
            threading.Thread(target=deliver, args=(system, stop), name="delivering"),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
