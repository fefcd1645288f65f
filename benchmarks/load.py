"""Many jobs at once, and many jobs for long: does everything end, is nothing lost, does anything grow?

    python benchmarks/load.py 1000 10000     so many jobs from 64 clients: a backlog, and the API beside it
    python benchmarks/load.py soak 100000    so many small jobs whose retention is over after a minute

Each client is a bare one: POST /uploads, PUT, GET /jobs/{jobId}, on a connection of its own. Clients, server and
workers share the machine, so every latency is as a client saw it, the client's own waiting for a core included.
"""

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from measuring import machine, percentile, server, table, tree
from PIL import Image

CLIENTS: Final = 64
SOAK_CLIENTS: Final = 12
SAMPLE_EVERY: Final = 1.0
RETENTION_SECONDS: Final = 60.0
"""Of the soak: a job is erased a minute after its end, so that erasing, too, is done 100,000 times."""

TERMINAL: Final = frozenset({"COMPLETED", "FAILED", "EXPIRED", "CANCELED"})
GOAL_P99: Final = 0.250


class Client:
    """HTTP/1.1 on one connection, and nothing more: the clients must not be what is measured."""

    def __init__(self, url: str, latencies: dict[str, list[float]]) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self._latencies = latencies
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, what: str, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """One request; its status and body. Its latency is kept under `what`."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        kind = "image/jpeg" if method == "PUT" else "application/json"
        head = f"{method} {target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Length: {len(body)}\r\n"
        begun = time.perf_counter()
        writer.write(f"{head}Content-Type: {kind}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(
            (int(line[15:]) for line in answer.split("\r\n") if line.startswith("content-length:")), 0
        )
        content = await reader.readexactly(length)
        self._latencies.setdefault(what, []).append(time.perf_counter() - begun)
        return int(answer[9:12]), content

    async def submit(self, body: bytes) -> str:
        """One upload; the job's id. An overloaded server is asked again."""
        while True:
            status, answer = await self.call("POST /uploads", "POST", "/uploads", b'{"filename":"a.jpg"}')
            if status == 200:
                break
            if status != 503:
                raise RuntimeError(f"POST /uploads: {status} {answer[:200]!r}")
            await asyncio.sleep(1.0)
        grant = json.loads(answer)
        url = urlsplit(grant["uploadUrl"])
        status, answer = await self.call("PUT", "PUT", f"{url.path}?{url.query}", body)
        if status != 200:
            raise RuntimeError(f"PUT: {status} {answer[:200]!r}")
        return str(grant["jobId"])

    async def look(self, job_id: str) -> str:
        """The job's state; empty if there is no such job."""
        status, answer = await self.call("GET /jobs/{jobId}", "GET", f"/jobs/{job_id}")
        if status not in (200, 404):
            raise RuntimeError(f"GET: {status} {answer[:200]!r}")
        return str(json.loads(answer)["status"]) if status == 200 else ""

    async def follow(self, job_id: str) -> str:
        """The state in which the job ends; empty if it is lost."""
        while (state := await self.look(job_id)) not in TERMINAL and state:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)
        return state

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


class Sampler:
    """What the processes and the data folder hold, once a second."""

    def __init__(self, pid: int, data: Path) -> None:
        self._pid = pid
        self._data = data
        self.samples: list[dict[str, int]] = []

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            self.samples.append(self.look())
            await asyncio.sleep(SAMPLE_EVERY)

    def look(self) -> dict[str, int]:
        """One sample: bytes and counts by name."""
        found: Counter[str] = Counter()
        for pid in tree(self._pid):
            with suppress(OSError):
                name = _role(pid)
                found[f"{name}: memory"] += _private(pid)
                found[f"{name}: handles"] += _entries(Path(f"/proc/{pid}/fd"))
        for name in ("safelight.db", "safelight.db-wal"):
            with suppress(OSError):
                found[f"{name}: bytes"] = (self._data / name).stat().st_size
        found["temporary files"] = _entries(self._data / "tmp")
        return dict(found)


