"""How many threads a drawing may use, by how busy its renderer is.

A second thread makes one drawing quicker and costs some percent of work more in all: good where cores idle, and bad
where each has a drawing of its own. A renderer that had a rest before a job as long as it drew for the last one is one
of a machine with cores to spare; behind a backlog there is hardly a rest. So renderers need not know of each other.
(What the system tells of running threads would say it directly, and does not: Linux counts some that sleep.)
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from safelight.threads import cores


class Pace:
    """Of one renderer, whose drawings come one after the other."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` threads are used at the most, and one where there is one core."""
        self._most = min(most, cores())
        self._clock = clock
        self._took = 0.0
        self._ended = -float("inf")

    @contextmanager
    def drawing(self) -> Iterator[int]:
        """Around a drawing: how many threads it may use."""
        begun = self._clock()
        try:
            yield self._most if begun - self._ended >= self._took else 1
        finally:
            self._ended = self._clock()
            self._took = self._ended - begun
