"""How sweeping, claiming and listing grow with the store: 1,000 to 1,000,000 jobs on the embedded backend.

    python benchmarks/sweep.py [--most 1000000] [--folder .]

The same work is measured in a store that grows: most jobs have ended, a tenth are queued with a message each, of
twenty owners. The jobs are written by SQL, as the backend would have written them; everything measured goes through
the ports. It needs about 2 GB of disk and some minutes.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw
import msgspec
from measuring import machine, median, percentile, table

from safelight.backends.embedded import Embedded
from safelight.config import Settings
from safelight.heartbeat import Worker
from safelight.model import (
    DAY,
    HOUR,
    MINUTE,
    Claim,
    Job,
    JobState,
    Moment,
    Output,
    RecipeRef,
    Source,
    Stage,
    Upload,
    Wake,
    new_id,
    output_key,
    upload_key,
)
from safelight.orphans import Orphans
from safelight.recipes import Book
from safelight.service import Service
from safelight.sweeper import Sweeper
from safelight.testing import Clock, in_memory
from safelight.uploads import UploadRequest

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
OWNERS: Final = 20
DUE: Final = 1_000
TIMES: Final = 200
_encode: Final = msgspec.json.Encoder().encode


class Store:
    """A store that grows, and the service on it."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock(time.time())
        self.embedded = Embedded(folder, clock=self.clock)
        self.settings = Settings(data=str(folder), max_queue=10**9)
        ports = msgspec.structs.replace(
            in_memory(self.clock),
            blobs=self.embedded.blobs,
            jobs=self.embedded.jobs,
            notices=self.embedded.notices,
            queue=self.embedded.queue,
            inbox=self.embedded.inbox,
            records=self.embedded.records,
            together=self.embedded.together,
        )
        self.ports = ports
        self.service = Service(self.settings, ports, Book(self.settings))
        self.sweeper = Sweeper(self.service)
        self.orphans = Orphans(ports)
        self.count = 0
        self._random = random.Random(1)
        self._folder = folder

    def grow(self, to: int) -> None:
        """Fill the store with jobs up to a number: nine in ten have ended, one waits in the queue."""
        connection = apsw.Connection(str(self._folder / "safelight.db"))
        connection.set_busy_timeout(60_000)
        connection.pragma("synchronous", "OFF")
        connection.pragma("cache_size", -500_000)
        while self.count < to:
            with connection:
                jobs = [self.job(number) for number in range(self.count, min(to, self.count + 20_000))]
                connection.executemany(
                    "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)",
                    ((j.id, j.owner, j.state, j.created_at, j.due_at, j.revision, _encode(j)) for j in jobs),
                )
                waiting = [job for job in jobs if job.state is JobState.PENDING]
                connection.executemany(
                    'INSERT INTO messages (job_id, "group", wake, turn, ready, visible_at, received)'
                    " VALUES (?, ?, ?, ?, 1, 0, 0)",
                    ((j.id, j.owner, _encode(_wake(j)), 1 + n // OWNERS) for n, j in enumerate(waiting)),
                )
            for job in jobs:
                (self._folder / "files/uploads" / job.id).mkdir(parents=True, mode=0o700)
            self.count += len(jobs)
        connection.close()
        self.embedded.checkpoint()

    def job(self, number: int, *, due_at: float | None = None, **changes: object) -> Job:
        """A job as it is after its life, or in the queue if its number says so."""
        now, job_id = self.clock(), new_id()
        waits = number % 10 == 0
        at = now - self._random.uniform(0, 20 * DAY)
        job = Job(
            id=job_id,
            owner=f"owner-{number % OWNERS}",
            state=JobState.PENDING if waits else JobState.COMPLETED,
            stage=Stage.QUEUED if waits else Stage.DONE,
            created_at=at,
            updated_at=at + 2.0,
            revision=2 if waits else 4,
            due_at=due_at or (now + 10 * MINUTE + number % 600 if waits else at + 30 * DAY),
            upload=Upload(filename="beach.jpg", key=upload_key(job_id, "beach.jpg")),
            recipe=RecipeRef(name="default", digest="d" * 64),
            source=Source(
                key=upload_key(job_id, "beach.jpg"), version="v" * 24, bytes=2_000_000, sha256="0" * 64
            ),
            attempt=0 if waits else 1,
            outputs=() if waits else (_output(job_id),),
            timeline=tuple(Moment(at=at + n, state=JobState.PENDING) for n in range(1 if waits else 3)),
        )
        return msgspec.structs.replace(job, **changes)

    def make_due(self) -> None:
        """A thousand jobs for the sweeper: dead claims, uploads that never came, and ends of retention."""
        now = self.clock()
        for number in range(DUE):
            match number % 10:
                case 0 | 1 | 2 | 3:
                    claim = Claim(token="t", worker="w", until=now - 1)
                    changes = {
                        "state": JobState.PROCESSING,
                        "stage": Stage.RENDERING,
                        "claim": claim,
                        "attempt": 1,
                    }
                case 4 | 5 | 6:
                    changes = {
                        "state": JobState.PENDING,
                        "stage": Stage.AWAITING_UPLOAD,
                        "source": None,
                        "updated_at": now - 3 * HOUR,
                    }
                case _:
                    changes = {"state": JobState.COMPLETED, "updated_at": now - 31 * DAY}
            self.ports.jobs.create(self.job(number, due_at=now - 1 - number / DUE, **changes))


def measure(store: Store) -> list[str]:
    """One row of figures."""
    worker = Worker(name="bench")

    def claim() -> None:
        delivery = store.ports.inbox.receive(wait=0, visibility=60)
        assert delivery is not None
        now = store.clock()
        mine = Claim(token=new_id(), worker=worker.name, until=now + 40)
        store.ports.jobs.update(delivery.wake.job_id, lambda job: job.claimed(mine, now=now))
        store.ports.inbox.ack(delivery)

    def upload() -> None:
        job = store.service.request_upload(f"owner-{random.randrange(OWNERS)}", UploadRequest())
        store.service.dispatch(job.upload.key, "v1", 100)

    def first_page() -> None:
        store.ports.jobs.list(f"owner-{random.randrange(OWNERS)}", limit=50)

    def by_state() -> None:
        store.ports.jobs.list(f"owner-{random.randrange(OWNERS)}", state=JobState.COMPLETED, limit=50)

    figures = [_figure(call) for call in (upload, claim, first_page, by_state)]
    # What was claimed above must not be due now: a claim lasts 40 seconds and the clock stands still.
    assert not sum(store.sweeper.sweep().values())
    idle = _time(store.sweeper.sweep)
    store.make_due()
    busy = _time(lambda: _swept(store))
    page = _time(lambda: store.orphans.pass_over(budget=0.001))  # the first page, and no time for another
    size = (store.embedded.data / "safelight.db").stat().st_size / 1e6
    return [
        f"{store.count:,}",
        f"{size:,.0f}",
        *figures,
        f"{idle * 1000:.1f}",
        f"{busy:.2f}",
        f"{page * 1000:,.0f}",
    ]


def _swept(store: Store) -> None:
    done = store.sweeper.sweep(budget=600)
    found = {name: done[name] for name in ("woken", "expired", "erased")}
    assert found == {"woken": 400, "expired": 300, "erased": 300}, done


def _figure(call: Callable[[], None]) -> str:
    times = [_time(call) * 1000 for _ in range(TIMES)]
    return f"{median(times):.2f} / {percentile(times, 0.95):.2f}"


def _time(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _output(job_id: str) -> Output:
    return Output(
        name="main",
        key=output_key(job_id, new_id(), "main", "jpg"),
        content_type="image/jpeg",
        width=1600,
        height=1200,
        bytes=400_000,
        sha256="0" * 64,
        primary=True,
    )


def _wake(job: Job) -> Wake:
    return Wake(job_id=job.id, key=job.upload.key, group=job.owner)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--folder", type=Path, default=Path(), help="where the store is made, and removed")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="sweep-") as folder:
        store = Store(Path(folder) / "data")
        for size in (size for size in SIZES if size <= arguments.most):
            begun = time.monotonic()
            store.grow(size)
            sys.stderr.write(f"{size:,} jobs after {time.monotonic() - begun:.0f} s\n")
            rows.append(measure(store))
        store.embedded.close()
    print(f"{machine()}. Milliseconds are p50 / p95 of {TIMES}.\n")
    head = ["jobs", "MB", "upload, ms", "claim and ack, ms", "list 50, ms", "list 50 by state, ms"]
    print(table([*head, "idle sweep, ms", f"sweep of {DUE:,} due, s", "orphans, one page, ms"], rows))


if __name__ == "__main__":
    main()