def _entries(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def _role(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    for name in ("front", "keeper", "worker"):
        if f"import {name};" in words:
            return name
    return "sandbox" if "imaging.zygote" in words else "supervisor"


def _private(pid: int) -> int:
    """The memory that is this process's alone."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def picture(size: tuple[int, int]) -> bytes:
    """A small JPEG with something in it."""
    small = Image.frombytes("RGB", (16, 12), Random(1).randbytes(16 * 12 * 3))
    file = BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def states(data: Path) -> Counter[str]:
    """How many jobs are in each state, by the store itself."""
    with sqlite3.connect(f"file:{data / 'safelight.db'}?mode=ro", uri=True) as store:
        return Counter(dict(store.execute("SELECT state, count(*) FROM jobs GROUP BY state")))


async def backlog(url: str, pid: int, data: Path, jobs: int) -> dict[str, Any]:
    """Upload all as fast as it goes; ask for one job again and again until all have ended."""
    latencies: dict[str, list[float]] = {}
    sampler = Sampler(pid, data)
    sampling = asyncio.create_task(sampler.run())
    body = picture((320, 240))
    ids: list[str] = []

    async def client(count: int) -> None:
        mine = Client(url, latencies)
        for _ in range(count):
            ids.append(await mine.submit(body))
            await mine.look(ids[-1])
        mine.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client(count) for count in _shares(jobs, CLIENTS)))
    uploaded = time.perf_counter() - begun
    probe, turn = Client(url, latencies), 0
    while sum(count for state, count in states(data).items() if state in TERMINAL) < jobs:
        for _ in range(10):
            await probe.look(ids[turn % jobs])
            turn += 97
            await asyncio.sleep(0.05)
    took = time.perf_counter() - begun
    ends: Counter[str] = Counter()
    for job_id in ids:
        ends[await probe.look(job_id)] += 1
    probe.close()
    sampling.cancel()
    return {
        "latencies": latencies,
        "samples": sampler.samples,
        "ends": ends,
        "uploaded": uploaded,
        "took": took,
    }


async def soak(url: str, pid: int, data: Path, jobs: int) -> dict[str, Any]:
    """Each client uploads and follows its job to the end, then the next, until all are done."""
    latencies: dict[str, list[float]] = {}
    sampler = Sampler(pid, data)
    sampling = asyncio.create_task(sampler.run())
    body = picture((64, 48))
    ends: Counter[str] = Counter()
    begun = time.perf_counter()

    async def client(count: int) -> None:
        mine = Client(url, latencies)
        for _ in range(count):
            job_id = await mine.submit(body)
            ends[await mine.follow(job_id)] += 1
            if ends.total() % 5000 == 0:
                print(
                    f"{ends.total()} jobs, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True
                )
        mine.close()

    await asyncio.gather(*(client(count) for count in _shares(jobs, SOAK_CLIENTS)))
    took = time.perf_counter() - begun
    sampling.cancel()
    await asyncio.sleep(RETENTION_SECONDS + 10)
    return {
        "latencies": latencies,
        "samples": sampler.samples,
        "ends": ends,
        "took": took,
        "left": states(data).total(),
        "files": sum(len(files) for _, _, files in os.walk(data / "files")),
    }


def _shares(total: int, parts: int) -> Iterator[int]:
    for number in range(parts):
        yield total // parts + (number < total % parts)


def growth(samples: Sequence[dict[str, int]], *, from_: float) -> str:
    """What was held after the start, in the middle and at the end: the median of a tenth of the samples each."""
    names = sorted({name for sample in samples for name in sample})
    rows = []
    for name in names:
        if name.startswith("sandbox"):
            continue  # one process a job: what is left of the last ones says nothing
        values = [sample.get(name, 0) for sample in samples]
        tenth = max(1, len(values) // 10)
        start = int(len(values) * from_)
        middle = len(values) // 2
        parts = (values[start : start + tenth], values[middle : middle + tenth], values[-tenth:], values)
        first, half, last = (sorted(part)[len(part) // 2] for part in parts[:3])
        unit = (lambda n: f"{n / 2**20:.1f} MiB") if ("memory" in name or "bytes" in name) else str
        rows.append([name, unit(first), unit(half), unit(last), unit(max(parts[3]))])
    return table(["", "after the start", "in the middle", "at the end", "most"], rows)


def speeds(latencies: dict[str, list[float]]) -> str:
    """Latencies of each call."""
    rows = [
        [
            name,
            str(len(values)),
            f"{percentile(values, 0.5) * 1e3:.1f}",
            f"{percentile(values, 0.99) * 1e3:.1f}",
            f"{max(values) * 1e3:.0f}",
        ]
        for name, values in sorted(latencies.items())
    ]
    return table(["call", "calls", "p50 ms", "p99 ms", "worst ms"], rows)


def told(ends: Counter[str]) -> str:
    """How the jobs ended, in words."""
    return ", ".join(f"{count} {state or 'lost'}" for state, count in ends.most_common())


def section_backlog(jobs: int) -> str:
    """Measure a backlog of so many jobs."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with server(data) as (url, pid):
            found = asyncio.run(backlog(url, pid, data, jobs))
    api = [
        value for name, values in found["latencies"].items() if not name.startswith("PUT") for value in values
    ]
    return (
        f"## {jobs} jobs from {CLIENTS} clients\n\n"
        f"320 × 240 pixels each; uploaded in {found['uploaded']:.0f} s, all ended after {found['took']:.0f} s"
        f" ({jobs / found['took']:.0f} jobs/s): {told(found['ends'])}."
        f" p99 of the API **{percentile(api, 0.99) * 1e3:.0f} ms** (goal: {GOAL_P99 * 1e3:.0f}).\n\n"
        f"{speeds(found['latencies'])}\n\n{growth(found['samples'], from_=0.1)}\n"
    )


def section_soak(jobs: int) -> str:
    """Measure so many jobs, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        retention = str(RETENTION_SECONDS / 86400)
        settings = {"SAFELIGHT_RETENTION_DAYS": retention, "SAFELIGHT_SWEEP_SECONDS": "1"}
        with server(data, **settings) as (url, pid):
            found = asyncio.run(soak(url, pid, data, jobs))
    # The store and the caches are full once the first jobs have been erased.
    start = min(0.5, (RETENTION_SECONDS + 20) / found["took"])
    return (
        f"## {jobs} jobs, a retention of {RETENTION_SECONDS:.0f} s\n\n"
        f"64 × 48 pixels each, {SOAK_CLIENTS} clients that follow each job to its end: {found['took']:.0f} s"
        f" ({jobs / found['took']:.0f} jobs/s), {told(found['ends'])}. When all retention was over,"
        f" {found['left']} jobs and {found['files']} files were left.\n\n"
        f"{speeds(found['latencies'])}\n\n{growth(found['samples'], from_=start)}\n"
    )


def main(words: Sequence[str]) -> None:
    """Measure what the words ask for, and print each section."""
    print(machine(), flush=True)
    if words[:1] == ["soak"]:
        print(section_soak(int(words[1]) if len(words) > 1 else 100_000))
        return
    for jobs in map(int, words or ("1000", "10000")):
        print(section_backlog(jobs), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
