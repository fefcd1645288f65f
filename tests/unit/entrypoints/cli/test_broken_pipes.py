"""Two pipes that break: that of our own output, which is no error, and a connection, which is."""

import os
import subprocess
import sys

from safelight.entrypoints import cli

FAILING = """
import sys
from safelight.entrypoints import cli
def app(words, **_):
    print("a line", flush=True)
    raise BrokenPipeError(32, "Broken pipe")
cli.app = app
sys.exit(cli.run([]))
"""
"""The command line, with a command that says a line and finds a pipe broken."""


def test_who_reads_our_output_has_seen_enough() -> None:
    """As `safelight jobs list | head -1`: nothing is said of it."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        ended = subprocess.run(
            [sys.executable, "-c", FAILING], stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (ended.returncode, ended.stderr) == (cli.FAILED, "")


def test_a_connection_that_breaks_is_told() -> None:
    """While our output is read, it is another pipe that broke."""
    ended = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60)
    assert ended.returncode == cli.FAILED
    assert ended.stdout == "a line\n"
    assert "safelight: [Errno 32] Broken pipe." in ended.stderr.splitlines()
