"""What the tests of the embedded backend run in processes of their own.

python -m tests.contract.embedded_process WHAT DATA [ARGUMENTS]
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from safelight.backends.embedded import Embedded
from safelight.model import Job


def say(text: str) -> None:
    """A line for the test, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def drain(embedded: Embedded) -> None:
    """Take and ack everything."""
    while delivery := embedded.inbox.receive(wait=0, visibility=60):
        embedded.inbox.ack(delivery)
        say(delivery.wake.job_id)


def take_one(embedded: Embedded) -> None:
    """Wait for one message and hold on to it."""
    say("waiting")
    delivery = embedded.inbox.receive(wait=50, visibility=3600)
    say(delivery.wake.job_id if delivery else "none")
    sys.stdin.read()


def wait_for_signal(embedded: Embedded) -> None:
    """Receive as a worker does, until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: embedded.inbox.stop())
    say("waiting")
    delivery = embedded.inbox.receive(wait=3600, visibility=60)
    say(delivery.wake.job_id if delivery else "none")


def count(embedded: Embedded) -> None:
    """Add to a number in a job, a hundred times."""

    def one_more(job: Job) -> Job:
        seen = int(job.metadata.get("count", "0"))
        return msgspec.structs.replace(job, revision=job.revision + 1, metadata={"count": str(seen + 1)})

    for _ in range(100):
        embedded.jobs.update("j1", one_more)


def write_jobs(embedded: Embedded) -> None:
    """Add to a number for ever, and tell each number once it is written."""

    def one_more(job: Job) -> Job:
        seen = int(job.metadata.get("count", "0"))
        return msgspec.structs.replace(job, revision=job.revision + 1, metadata={"count": str(seen + 1)})

    while True:
        say(embedded.jobs.update("j1", one_more).metadata["count"])


def die_in_a_write(embedded: Embedded) -> None:
    """Be killed in the middle of a transaction."""
    with embedded._database.writing() as write:
        write.run("DELETE FROM jobs")
        os.kill(os.getpid(), signal.SIGKILL)


def hold_lock(embedded: Embedded) -> None:
    """Serve the folder until told to end."""
    embedded.lock()
    say("locked")
    sys.stdin.read()


TASKS: Final[dict[str, Callable[[Embedded], None]]] = {
    task.__name__: task
    for task in (drain, take_one, wait_for_signal, count, write_jobs, die_in_a_write, hold_lock)
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](Embedded(Path(sys.argv[2])))
