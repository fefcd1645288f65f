"""A server that answers as a test wants it to, and what it answers."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from safelight.client import Client

API = "http://safelight.test"


BODY = b"the finished picture"


Answer = httpx.Response | Exception


class Script:
    """Answers requests one after the other, by method and path, and remembers them."""

    def __init__(self, answers: Mapping[str, Answer | Sequence[Answer]]) -> None:
        self.seen: list[httpx.Request] = []
        self._answers = {
            name: iter(given) if isinstance(given, Sequence) else given for name, given in answers.items()
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        name = f"{request.method} {request.url.path}"
        given = self._answers[next(key for key in self._answers if name.startswith(key))]
        answer = next(given) if isinstance(given, Iterator) else given
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        """A client of this server."""
        return Client(API, transport=httpx.MockTransport(self))


def job(status: str = "COMPLETED", **fields: Any) -> httpx.Response:
    """A job as the API tells it."""
    return httpx.Response(
        200, json={"jobId": "j", "status": status, "source": {"filename": "a.jpg"}} | fields
    )


def completed(sha256: str = hashlib.sha256(BODY).hexdigest()) -> httpx.Response:
    """A job with one output."""
    output = {
        "name": "main",
        "url": f"{API}/files/main.jpg?signed",
        "contentType": "image/jpeg",
        "width": 3,
        "height": 2,
        "bytes": len(BODY),
        "sha256": sha256,
    }
    return job(outputs=[output])


def problem(status: int, code: str, detail: str, **headers: str) -> httpx.Response:
    """A refusal."""
    body = {"type": f"urn:safelight:problem:{code}", "code": code, "detail": detail}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"} | headers)


GRANT = {"jobId": "j", "uploadUrl": f"{API}/files/a.jpg?signed", "uploadHeaders": {"x-signed": "yes"}}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made, and the clock shows that they were."""
    made: list[float] = []
    real = time.monotonic
    monkeypatch.setattr("time.sleep", made.append)
    monkeypatch.setattr("time.monotonic", lambda: real() + sum(made))
    return made


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"some bytes" * 20_000)
    return path


def events(*states: str) -> httpx.Response:
    """A stream of events."""
    text = "retry: 2000\n\n" + "".join(
        f": comment\nevent: job\nid: 1\ndata: {json.dumps({'jobId': 'j', 'status': state})}\n\n"
        for state in states
    )
    return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})


def batch(done: bool, **counts: int) -> httpx.Response:
    """A batch as the API tells it."""
    said = {"batchId": "b", "total": 2, "counts": counts, "deleted": 0, "done": done, "items": []}
    return httpx.Response(200, json=said, headers={} if done else {"retry-after": "3"})


BATCH_GRANT = {"batchId": "b", "jobs": [GRANT | {"jobId": name} for name in ("j", "k")]}
