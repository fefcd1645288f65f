"""The hostile suite's Safelight: a real server with two workers that tells what its rendering children took.

`make hostile` runs it at length; `make test` runs fewer mutants and all the rest.
"""

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
from tests.hostile.pulse import Pulse
from tests.journeys.serving import Server, client, submit, until

from safelight.config import FORMATS, Settings

WORKERS: Final = 2

STUCK: Final = 5.0
"""Seconds without an answer of the API from which it counts as stuck: far more than any load of this suite explains."""

EVERY: Final = (*FORMATS, "tiff", "heic")
"""All formats that Safelight can be told to let in."""

LIMITS: Final = Settings()


class Spent(NamedTuple):
    """What one rendering child took."""

    code: int
    cpu_seconds: float
    peak_bytes: int


class Besieged:
    """The server under attack, and what can be seen of it from outside."""

    def __init__(self, server: Server, http: httpx.Client) -> None:
        self.server = server
        self.http = http
        self.pulse = Pulse(server.url)
        self._workers = self.workers()

    def workers(self) -> dict[int, str]:
        """The processes of the tree that must outlive every file: all but the rendering children."""
        found: dict[int, str] = {self.server.process.pid: "supervisor"}
        for pid in sorted(self.server.processes()):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if match := re.search(r"import (\w+);", words):
                found[pid] = match[1]
            elif "imaging.zygote" in words and parent in found:
                found[pid] = "zygote"
        return found

    def attack(self, files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
        """Send all the files, wait for the end of each job, and return the jobs by the files' names."""
        ids = {name: submit(self.http, body) for name, body in files.items()}
        return {name: self.end_of(job_id) for name, job_id in ids.items()}

    def end_of(self, job_id: str) -> dict[str, Any]:
        """The job, once it has reached its end."""

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = self.http.get(f"/jobs/{job_id}").raise_for_status().json()
            return job if job["status"] in ("COMPLETED", "FAILED", "CANCELED", "EXPIRED") else None

        return until(ended, within=240.0)

    def spent(self) -> list[Spent]:
        """What every child took that has ended so far."""
        told = re.findall(
            r"a child ended code=(-?\d+) cpu_seconds=([\d.]+) peak_bytes=(\d+)", self.server.log.read_text()
        )
        return [Spent(int(code), float(cpu), int(peak)) for code, cpu, peak in told]

    def check(self) -> None:
        """Nothing but the jobs has come to harm."""
        assert self.workers() == self._workers
        log = self.server.log.read_text()
        assert "process ended" not in log
        assert "the zygote is gone" not in log
        assert "Traceback" not in log
        found = self.pulse.found()
        assert not found.refused
        assert found.longest < STUCK
        spent = self.spent()
        assert spent
        assert max(one.peak_bytes for one in spent) <= LIMITS.render_memory
        assert max(one.cpu_seconds for one in spent) <= LIMITS.render_cpu_seconds + 1.5


@pytest.fixture(scope="module")
def besieged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """A running Safelight that the whole module attacks; it lets in what the module's FORMATS say, or what it does by
    itself."""
    folder = tmp_path_factory.mktemp("hostile") / "data"
    formats = getattr(request.module, "FORMATS", ())
    settings: dict[str, Any] = {"log_level": "debug"} | ({"formats": ",".join(formats)} if formats else {})
    with Server(folder, "--workers", str(WORKERS), **settings) as server, client(server.url) as http:
        besieged = Besieged(server, http)
        try:
            yield besieged
        finally:
            besieged.pulse.stop()


def tell(besieged: Besieged, files: int, began: float, ends: str = "") -> None:
    """Show one line of what was measured, under `pytest -s` and `make hostile`."""
    spent, api = besieged.spent(), besieged.pulse.found()
    cpu, peak = max(one.cpu_seconds for one in spent), max(one.peak_bytes for one in spent) / 1e6
    sys.stdout.write(
        f"\n{files} files in {time.monotonic() - began:.0f} s; "
        f"children: {len(spent)}, at most {cpu:.2f} s of CPU and {peak:.0f} MB; "
        f"API: {api.answers} answers, slowest {api.longest * 1000:.0f} ms; {ends}\n"
    )


def mutants_wanted() -> int:
    """How many mutants to send."""
    return int(os.environ.get("SAFELIGHT_TEST_MUTANTS", "300"))
