"""Where the time of one job goes, from its upload to COMPLETED, on this machine and on the AWS side: a part of
`make profile`.

The named points of `safelight.faults` are written down with the time as each process comes to them: the real server,
with nothing else added, and the real functions on the emulator. What lies between two points, at the median over many
jobs, is a row of the table.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Final, NamedTuple

import aws
import httpx
from measuring import machine, median, percentile, server, table
from pipeline import bare, finished_at, upload

from safelight.imaging.sample import photo

JOBS: Final = 60
WARM_UP: Final = 5

NOTING: Final = """
import importlib.abc, importlib.util, os, sys, time

class Noting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "safelight.faults":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def execute_and_note(module):
            vars(spec.loader).pop("exec_module")  # modules of one zip share their loader
            execute(module)
            file = os.open(os.path.join({folder!r}, str(os.getpid())), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            module.reached = lambda point: os.write(file, b"%d %s\\n" % (time.time_ns(), point.encode()))
        spec.loader.exec_module = execute_and_note
        return spec

sys.meta_path.insert(0, Noting())
"""
"""Imported by every process as it starts, as Python does with a module called sitecustomize."""

DISK: Final = " (fsync)"
"""How the words of a step end that waits for the disk."""

Steps = Sequence[tuple[str, str]]
"""Points that a job comes to, in order, each with what ends there."""

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
FUNCTIONS: Final = (
    (
        "dispatch.received",
        "dispatcher",
        "the photo is stored, its event starts the function, the job takes it in",
    ),
    ("dispatch.sent", "dispatcher", "the message is sent"),
    ("job.claimed", "worker", "the queue hands the message to the function, which claims the job"),
    ("job.fetched", "worker", "the recipe and the original"),
    ("job.rendered", "worker", "**rendering, in a child of the sandbox**"),
    ("job.stored", "worker", "the output is stored"),
    ("job.completed", "worker", "COMPLETED is written"),
)


class Moment(NamedTuple):
    """When a process came to a point, in nanoseconds."""

    at: int
    point: str


def noting(folder: Path) -> tuple[str, Path]:
    """What PYTHONPATH has to be for processes to write down where they come to, and the folder where they do."""
    notes, site = folder / "notes", folder / "site"
    notes.mkdir()
    site.mkdir()
    (site / "sitecustomize.py").write_text(NOTING.format(folder=str(notes)))
    return str(site), notes


def moments(folder: Path) -> list[list[Moment]]:
    """What each process wrote down."""
    found = []
    for file in folder.iterdir():
        with file.open() as lines:
            found.append([Moment(int(at), point) for at, point in map(str.split, lines)])
    return found


def follow(noted: Sequence[Moment], points: Steps, start: int, end: int) -> list[int]:
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
    site, notes = noting(folder)
    picture = folder / "2.jpg"
    picture.write_bytes(photo(1632, 1224))
    body = picture.read_bytes()
    sent_at: list[int] = []
    renders: list[float] = []
    with (
        server(folder / "data", workers=1, PYTHONPATH=site) as (url, _),
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


def measure_functions(folder: Path) -> list[list[float]]:
    """The milliseconds of each step of many jobs, one after the other, by the functions on the emulator."""
    site, notes = noting(folder)
    body = photo(1632, 1224)
    began_at: list[int] = []
    with aws.ours(PYTHONPATH=site) as running, aws.client(running) as http:
        for _ in range(WARM_UP + JOBS):
            job, _, began = aws.upload(http, body)
            began_at.append(time.time_ns() - int((time.perf_counter() - began) * 1e9))
            while not running.completed(job):
                time.sleep(0.005)
        ended = time.time_ns()
    noted = sorted(chain.from_iterable(moments(notes)))  # one job at a time, whichever process it is in
    points = [(point, words) for point, _, words in FUNCTIONS]
    jobs = []
    for began, end in pairwise([*began_at[WARM_UP:], ended]):
        times = [began, *follow(noted, points, began, end)]
        jobs.append([(after - before) / 1e6 for before, after in pairwise(times)])
    return jobs


def listed(jobs: Sequence[Sequence[float]], steps: Sequence[tuple[str, str, str]]) -> tuple[float, str]:
    """The whole in milliseconds, at the median, and the table of the steps: point, where, what."""
    whole = median([sum(times) for times in jobs])
    rows = []
    for (point, where, words), took in zip(steps, zip(*jobs, strict=True), strict=True):
        share = f"{median(took) / whole:.0%}"
        rows.append(
            [where, words, f"`{point}`", f"{median(took):.2f}", f"{percentile(took, 0.95):.2f}", share]
        )
    return whole, table(["where", "what", "ends at", "p50 ms", "p95 ms", "share"], rows)


def run() -> str:
    """Measure this machine's way, and return its section of the report."""
    with tempfile.TemporaryDirectory() as name:
        jobs, renders = measure(Path(name))
    steps = [(point, where, words) for where, part in _PARTS.items() for point, words in part]
    whole, rows = listed(jobs, steps)
    waits = [number for number, (_, _, words) in enumerate(steps) if words.endswith(DISK)]
    disk = median([sum(times[number] for number in waits) for times in jobs])
    return (
        f"{JOBS} uploads of a 2 MP photo, one after the other, at an idle server with one worker. From the last byte"
        f" sent to COMPLETED: **{whole:.1f} ms** at the median, {disk:.1f} ms of it in steps that wait for the disk;"
        f" the bare render of the same file, in between: {median(renders):.1f} ms.\n\n{rows}\n"
    )


def run_functions() -> str:
    """Measure the AWS side, and return its section of the report."""
    with tempfile.TemporaryDirectory() as name:
        whole, rows = listed(measure_functions(Path(name)), FUNCTIONS)
    return (
        f"{JOBS} uploads of a 2 MP photo, one after the other, by functions that are warm. From the first byte of the"
        f" PUT to COMPLETED: **{whole:.1f} ms** at the median.\n\n{rows}\n"
    )


_PARTS: Final = {"front": FRONT, "worker": WORKER}

WAYS: Final[dict[str, Callable[[], str]]] = {"here": run, "aws": run_functions}


if __name__ == "__main__":
    for way in sys.argv[1:] or WAYS:
        sys.stdout.write(f"{machine()}\n\n{WAYS[way]()}\n")
