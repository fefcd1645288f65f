"""The supervisor: nothing that befalls one of its processes ends it, and Ctrl-C twice ends it at once."""

import signal
import subprocess
import sys
import time

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
