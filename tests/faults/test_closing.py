"""The end of a process, while threads of it are still at work.

A file's descriptor is a number, and the number of what was closed is soon that of another file. A thread that outlives
the closing of the store must not write to it: what used to wake a worker would land in the database.
"""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from safelight.backends.embedded import Embedded
from safelight.backends.embedded.doorbell import Doorbell
from safelight.entrypoints.process import READY_FD
from safelight.errors import StorageUnavailable
from safelight.model import Wake
from safelight.ports import BlobInfo

WAKE = Wake(job_id="j1", key="uploads/j1/a.jpg", group="ann")


def test_a_doorbell_that_was_closed_rings_nowhere(tmp_path: Path) -> None:
    """Neither a ring nor the request to stop is written to the files that got its numbers; nothing is read of them."""
    bell = Doorbell(tmp_path / "bell")
    bell.close()
    others = [(tmp_path / str(number)).open("w+b", buffering=0) for number in range(8)]
    for other in others:
        other.write(b"content")
        other.seek(0)
    bell.ring()
    bell.stop()
    bell.drain()
    assert [other.tell() for other in others] == [0] * 8
    assert [other.read() for other in others] == [b"content"] * 8
    for other in others:
        other.close()


def test_a_thread_that_outlives_the_store_writes_nothing(tmp_path: Path) -> None:
    """It is told that the storage is away; the database stays what it was."""
    embedded = Embedded(tmp_path)
    embedded.queue.send(WAKE)
    embedded.close()
    before = (tmp_path / "safelight.db").read_bytes()
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            embedded.queue.send(WAKE)
        with pytest.raises(StorageUnavailable):
            embedded.jobs.get("j1")
    assert (tmp_path / "safelight.db").read_bytes() == before


def test_an_upload_in_hand_is_announced_before_the_store_closes(tmp_path: Path) -> None:
    """`close` waits for the storage's threads: what they have stored is in the queue, not left to the sweeper."""
    embedded = Embedded(tmp_path)
    writing, go_on = threading.Event(), threading.Event()

    def created(key: str, version: str, size: int) -> None:
        writing.set()
        assert go_on.wait(10)
        embedded.queue.send(WAKE)

    storage = embedded.storage(created)
    info: list[BlobInfo] = []

    def upload() -> None:
        info.append(embedded.blobs.put(WAKE.key, io.BytesIO(b"x"), content_type="image/jpeg"))
        created(WAKE.key, info[0].version, 1)

    storage._pool.submit(upload)
    assert writing.wait(10)
    closing = threading.Thread(target=embedded.close)
    closing.start()
    go_on.set()
    closing.join(10)
    again = Embedded(tmp_path)
    assert again.queue.depth() == 1
    again.close()


def test_a_process_whose_supervisor_died_before_it_looked_ends() -> None:
    """Its parent was another by the time it asked the kernel; the pipe of readiness tells that nobody waits for it."""
    reader, writer = os.pipe()
    script = "from safelight.entrypoints.process import end_with_parent; end_with_parent(); print('lives on')"
    environ = os.environ | {READY_FD: str(writer)}

    def start() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env=environ, pass_fds=[writer], capture_output=True, text=True)

    assert start().stdout == "lives on\n"
    os.close(reader)
    done = start()
    os.close(writer)
    assert (done.returncode, done.stdout) == (1, "")
