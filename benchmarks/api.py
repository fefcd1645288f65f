"""POST /uploads and GET /jobs/{id} at 16 connections, beside a bare Litestar application that stores nothing.

The client is the same small one for both: raw sockets, one request at a time a connection.
"""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from measuring import machine, percentile, server, table

CONNECTIONS: Final = 16
REQUESTS: Final = 3000
ROUNDS: Final = 3

BARE: Final = """
import msgspec, uvicorn, socket, sys
from litestar import Litestar, get, post
class In(msgspec.Struct):
    filename: str | None = None
class Out(msgspec.Struct):
    jobId: str
    uploadUrl: str
    expiresIn: int
@post("/uploads", status_code=200, sync_to_thread=True)
def create(data: In) -> Out:
    return Out("0", "http://127.0.0.1/", 300)
@get("/jobs/{job_id:str}", sync_to_thread=True)
def show(job_id: str) -> Out:
    return Out(job_id, "http://127.0.0.1/", 300)
uvicorn.Server(uvicorn.Config(Litestar([create, show], openapi_config=None), log_level="error", http="httptools")).run(
    sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""


async def load(port: int, request: bytes, count: int) -> tuple[list[float], float]:
    """Send the request `count` times over all connections. Return each one's seconds, and the whole's."""
    times: list[float] = []
    left = iter(range(count))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            start = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode(errors="replace"))
            length = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            times.append(time.perf_counter() - start)
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return times, time.perf_counter() - start


def post(body: bytes) -> bytes:
    """The bytes of POST /uploads."""
    head = f"POST /uploads HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def get(path: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@contextlib.contextmanager
def bare() -> Iterator[int]:
    """The peer, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        process = subprocess.Popen(
            [sys.executable, "-c", BARE, str(bound.fileno())], pass_fds=[bound.fileno()]
        )
        try:
            yield bound.getsockname()[1]
        finally:
            process.terminate()
            process.wait(10)


def run() -> str:
    """Measure, and return the section of the report."""
    body = json.dumps({"filename": "beach.jpg"}).encode()
    kinds = ("POST /uploads", "GET /jobs/{id}")
    times: dict[tuple[str, str], list[float]] = {}
    spans: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (url, _), bare() as bare_port:
        port = int(url.rpartition(":")[2])
        job = asyncio.run(_first_job(port, body))
        for _ in range(ROUNDS):
            for who, where in (("Safelight", port), ("bare Litestar", bare_port)):
                for kind, request in zip(kinds, (post(body), get(f"/jobs/{job}")), strict=True):
                    took, span = asyncio.run(load(where, request, REQUESTS))
                    times.setdefault((kind, who), []).extend(took)
                    spans[kind, who] = spans.get((kind, who), 0.0) + span
    rows = []
    for kind in kinds:
        rates = {who: ROUNDS * REQUESTS / spans[kind, who] for who in ("Safelight", "bare Litestar")}
        for who, rate in rates.items():
            took = times[kind, who]
            rows.append(
                [
                    kind,
                    who,
                    f"{percentile(took, 0.5) * 1e3:.1f}",
                    f"{percentile(took, 0.99) * 1e3:.1f}",
                    f"{rate:.0f}",
                    f"{rate / rates['bare Litestar']:.2f}",
                ]
            )
    head = ["call", "server", "p50 ms", "p99 ms", "requests/s", "× bare"]
    return (
        f"## API\n\n{CONNECTIONS} connections, {ROUNDS * REQUESTS} requests each, in turns; client and server share "
        f"the machine. Each POST is one durable commit (fsync).\n\n{table(head, rows)}\n"
    )


async def _first_job(port: int, body: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(body))
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    answer = json.loads(await reader.readexactly(length))
    writer.close()
    return str(answer["jobId"])


if __name__ == "__main__":
    print(machine(), run(), sep="\n\n")
