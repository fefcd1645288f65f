"""The worker: takes messages from the queue and carries each job to its end, until asked to stop.

It renders one job at a time, and no job waits in its hands: while the results of one are stored, which is waiting for
the disk or the network, the next is taken, fetched and rendered. Asked to stop (SIGTERM), it finishes what it has if
that takes at most 8 seconds, and hands it back otherwise; the attempt then does not count.
"""

import logging
import signal
import threading
from typing import Final

from safelight import bootstrap, config, faults
from safelight.entrypoints.process import end_with_parent, log_to_stderr, say_ready
from safelight.heartbeat import Worker
from safelight.ports import Delivery
from safelight.service import Service

log = logging.getLogger(__name__)

FINISH_WITHIN: Final = 8.0
"""Seconds that a job may go on after the request to stop."""

IDLE: Final = 30.0
"""Seconds for which one call waits for a message."""

PAUSE_AFTER_ERROR: Final = 1.0
"""Seconds until the next try when the store or the queue does not answer."""


LOCKS: Final = {
    "orphan": "dies with its parent",
    "limits": "limits on memory, CPU and output",
    "privileges": "no new privileges",
    "landlock": "no files, ports or signals",
    "syscalls": "system calls filtered",
}
"""What each lock of a rendering child does, by the names that `imaging` has for them."""


class Stop:
    """The request to stop: wakes a waiting worker, and ends a rendering that takes too long."""

    def __init__(self, system: bootstrap.System) -> None:
        self._system = system
        self._asked = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether the worker has to stop."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Stop after the job in hand. May be called from a signal handler."""
        if not self._asked.is_set():
            self._asked.set()
            self._system.stop_receiving()
            closing = threading.Timer(FINISH_WITHIN, self._system.service.ports.renderer.close)
            closing.daemon = True
            closing.start()

    def wait(self, seconds: float) -> None:
        """Wait, unless asked to stop."""
        self._asked.wait(seconds)


class Turn:
    """The right to render, held from taking a message until its picture is drawn."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._held = False

    def take(self) -> None:
        """Wait for the right."""
        self._lock.acquire()
        self._held = True

    def give(self) -> None:
        """Give it away; harmless if it is not held."""
        if self._held:
            self._held = False
            self._lock.release()


def run(service: Service, name: str, stop: Stop) -> None:
    """Work until asked to stop, in two threads that take turns to render. Nothing that a job does ends them."""
    lock = threading.Lock()
    threads = [
        threading.Thread(target=_run, args=(service, name, stop, Turn(lock)), name=f"{name} {hand}")
        for hand in ("left", "right")
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        # In short waits: Python handles a signal that came just before a wait only after it.
        for thread in threads:
            thread.join(0.5)


def _run(service: Service, name: str, stop: Stop, turn: Turn) -> None:
    while not stop.asked:
        turn.take()
        try:
            # A little longer than the claim, so that whoever gets the message again finds the claim run out.
            visibility = service.settings.lease_seconds + 1.0
            delivery = service.ports.inbox.receive(wait=IDLE, visibility=visibility)
            if delivery is not None:
                handle(service, delivery, name, stop, turn)
        except Exception:
            log.exception("the queue or the store does not answer")
            stop.wait(PAUSE_AFTER_ERROR)
        finally:
            turn.give()


def handle(service: Service, delivery: Delivery, name: str, stop: Stop, turn: Turn) -> None:
    """Process one message, then acknowledge it or have it delivered again."""
    faults.reached("queue.received")
    inbox = service.ports.inbox
    worker = Worker(
        name=name,
        extend=lambda seconds: inbox.extend(delivery, seconds + 1.0),
        stopping=lambda: stop.asked,
        rendered=turn.give,
    )
    delay = service.process(delivery.wake, worker)
    faults.reached("queue.acknowledging")
    if delay is None:
        inbox.ack(delivery)
    else:
        inbox.retry(delivery, delay)
    faults.reached("queue.acknowledged")


def in_words(locks: tuple[str, ...]) -> str:
    """What holds a child that renders, as an operator reads it."""
    return ", ".join(LOCKS.get(lock, lock) for lock in locks) or "a process of its own and nothing more"


def main(name: str = "worker") -> None:
    """The worker as a process of its own."""
    end_with_parent()
    settings = config.load()
    log_to_stderr(name, settings.log_level)
    with bootstrap.build(settings) as system:
        stop = Stop(system)
        # A Ctrl-C is the supervisor's, which tells everybody in order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.ask())
        log.info("sandbox on: %s", in_words(system.start_renderer()))
        say_ready()
        run(system.service, name, stop)
