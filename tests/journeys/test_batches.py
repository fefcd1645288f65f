"""Batches from the client's side, on a real server: also after they were cut off."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.journeys.serving import Server, image

from safelight import Client
from safelight.client import Refused

URLS_LAST = 2
"""Seconds."""


class Line(httpx.BaseTransport):
    """The network. It counts what is sent to the storage, holds up the first of it, and breaks after so much of it."""

    def __init__(self, *, sent: int = 1000, held_up: float = 0.0) -> None:
        self._inner = httpx.HTTPTransport()
        self._left = sent
        self._held_up = held_up
        self._lock = threading.Lock()
        self.sent: list[str] = []
        self.arrived = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        if request.method != "PUT":
            return self._inner.handle_request(request)
        with self._lock:
            pause, self._held_up = self._held_up, 0.0
            self._left -= 1
            if self._left < 0:
                return httpx.Response(418, request=request)
            self.sent.append(request.url.path)
        time.sleep(pause)
        answer = self._inner.handle_request(request)
        with self._lock:
            self.arrived += 1
        return answer

    def close(self) -> None:
        self._inner.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("batches") / "data", upload_seconds=str(URLS_LAST)) as server:
        yield server


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Six pictures, the last of which is none."""
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(image(seed=number))
    paths[-1].write_bytes(b"no picture")
    return paths


def test_a_batch_from_end_to_end(server: Server, files: list[Path], tmp_path: Path) -> None:
    """Sent, followed to the last end and saved: each job is of its file, in their order, one that failed among them."""
    steps: list[tuple[int, int]] = []
    with Client(server.url) as safelight:
        batch = safelight.upload_batch(
            files, metadata={"album": "summer"}, progress=lambda *step: steps.append(step)
        )
        seen = list(batch.watch(timeout=30))
        assert (seen[-1].total, seen[-1].done, batch.status) == (6, True, seen[-1])
        assert +Counter(seen[-1].counts) == {"COMPLETED": 5, "FAILED": 1}
        jobs = list(safelight.batch(batch.id).wait().jobs())
        assert [job.document["source"]["filename"] for job in jobs] == [file.name for file in files]
        assert {job.document["metadata"]["album"] for job in jobs} == {"summer"}
        saved = [path.name for job in jobs[:-1] for path in job.save(tmp_path / "out")]
        assert saved == [f"{number}-main.jpg" for number in range(5)]
        assert jobs[-1].status.complaint.startswith("The file looks like a text file")
    size = sum(file.stat().st_size for file in files)
    assert steps[-1] == (size, size)


def test_a_batch_that_was_cut_off_goes_on(server: Server, files: list[Path]) -> None:
    """Nothing is sent any more once the error is raised. Asked for again under its key it is the same batch, and only
    files that have not arrived are sent."""
    line = Line(sent=2, held_up=0.5)
    with Client(server.url, transport=line) as broken:
        with pytest.raises(Refused, match=r"\.jpg: .* answered 418"):
            broken.upload_batch(files, idempotency_key="cut")
        assert (len(line.sent), line.arrived) == (2, 2)
    line, steps = Line(), list[tuple[int, int]]()
    with Client(server.url, transport=line) as safelight:
        batch = safelight.upload_batch(
            files, idempotency_key="cut", progress=lambda *step: steps.append(step)
        )
        assert len(line.sent) == 4
        size = sum(file.stat().st_size for file in files)
        assert steps[-1] == (size, size)
        assert safelight.upload_batch(files, idempotency_key="cut").id == batch.id
        assert len(line.sent) == 4
        assert +Counter(batch.wait(timeout=30).status.counts) == {"COMPLETED": 5, "FAILED": 1}


def test_large_files_of_a_batch_go_in_parts(server: Server, files: list[Path]) -> None:
    """Each as it would alone."""
    with files[1].open("ab") as file:
        file.truncate(20_000_000)
    line = Line()
    with Client(server.url, transport=line) as safelight:
        batch = safelight.upload_batch(files[:2]).wait(timeout=30)
    assert batch.status.counts["COMPLETED"] == 2
    assert len(line.sent) > 2


def test_urls_that_ran_out_are_asked_for_again(server: Server, files: list[Path]) -> None:
    """A file whose turn comes late is sent all the same, in the same batch."""
    with Client(server.url, transport=Line(held_up=URLS_LAST + 1.1)) as safelight:
        batch = safelight.upload_batch(files[:3])
        assert batch.wait(timeout=30).status.counts["COMPLETED"] == 3
