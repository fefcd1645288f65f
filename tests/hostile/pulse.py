"""The API's pulse, taken from outside: `python -m tests.hostile.pulse URL` asks it again and again, tells what it has
found for each line of its standard input, and ends with it."""

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Final

import httpx

PATHS: Final = ("/health", "/jobs?limit=1")

PAUSE: Final = 0.02
"""Seconds between an answer and the next request."""

TIMEOUT: Final = 30.0
"""Seconds without a byte after which a request counts as refused."""


@dataclass
class Found:
    """What the API has answered so far."""

    answers: int = 0
    """How often it said 200."""
    longest: float = 0.0
    """Seconds: the longest that an answer took, or that the open request has waited for one."""
    refused: dict[str, int] = field(default_factory=dict)
    """How often there was another status, or no answer at all, by the status or by what went wrong."""


class Pulse:
    """Asks in a process of its own: a thread of this one would wait for the others, and take that for the API's."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, url, str(timeout)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.found()  # it is at work

    def found(self) -> Found:
        """What it has found so far."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the pulse has ended with {self._process.wait(timeout=60)}"
        return Found(**json.loads(line))

    def stop(self) -> None:
        """Ask no more."""
        try:
            self._process.communicate(timeout=60)
        finally:
            self._process.kill()  # an answer that comes drop by drop never times out
        assert self._process.returncode == 0


class Asking:
    """Asks, and can tell at any time how that goes, from another thread, too."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._found = Found()
        self._since: float | None = None
        self._lock = threading.Lock()

    def ask(self, path: str) -> None:
        """Ask once."""
        began = self._since = time.monotonic()
        try:
            said = str(self._http.get(path).status_code)
        except httpx.HTTPError as error:
            said = repr(error)
        with self._lock:
            self._since = None
            self._found.longest = max(self._found.longest, time.monotonic() - began)
            if said == "200":
                self._found.answers += 1
            else:
                self._found.refused[said] = self._found.refused.get(said, 0) + 1

    def found(self) -> Found:
        """What has been found so far, the open request included."""
        with self._lock:
            waited = 0.0 if self._since is None else time.monotonic() - self._since
            longest = max(self._found.longest, waited)
            return replace(self._found, longest=longest, refused=dict(self._found.refused))


def main(url: str, timeout: float) -> None:
    """Ask until the standard input ends."""
    ended = threading.Event()
    with httpx.Client(base_url=url, timeout=timeout, trust_env=False) as http:
        http.get(PATHS[0])
        asking = Asking(http)
        # A daemon: if asking breaks, nobody must go on telling what was found before.
        threading.Thread(target=_tell, args=(asking, ended), daemon=True).start()
        for path in cycle(PATHS):
            if ended.wait(PAUSE):
                break
            asking.ask(path)


def _tell(asking: Asking, ended: threading.Event) -> None:
    try:
        for _ in sys.stdin:
            sys.stdout.write(json.dumps(asdict(asking.found())) + "\n")
            sys.stdout.flush()
    finally:
        ended.set()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
