"""The ports in memory, for tests: Safelight's own and those of programs that build on it.

They keep the same contracts as the real backends and pass the same contract suite. Nothing is written to the disk and
nothing outlives the process; any number of threads may use them.

    clock = Clock()
    ports = in_memory(clock)
    ports.queue.send(Wake(job_id="1", key="uploads/1/a.jpg", group="me"))
    clock.advance(60)
"""

import time
from collections.abc import Callable

from safelight.ports import Ports
from safelight.testing.clock import Clock
from safelight.testing.files import Blobs, Links, Multiparts
from safelight.testing.jobs import Jobs, Notices
from safelight.testing.queue import MAX_RECEIVES, Queue
from safelight.testing.records import Records
from safelight.testing.renderer import Renderer
from safelight.testing.watch import Watch

__all__ = [
    "MAX_RECEIVES",
    "Blobs",
    "Clock",
    "Jobs",
    "Links",
    "Multiparts",
    "Notices",
    "Queue",
    "Records",
    "Renderer",
    "Watch",
    "in_memory",
]


def in_memory(clock: Callable[[], float] = time.time) -> Ports:
    """Every port, in memory."""
    blobs = Blobs(clock)
    jobs = Jobs()
    queue = Queue(clock)
    return Ports(
        clock=clock,
        blobs=blobs,
        links=Links(clock),
        multiparts=Multiparts(blobs, clock),
        jobs=jobs,
        notices=jobs.notices,
        queue=queue,
        inbox=queue,
        dead_letters=queue,
        watch=Watch(jobs, queue, clock),
        records=Records(clock),
        renderer=Renderer(),
    )
