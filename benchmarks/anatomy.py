"""Where the time of one job goes, from the last byte of its upload to COMPLETED: a part of `make profile`.

The named points of `safelight.faults` are written down with the time as each process comes to them: the real server,
with nothing else added. What lies between two points, at the median over many jobs, is a row of the table.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import httpx
from measuring import machine, median, percentile, server, table
from pipeline import bare, finished_at, upload

from safelight.imaging.sample import photo

JOBS: Final = 60
WARM_UP: Final = 5

NOTING: Final = """
import os, time
from safelight import faults
_file = os.open(os.path.join({folder!r}, str(os.getpid())), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def reached(point):
    os.write(_file, b"%d %s\\n" % (time.time_ns(), point.encode()))
faults.reached = reached
"""
"""Imported by every process of the server as it starts, as Python does with a module called sitecustomize."""

DISK: Final = " (fsync)"
"""How the words of a step end that waits for the disk."""

FRONT: Final = (
    ("file.written", "the last bytes are read, hashed and written"),
    ("file.synced", f"the upload is on the disk{DISK}"),
    ("file.durable", f"it is renamed, and its folder is on the disk{DISK}"),
    ("dispatch.received", "the job takes the upload in"),
    ("store.committed", f"job and message are committed{DISK}"),
)
WORKER: Final = (
    ("queue.received", "a worker wakes and takes the message"),
    ("job.claimed", "claim, with a commit that nobody waits to see on the disk"),
    ("job.fetched", "the recipe and the original"),
    ("job.rendered", "**rendering, in a child of the sandbox**"),
    ("file.written", "the output is copied out of the child's memory"),
    ("file.synced", f"the output is on the disk{DISK}"),
    ("file.durable", f"it is linked, and its folder is on the disk{DISK}"),
    ("job.stored", "the output's place is noted"),
    ("job.completed", f"COMPLETED is committed{DISK}"),
)
"""The points that a process comes to, in order, each with what ends there."""


class Moment(NamedTuple):
    """When a process came to a point, in nanoseconds."""

    at: int
    point: str


def moments(folder: Path) -> list[list[Moment]]:
    """What each process wrote down."""
    found = []
    for file in folder.iterdir():
        with file.open() as lines:
            found.append([Moment(int(at), point) for at, point in map(str.split, lines)])
    return found


def follow(noted: Sequence[Moment], points: Sequence[tuple[str, str]], start: int, end: int) -> list[int]:
    """When a process came to each of the points, one after the other, between `start` and `end`."""
    times, at = [], start
    for point, _ in points:
        found = next((moment.at for moment in noted if at <= moment.at < end and moment.point == point), None)
        if found is None:
            raise RuntimeError(f"{point} was not reached while the job lasted")
        times.append(at := found)
    return times


def measure(folder: Path) -> tuple[list[list[float]], list[float]]:
    """The milliseconds of each step of many jobs, one after the other; and the bare render between them."""
    notes, site = folder / "notes", folder / "site"
    notes.mkdir()
    site.mkdir()
    (site / "sitecustomize.py").write_text(NOTING.format(folder=str(notes)))
    picture = folder / "2.jpg"
    picture.write_bytes(photo(1632, 1224))
    body = picture.read_bytes()
    sent_at: list[int] = []
    renders: list[float] = []
    with (
        server(folder / "data", workers=1, PYTHONPATH=str(site)) as (url, _),
        httpx.Client(base_url=url) as client,
    ):
        for _ in range(WARM_UP + JOBS):
            job, sent = upload(client, body)
            client.get(f"/jobs/{job}/events", timeout=60.0)  # waits without asking: it ends with the job
            state, _ = finished_at(folder / "data")[job]
            if state != "COMPLETED":
                raise RuntimeError(f"{job} ended as {state}")
            sent_at.append(int(sent * 1e9))
            renders += [seconds * 1e3 for seconds in bare(str(picture), 1)[2]]
    noted = moments(notes)
    front = next(each for each in noted if any(moment.point == "dispatch.received" for moment in each))
    worker = next(each for each in noted if any(moment.point == "job.claimed" for moment in each))
    jobs = []
    for sent, end in pairwise([*sent_at[WARM_UP:], time.time_ns()]):
        there = follow(front, FRONT, sent, end)
        # The worker wakes as soon as the commit is done, which may be before the front has noted that it is.
        done = follow(worker, WORKER, there[-2], end)
        times = [sent, *there[:-1], min(there[-1], done[0]), *done]
        jobs.append([(after - before) / 1e6 for before, after in pairwise(times)])
    return jobs, renders[WARM_UP:]


def run() -> str:
    """Measure, and return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        jobs, renders = measure(Path(name))
    whole = median([sum(steps) for steps in jobs])
    rows = []
    for number, (point, words) in enumerate([*FRONT, *WORKER]):
        took = [steps[number] for steps in jobs]
        where = "front" if number < len(FRONT) else "worker"
        share = f"{median(took) / whole:.0%}"
        rows.append(
            [where, words, f"`{point}`", f"{median(took):.2f}", f"{percentile(took, 0.95):.2f}", share]
        )
    waits = [n for n, (_, words) in enumerate([*FRONT, *WORKER]) if words.endswith(DISK)]
    disk = median([sum(steps[n] for n in waits) for steps in jobs])
    return (
        f"{JOBS} uploads of a 2 MP photo, one after the other, at an idle server with one worker. From the last byte"
        f" sent to COMPLETED: **{whole:.1f} ms** at the median, {disk:.1f} ms of it in steps that wait for the disk;"
        f" the bare render of the same file, in between: {median(renders):.1f} ms.\n\n"
        f"{table(['where', 'what', 'ends at', 'p50 ms', 'p95 ms', 'share'], rows)}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(f"{machine()}\n\n{run()}")
