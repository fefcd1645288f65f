"""A real Safelight in a process of its own, and what journeys need around it."""

import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from PIL import Image

COMMAND = [sys.executable, "-m", "safelight"]
READY = "Safelight is listening on "
TERMINAL = {"COMPLETED", "FAILED", "EXPIRED", "CANCELED"}

T = TypeVar("T")


def environment(**settings: str) -> dict[str, str]:
    """The environment of a test's processes: nobody's settings but the test's own, and no proxy."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_") and "proxy" not in k.lower()
    }
    return kept | {f"SAFELIGHT_{name.upper()}": value for name, value in settings.items()}


def safelight(
    *words: str | Path, cwd: Path | None = None, settings: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, as a script would: no terminal."""
    command = [*COMMAND, *(str(word) for word in words)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(**settings or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
    )


class Server:
    """`safelight serve`, on a free port unless one is given."""

    def __init__(self, data: Path, *words: str, port: int = 0, **settings: str) -> None:
        self.log = data.with_name(f"{data.name}.log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(port), "--data", str(data), *words],
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # so that everything it starts can be found again
            )
        try:
            self.url = self._ready()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _ready(self) -> str:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if readable else ""
        assert line.startswith(READY), f"{line!r}\n{self.log.read_text()}"
        return line.removeprefix(READY).strip()

    def processes(self) -> list[int]:
        """The ids of all living processes of the tree."""
        return [pid for pid, session in _sessions() if session == self.process.pid]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """`kill -9` every process of the tree, at once."""
        for pid in [self.process.pid, *self.processes()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


def _sessions() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if state != "Z":
                yield int(folder.name), int(session)


def until(what: Callable[[], T | None], *, within: float = 30.0) -> T:
    """Ask again and again until the answer is true, and return it."""
    end = time.monotonic() + within
    while not (answer := what()):
        assert time.monotonic() < end, (
            f"{what} was not true within {within} s; the last answer was {answer!r}"
        )
        time.sleep(0.02)
    return answer


def wait(http: httpx.Client, job_id: str, *, within: float = 30.0) -> dict[str, Any]:
    """The job, once it has reached its end."""

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = http.get(f"/jobs/{job_id}").raise_for_status().json()
        return job if job["status"] in TERMINAL else None

    return until(ended, within=within)


def submit(http: httpx.Client, body: bytes, **declared: Any) -> str:
    """Ask for an upload, send the file, and return the job's id."""
    grant = http.post("/uploads", json={"filename": "photo.jpg", **declared}).raise_for_status().json()
    put = http.put(grant["uploadUrl"], content=body, headers=grant["uploadHeaders"])
    assert put.status_code == 200, put.text
    return str(grant["jobId"])


def image(kind: str = "jpeg", size: tuple[int, int] = (320, 240), seed: int = 1) -> bytes:
    """A small picture with something in it, without a mark."""
    from random import Random

    small = Image.frombytes("RGB", (16, 12), Random(seed).randbytes(16 * 12 * 3))
    picture = small.resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, kind.upper(), quality=90)
    return file.getvalue()


def decoded(body: bytes) -> Image.Image:
    """The picture in these bytes, all of its pixels read."""
    picture = Image.open(io.BytesIO(body))
    picture.load()
    return picture


@contextmanager
def client(api: str) -> Iterator[httpx.Client]:
    """A plain HTTP client of an API."""
    with httpx.Client(base_url=api, timeout=30, trust_env=False) as http:
        yield http
