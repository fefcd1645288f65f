"""Clients that are slow on purpose, against a real server: they are cut off, and nobody else notices them."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from tests.journeys.serving import Server, client, image, submit, wait

pytestmark = pytest.mark.embedded

HEAD = b"POST /uploads HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little patience."""
    data = tmp_path_factory.mktemp("slow") / "data"
    with Server(
        data, "--workers", "1", header_seconds="1", stall_seconds="1", max_header_bytes="4096"
    ) as server:
        yield server


def dial(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname
    return socket.create_connection((address.hostname, address.port or 80), timeout=10)


def answer(connection: socket.socket) -> bytes:
    """Everything that comes until the server closes. A reset is an end, too."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def test_slowloris(server: Server) -> None:
    """Two hundred connections that send a byte now and then are all cut off within seconds, and meanwhile a job of
    somebody else goes its whole way, with no answer that takes longer than a second."""
    with ExitStack() as stack, client(server.url) as http:
        slow = [stack.enter_context(dial(server)) for _ in range(200)]
        for connection in slow:
            connection.sendall(HEAD + b"X-A: ")
        began, longest, open_ = time.monotonic(), 0.0, list(slow)
        job_id = submit(http, image())
        while open_ and time.monotonic() < began + 15:
            asked = time.monotonic()
            assert http.get("/health").status_code == 200
            longest = max(longest, time.monotonic() - asked)
            for connection in open_:
                with suppress(OSError):
                    connection.send(b"a")
            ended, _, _ = select.select(open_, [], [], 0.1)
            open_ = [connection for connection in open_ if connection not in ended]
        assert open_ == []
        assert longest < 1.0
        assert wait(http, job_id)["status"] == "COMPLETED"


def test_a_head_that_is_late(server: Server) -> None:
    """What has begun is answered with 408; who never says a word is just cut off."""
    with dial(server) as begun, dial(server) as silent:
        begun.sendall(b"GET / HTTP/1.1\r\n")
        assert answer(begun).startswith(b"HTTP/1.1 408 ")
        assert answer(silent) == b""


def test_a_second_head_that_is_late(server: Server) -> None:
    """A connection that is kept alive is no way around: not with half a request, and not with empty lines."""
    for first, more in ((b"GET /", b"a"), (b"\r\n", b"\r\n")):
        with dial(server) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in connection.recv(65536)
            began = time.monotonic()
            connection.sendall(first)
            with suppress(OSError):
                while time.monotonic() < began + 10 and not select.select([connection], [], [], 0.2)[0]:
                    connection.sendall(more)
            answer(connection)
            assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X-A: " + b"a" * 5000 + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(1000)) + b"\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"X-A: " + b"a" * 5000,
    ],
    ids=["one long header", "many headers", "a long address", "a header without an end"],
)
def test_a_head_that_is_too_long(server: Server, head: bytes) -> None:
    """431 at once, whether it is one header or many, whole or not; and the connection is closed."""
    with dial(server) as connection:
        began = time.monotonic()
        connection.sendall(head)
        assert answer(connection).startswith(b"HTTP/1.1 431 ")
        assert time.monotonic() - began < 1


def test_a_head_without_an_end_does_not_fill_the_memory(server: Server) -> None:
    """However much is sent, no more than the limit is kept."""
    with dial(server) as connection, suppress(OSError):
        connection.sendall(HEAD + b"X-A: ")
        for _ in range(1000):
            connection.sendall(b"a" * 65536)
        pytest.fail("64 MB of a header were taken")


def test_a_body_that_drips(server: Server) -> None:
    """A body of a byte now and then is cut off, at the API and at the storage."""
    with client(server.url) as http:
        upload = urlsplit(http.post("/uploads", json={}).json()["uploadUrl"])
    for line in (b"POST /uploads", b"PUT " + f"{upload.path}?{upload.query}".encode()):
        with dial(server) as connection:
            connection.sendall(line + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")
            began = time.monotonic()
            with suppress(OSError):
                while not select.select([connection], [], [], 0.1)[0] and time.monotonic() < began + 10:
                    connection.sendall(b" ")
            assert answer(connection) == b""
            assert time.monotonic() - began < 5


def test_a_body_that_is_only_slow(server: Server) -> None:
    """A body that moves is received to its end, however long that takes."""
    with dial(server) as connection:
        body = b'{"filename": "a.jpg"}'.ljust(4000)
        connection.sendall(HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
        for start in range(0, len(body), 200):  # 1,000 bytes a second, for four seconds
            connection.sendall(body[start : start + 200])
            assert not select.select([connection], [], [], 0.2)[0] or start + 200 >= len(body)
        assert answer(connection).startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_nobody_reads(server: Server) -> None:
    """Who asks for large files and does not read them is cut off: when it reads at last, it gets only a part."""
    with client(server.url) as http:
        job_id = submit(http, image("png", (1600, 1200)))
        [output] = wait(http, job_id)["outputs"]
    url = urlsplit(output["url"])
    asked = 1 + 20_000_000 // output["bytes"]  # more than the kernel's buffers take
    request = b"GET " + f"{url.path}?{url.query}".encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    with dial(server) as connection:
        connection.sendall(request * asked)
        time.sleep(5)
        assert 0 < len(answer(connection)) < asked * output["bytes"]


def test_a_listener_is_not_slow(server: Server) -> None:
    """An event stream on which nothing happens for a while is left alone."""
    with client(server.url) as http:
        grant = http.post("/uploads", json={}).json()
        with http.stream("GET", f"/jobs/{grant['jobId']}/events") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("data:"))
            time.sleep(3)
            assert httpx.put(grant["uploadUrl"], content=image(), trust_env=False).status_code == 200
            assert any("COMPLETED" in line for line in lines)
