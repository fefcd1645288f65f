"""The backends as the contracts see them: which there are, which ports each has, and where they may differ."""

import time
from typing import Final, Protocol

import pytest

from safelight import testing
from safelight.backends.embedded import Embedded
from safelight.ports import Blobs, DeadLetters, Inbox, Jobs, Links, Multiparts, Notices, Queue, Records, Watch
from safelight.testing import Clock

FILES: Final = frozenset({"blobs", "links", "multiparts"})
JOBS: Final = frozenset({"jobs", "notices", "records"})
MESSAGES: Final = frozenset({"queue", "inbox", "dead_letters"})

WATCH: Final = frozenset({"watch"})

BACKENDS: Final = {
    "memory": FILES | JOBS | MESSAGES | WATCH,
    "embedded": FILES | JOBS | MESSAGES | WATCH,
    "aws": FILES | JOBS | MESSAGES | WATCH,  # on the emulator
    "seaweedfs": FILES,
    "dynamodb-local": JOBS,
    "elasticmq": MESSAGES,
}
"""The backends and the ports that each has. All but the first two are `backends.aws` on some server."""

LOCAL: Final = frozenset({"memory", "embedded"})
TIME_OF_ITS_OWN: Final = frozenset({"blobs", "queue"})
"""The ports that, on a server, live by the server's clock instead of ours."""

DIFFERENCES: Final = {
    "a clock that we move": "S3 dates its objects itself",
    "one message per job": "SQS merges nothing: a second wake is a second message, and both may be handed out",
    "strict fairness": "SQS hands out fairly only about, and its stand-ins not at all",
    "keeping what ran out": "SQS keeps hidden only what is hidden",
    "knowing when it died": "SQS does not say when it gave a message up, nor how often it was received before",
    "counting every step": "the stream is read for ends alone, and old failures go by their age",
    "an outbox": "the stream of the table counts by itself what was delivered",
}
"""What the servers do not have, and why. A test that is about such a thing says `needs(backend, …)`."""


class Backend(Protocol):
    """The ports of one backend, and the clock that they live by."""

    name: str
    clock: Clock

    @property
    def blobs(self) -> Blobs: ...
    @property
    def links(self) -> Links: ...
    @property
    def multiparts(self) -> Multiparts: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def records(self) -> Records: ...
    @property
    def watch(self) -> Watch: ...


class InMemory:
    """The ports in memory."""

    def __init__(self, clock: Clock) -> None:
        self.name = "memory"
        self.clock = clock
        ports = testing.in_memory(clock)
        self.blobs, self.links, self.multiparts = ports.blobs, ports.links, ports.multiparts
        self.jobs, self.notices, self.records = ports.jobs, ports.notices, ports.records
        self.queue = self.inbox = self.dead_letters = testing.Queue(clock)
        self.watch = testing.Watch(ports.jobs, self.queue, clock)  # type: ignore[arg-type] # they are in memory


class OnDisk:
    """The embedded backend."""

    def __init__(self, embedded: Embedded, clock: Clock) -> None:
        self.name = "embedded"
        self.clock = clock
        self.blobs, self.links, self.multiparts = embedded.blobs, embedded.links, embedded.multiparts
        self.jobs, self.notices, self.records = embedded.jobs, embedded.notices, embedded.records
        self.queue, self.inbox, self.dead_letters = embedded.queue, embedded.inbox, embedded.dead_letters
        self.watch = embedded.watch


class RealClock(Clock):
    """For a server that lives by its own time: to let time pass is to wait."""

    def __call__(self) -> float:
        return time.time()

    def advance(self, seconds: float) -> None:
        """Wait, and a little longer: the server's seconds are not ours."""
        time.sleep(seconds + 0.15)


def needs(backend: Backend, what: str) -> None:
    """Skip the test on a backend that does not have this, which is one of DIFFERENCES."""
    reason = DIFFERENCES[what]
    if backend.name not in LOCAL:
        pytest.skip(f"{what}: {reason}")
