"""The supervisor: nothing that befalls one of its processes ends it, and Ctrl-C twice ends it at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from safelight import bootstrap
from safelight.config import Settings
from safelight.entrypoints import server
from safelight.entrypoints.server import Child, Supervisor
from safelight.errors import ConfigurationError
from safelight.threads import cores

SUPERVISE = """
import os, sys
from safelight.entrypoints.server import Child, Supervisor
from safelight.errors import StorageUnavailable

class Site:
    def free_claims_of(self, name):
        raise StorageUnavailable

def child(name, call):
    return Child(name, f"process:say_ready() or {call}", dict(os.environ))

class Scarce(Child):
    starts = 0
    def start(self):
        Scarce.starts += 1
        if Scarce.starts == 2:
            raise OSError("no more processes")
        super().start()

children = [
    child("deaf", "process.signal.signal(process.signal.SIGTERM, process.signal.SIG_IGN) or process.time.sleep(60)"),
    Scarce("short", "process:say_ready() or process.time.sleep(0.1)", dict(os.environ)),
]
sys.exit(Supervisor(children, Site()).run("ready"))
"""


def test_a_supervisor_outlives_what_befalls_its_processes() -> None:
    """A process that dies while the store is away, and can not be started again at once, takes no other along. The
    first Ctrl-C asks everybody to end; the second ends those who do not."""
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stderr is not None
        assert supervisor.stdout.readline() == "ready\n"
        while "no more processes" not in supervisor.stderr.readline():
            pass
        assert supervisor.poll() is None
        supervisor.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert supervisor.poll() is None
        start = time.monotonic()
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(10) == 0
        assert time.monotonic() - start < 5


def test_asked_to_stop_while_it_starts() -> None:
    """It starts nobody else."""

    class Asking(Child):
        def start(self) -> None:
            started.append(self.name)
            os.kill(os.getpid(), signal.SIGTERM)

    started: list[str] = []
    children: list[Child] = [Asking(name, "", {}) for name in ("one", "two")]
    assert Supervisor(children, cast(bootstrap.Site, None)).run("ready") == 0
    assert started == ["one"]


def test_more_workers_than_a_machine_can_use() -> None:
    """A thousand processes would take all of its memory before the first picture."""
    most = bootstrap.WORKERS_A_CORE * cores()
    bootstrap.check(Settings(workers=most))
    with pytest.raises(
        ConfigurationError, match=rf"SAFELIGHT_WORKERS: {most + 1} workers .* Give {most} at most"
    ):
        bootstrap.check(Settings(workers=most + 1))


def test_what_else_is_in_a_data_folder(tmp_path: Path) -> None:
    """Photos that Safelight would settle among are told of; hidden files and a folder that is missing are fine."""
    told = server._others_in
    assert told(tmp_path / "missing") == ""
    (tmp_path / ".hidden").touch()
    assert told(tmp_path) == ""
    for name in ("c.jpg", "a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    assert told(tmp_path) == "a.jpg, b.jpg and 1 more"
