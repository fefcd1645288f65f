"""Files that go in parts, from the client's side, on a real server: also after they were cut off."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.journeys.serving import Server, client, image

from safelight import Client
from safelight.client import AnotherFile, Refused


class Line(httpx.BaseTransport):
    """The network, which breaks once so many parts have been answered; it counts those that came through."""

    def __init__(self, parts: int = 1000) -> None:
        self._inner = httpx.HTTPTransport()
        self._left = self._open = parts
        self._lock = threading.Condition()
        self.parts: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        number = request.url.params.get("partNumber")
        if number is not None:
            with self._lock:
                self._left -= 1
                if self._left < 0:
                    assert self._lock.wait_for(lambda: not self._open, 30)
                    return httpx.Response(418, request=request)
                self.parts.append(number)
            answer = self._inner.handle_request(request)
            with self._lock:
                self._open -= 1
                self._lock.notify_all()
            return answer
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("large") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 40 MB: what follows its end is no part of it."""
    path = tmp_path_factory.mktemp("large") / "beach.jpg"
    path.write_bytes(image() + b"\0" * 40_000_000)
    return path


def test_a_large_file_goes_in_parts(server: Server, large: Path, tmp_path: Path) -> None:
    """By itself: sent, put together, rendered and saved, and the progress is told to the last byte."""
    line, steps = Line(), list[tuple[int, int]]()
    with Client(server.url, transport=line) as safelight:
        job = safelight.upload(large, progress=lambda *step: steps.append(step)).wait()
        assert sorted(map(int, line.parts)) == [1, 2, 3, 4, 5]
        [path] = job.save(tmp_path)
    assert path.name == "beach-main.jpg"
    size = large.stat().st_size
    assert steps[-1] == (size, size)
    assert [sent for sent, _ in steps] == sorted(sent for sent, _ in steps)


def test_what_was_cut_off_goes_on(server: Server, large: Path) -> None:
    """Asked for again under the same key, only what has not arrived is sent, and it is the same job."""
    with Client(server.url, transport=Line(parts=3)) as broken, pytest.raises(Refused):
        broken.upload(large, idempotency_key="once")
    line = Line()
    with Client(server.url, transport=line) as safelight:
        first = safelight.upload(large, idempotency_key="once")
        sent = len(line.parts)
        again = safelight.upload(large, idempotency_key="once")
        assert sent < 5
        assert (len(line.parts), again.id) == (sent, first.id)
        assert first.wait().status.status == "COMPLETED"


def test_an_upload_is_resumed_by_its_job(server: Server, large: Path, tmp_path: Path) -> None:
    """By whoever knows its id; another file is refused, also by a job that has its own, which is left alone."""
    with Client(server.url, transport=Line(parts=2)) as broken, pytest.raises(Refused):
        broken.upload(large)
    other = tmp_path / "other.jpg"
    other.write_bytes(large.read_bytes()[:-1])
    with Client(server.url) as safelight:
        [job] = safelight.jobs(status="PENDING", limit=1)
        with pytest.raises(
            AnotherFile, match=r"^other\.jpg is not the file that was announced.* a job of its own"
        ):
            safelight.resume(job.id, other)
        assert safelight.resume(job.id, large).wait().status.status == "COMPLETED"
        assert safelight.resume(job.id, large).status.status == "COMPLETED"
        as_large = tmp_path / "as large.jpg"
        as_large.write_bytes(large.read_bytes()[:-1] + b"1")
        for another in (other, as_large):
            with pytest.raises(AnotherFile) as told:
                safelight.resume(job.id, another)
            assert told.value.message == (
                f"Job {job.id} has its file, and {another.name} is another one; name that one, "
                "or send this one as a job of its own."
            )


def test_a_part_that_is_not_the_files_is_sent_again(server: Server, large: Path) -> None:
    """What has arrived under a part's number counts only if it is that part."""
    with client(server.url) as http:
        said = {"filename": "a.jpg", "size": large.stat().st_size, "multipart": True}
        job_id = http.post("/uploads", json=said).json()["jobId"]
        part = http.get(f"/uploads/{job_id}/parts").json()["parts"][4]
        body = b"1" * int(part["headers"]["Content-Length"])
        assert httpx.put(part["url"], content=body, trust_env=False).status_code == 200
    line = Line()
    with Client(server.url, transport=line) as safelight:
        assert safelight.resume(job_id, large).wait().status.status == "COMPLETED"
    assert "5" in line.parts


def test_a_damaged_part_is_not_taken(server: Server, large: Path) -> None:
    """Storage compares each part with the MD5 that came along."""
    with client(server.url) as http:
        said = {"filename": "a.jpg", "size": large.stat().st_size, "multipart": True}
        job_id = http.post("/uploads", json=said).json()["jobId"]
        part = http.get(f"/uploads/{job_id}/parts").json()["parts"][4]
        body = b"1" * int(part["headers"]["Content-Length"])
        answer = httpx.put(
            part["url"], content=body, headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, trust_env=False
        )
        assert (answer.status_code, "BadDigest" in answer.text) == (400, True)
        assert http.get(f"/uploads/{job_id}/parts").json()["uploaded"] == []
