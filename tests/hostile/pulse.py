"""The API's pulse, taken from outside: `python -m tests.hostile.pulse URL` asks it again and again, tells what it has
found for each line of its standard input, and ends with it."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import httpx

PATHS: Final = ("/health", "/jobs?limit=1")

PAUSE: Final = 0.02
"""Seconds between an answer and the next request."""


@dataclass
class Found:
    """What the API has answered so far."""

    answers: int = 0
    longest: float = 0.0
    """Seconds: the longest that an answer took."""
    refused: list[int] = field(default_factory=list)
    """Every status that was not 200."""


class Pulse:
    """Asks in a process of its own: a thread of this one would wait for the others, and take that for the API's."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, url],
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
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Found(**json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        """Ask no more."""
        self._process.communicate(timeout=60)


def main(url: str) -> None:
    """Ask until the standard input ends."""
    found, ended = Found(), threading.Event()
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        http.get(PATHS[0])
        threading.Thread(target=_tell, args=(found, ended)).start()
        while not ended.wait(PAUSE):
            asked = time.monotonic()
            answer = http.get(PATHS[found.answers % len(PATHS)])
            found.longest = max(found.longest, time.monotonic() - asked)
            found.answers += 1
            if answer.status_code != 200:
                found.refused.append(answer.status_code)


def _tell(found: Found, ended: threading.Event) -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
        sys.stdout.flush()
    ended.set()


if __name__ == "__main__":
    main(sys.argv[1])
