"""A real server, real clients, and somebody who kills its processes at random: `kill -9` and SIGSTOP.

    supervisor, front, keeper, worker, zygote, child      what is killed, and how often, by WEIGHTS

Clients do what a client has to: they ask again when there was no answer. What they were answered is written down, and
the checker holds the server to it. Whoever watches sees every output as soon as it appears.
"""

import hashlib
import json
import os
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import httpx
from tests.faults.checker import Folder, Sighting, Violation, check, sightings
from tests.faults.lab import Lab
from tests.faults.promises import Promises
from tests.journeys.serving import TERMINAL, Server, image, until
from tests.support.servers import free_port

WEIGHTS: Final = {"supervisor": 2, "front": 2, "keeper": 1, "worker": 5, "zygote": 2, "child": 1, "pause": 1}
CLIENTS: Final = 6
WORKERS: Final = "3"
END_WITHIN: Final = 120.0
"""Seconds until a job has its end, after the last kill."""


class Victims:
    """The processes of a tree, by what they are."""

    def __init__(self, server: Server) -> None:
        parents: dict[int, tuple[int, str]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with suppress(OSError, IndexError):
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    parents[int(folder.name)] = (int(fields[1]), words)
        self.by_kind: dict[str, list[int]] = {"supervisor": [server.process.pid]}
        for pid, (parent, words) in parents.items():
            above = parents.get(parent, (0, ""))
            if parent == server.process.pid:
                found = re.search(r"import (front|keeper|worker);", words)
                self._add(found[1] if found else "", pid)
            elif "safelight.imaging.zygote" in words:
                grandparent = parents.get(above[0], (0, ""))
                if above[0] == server.process.pid:
                    self._add("zygote", pid)
                elif grandparent[0] == server.process.pid:
                    self._add("child", pid)

    def _add(self, kind: str, pid: int) -> None:
        if kind:
            self.by_kind.setdefault(kind, []).append(pid)


class Siege:
    """A server that is killed again and again until it has done all its jobs."""

    def __init__(self, folder: Path, *, jobs: int, kills: int, seed: int, pause: tuple[float, float]) -> None:
        self.data = folder / "data"
        self.told = Promises(folder / "data.told")
        self.kills: Counter[str] = Counter()
        self.seen: dict[str, Sighting] = {}
        self.starts = 0
        self.seconds = 0.0
        self._jobs, self._wanted = jobs, kills
        self._random = Random(seed)
        self._between = pause
        self._port = free_port()
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._over = threading.Event()
        self._paused: list[int] = []
        self.pictures = [image("jpeg", (64, 48), seed) for seed in range(8)]

    # --- clients ---

    def _client(self, share: int, number: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=10, trust_env=False) as http:
            for turn in range(share):
                # Not ahead of the killer: it has to find work in progress until the end.
                while (turn - 1) / share > self.killed / self._wanted:
                    time.sleep(0.05)
                self._submit(http, self.pictures[(number + turn) % len(self.pictures)])

    def _submit(self, http: httpx.Client, body: bytes) -> None:
        sha256 = hashlib.sha256(body).hexdigest()
        while True:
            with suppress(httpx.TransportError):
                answer = http.post("/uploads", json={"filename": "photo.jpg"})
                if answer.status_code == 200:
                    break
            time.sleep(0.05)
        grant = answer.json()
        self._tell("requested", job=grant["jobId"])
        self._tell("sending", sha256=sha256)
        while True:
            with suppress(httpx.TransportError):
                url = re.sub(r"^http://[^/]+", "", grant["uploadUrl"])
                if http.put(url, content=body).status_code == 200:
                    break
            time.sleep(0.05)
        self._tell("uploaded", job=grant["jobId"], sha256=sha256, at=time.time())
        with suppress(httpx.TransportError):
            answer = http.get(f"/jobs/{grant['jobId']}")
            if answer.status_code == 200 and (state := answer.json()["status"]) in TERMINAL:
                self._tell("answered", job=grant["jobId"], state=state)

    def _tell(self, event: str, **fields: object) -> None:
        with self._lock:
            self.told.tell(event, **fields)

    # --- the server, and who kills it ---

    def _start(self) -> None:
        self.starts += 1
        self._server = Server(
            self.data,
            "--workers",
            WORKERS,
            port=self._port,
            log_level="debug",
            sweep_seconds="0.5",
            max_attempts="20",
        )

    def _kill_one(self) -> None:
        assert self._server is not None
        victims = Victims(self._server).by_kind
        kinds = [kind for kind in WEIGHTS if kind == "pause" or victims.get(kind)]
        kind = self._random.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
        pid = self._random.choice(victims.get("worker" if kind == "pause" else kind) or [0])
        if not pid:
            return
        with suppress(ProcessLookupError):
            if kind == "pause":
                self._pause(pid)
                return
            os.kill(pid, signal.SIGKILL)
        self.kills[kind] += 1
        if kind == "supervisor":
            self._server.process.wait(10)
            server = self._server
            until(lambda: not server.processes())  # the tree dies with it
            self._start()

    def _pause(self, pid: int) -> None:
        """Let a worker sleep for a moment."""
        os.kill(pid, signal.SIGSTOP)
        self.kills["pause"] += 1
        time.sleep(self._random.uniform(0.05, 0.3))
        os.kill(pid, signal.SIGCONT)

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.seen |= sightings(self.data, known=self.seen)

    def run(self) -> None:
        """Everything, until all jobs have ended."""
        begun = time.monotonic()
        self._start()
        watching = threading.Thread(target=self._watch)
        watching.start()
        try:
            with ThreadPoolExecutor(CLIENTS) as pool:
                share = -(-self._jobs // CLIENTS)
                clients = [pool.submit(self._client, share, number) for number in range(CLIENTS)]
                while self.killed < self._wanted:
                    time.sleep(self._random.uniform(*self._between))
                    self._kill_one()
                for client in clients:
                    client.result()
            self._await_the_end()
        finally:
            self._over.set()
            watching.join()
            assert self._server is not None
            self._server.end()
        self._read_notices()
        self.seconds = time.monotonic() - begun

    @property
    def killed(self) -> int:
        """How many processes were killed; pauses do not count."""
        return self.kills.total() - self.kills["pause"]

    def check(self) -> list[Violation]:
        """What does not hold, before and after two hours in which a new server has nothing to do but tidy up."""
        found = check(self.data, self.told, seen=self.seen, within=END_WITHIN, swept=False)
        with Lab() as lab:
            lab.act("recovery", self.data)
        folder = Folder(self.data)
        named = {output["key"] for job in folder.jobs.values() for output in job.get("outputs", [])}
        seen = {key: sighting for key, sighting in self.seen.items() if key in named}
        return found + check(
            self.data, Promises(self.data.with_name("data.told")), seen=seen, within=END_WITHIN
        )

    def __str__(self) -> str:
        """What happened."""
        jobs = Folder(self.data).jobs.values()
        ends = Counter(job["state"] for job in jobs if job["id"] in self.told.uploaded)
        codes = Counter(job["failure"]["code"] for job in jobs if "failure" in job)
        again = sum(job.get("attempt", 0) > 1 for job in jobs)
        kills = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        return (
            f"{len(self.told.uploaded)} jobs uploaded, {self.killed} kills ({kills}), {self.starts} starts,"
            f" {self.seconds:.0f} s: {dict(ends)}, {dict(codes)}; {again} jobs took more than one attempt"
        )

    def _await_the_end(self) -> None:
        """Until every job has its end and every notice is told: nobody is killed any more."""
        end = time.monotonic() + END_WITHIN
        uploaded = json.dumps(list(self.told.uploaded))
        while time.monotonic() < end:
            with sqlite3.connect(f"file:{self.data / 'safelight.db'}?mode=ro", uri=True) as store:
                [left] = store.execute(_OPEN, [uploaded]).fetchone()
                [untold] = store.execute("SELECT count(*) FROM notices").fetchone()
            store.close()
            if not left and not untold:
                return
            time.sleep(0.2)

    def _read_notices(self) -> None:
        """The server's log tells of every notice that was delivered."""
        log = self.data.with_name("data.log").read_text(errors="replace")
        for job, state, notice in re.findall(r"job ended job=(\S+) state=(\S+) notice=(\S+)", log):
            self.told.tell("notice", id=notice, job=job, state=state)


_OPEN: Final = """
    SELECT count(*) FROM jobs WHERE state IN ('PENDING', 'PROCESSING') AND id IN (SELECT value FROM json_each(?))"""
