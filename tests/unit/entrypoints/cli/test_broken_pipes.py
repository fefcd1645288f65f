"""Two pipes that break: that of our own output, which is no error, and a connection, which is."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

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


def pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def sockets() -> int:
    near, far = socket.socketpair()
    far.close()
    return near.detach()


@pytest.mark.parametrize("unread", [pipe, sockets])
def test_who_reads_our_output_has_seen_enough(unread: Callable[[], int]) -> None:
    """As `safelight jobs ls | head -1`, or below a program that gives its children sockets: nothing is said of it."""
    with os.fdopen(unread(), "w") as closed:
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


@pytest.mark.parametrize("output", [None, io.StringIO()])
def test_without_a_file_for_our_output_it_was_another_pipe(
    output: io.StringIO | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a program that calls `run` and collects what it says."""

    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setattr(sys, "stdout", output)
    assert cli.run([]) == cli.FAILED
    assert "Broken pipe" in capsys.readouterr().err
