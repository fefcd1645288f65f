"""A child that has been taken over reaches nothing: no file, no port, no process, and no secret of any of them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.journeys.serving import COMMAND, READY, environment
from tests.unit.imaging.conftest import content, render_with

from safelight.config import Settings
from safelight.errors import OutputTooLarge
from safelight.imaging import SandboxedRenderer, landlock, wire
from safelight.recipes import build, canonical

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these locks are Linux's")

SECRET = "hunter2-in-the-environment"

needs_landlock = pytest.mark.skipif(
    landlock.version() < 6, reason="this kernel has no Landlock, or an early one"
)

Try = Callable[..., str]


@pytest.fixture(params=["filtered", pytest.param("unfiltered", marks=needs_landlock)])
def attempt(request: pytest.FixtureRequest) -> Iterator[Try]:
    """What came of an attempt to get out, with all locks on, and with the filter of system calls open."""
    entry = "tests.hostile.escapes" if request.param == "filtered" else "tests.hostile.unfiltered"
    renderer = SandboxedRenderer(Settings(), entry=entry)
    assert ("syscalls" in renderer.start()) == (request.param == "filtered")

    def attempt(name: str, *pids: int) -> str:
        step = {"op": "watermark", "text": " ".join([name, *map(str, pids)])}
        recipe = {"version": 1, "steps": {"m": step}, "outputs": {"o": {"use": "m", "format": "jpeg"}}}
        rendering = render_with(renderer, b"the original", canonical(build(recipe)))
        said = content(rendering).decode()
        rendering.close()
        return said

    yield attempt
    renderer.close()


def test_no_other_system_call(request: pytest.FixtureRequest) -> None:
    """Every system call that is not on the list is refused, by both of its numbers."""
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("there is no list for this machine")
    renderer = SandboxedRenderer(Settings(), entry="tests.hostile.escapes")
    step = {"op": "watermark", "text": "calls"}
    recipe = {"version": 1, "steps": {"m": step}, "outputs": {"o": {"use": "m", "format": "jpeg"}}}
    rendering = render_with(renderer, b"the original", canonical(build(recipe)))
    assert content(rendering).endswith(b"not refused: []")
    rendering.close()
    renderer.close()


def test_no_file(attempt: Try) -> None:
    """No file can be read, written, made or listed."""
    assert attempt("files") == "PermissionError"


def test_no_port(attempt: Try) -> None:
    """No connection, no open port, no abstract socket."""
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.bind(f"\0safelight-test-{os.getpid()}")
        waiting.listen()
        assert attempt("ports", os.getpid()) == "PermissionError"


def test_no_parent(attempt: Try) -> None:
    """Of no process can a child read the environment, the memory or the descriptors; none can it trace or signal."""
    own = os.getpid()
    first = Path(f"/proc/{own}/stat").read_text().rpartition(")")[2].split()[1]
    assert attempt("parents", own, int(first), 1) == "PermissionError"


# --- the parents' own door --------------------------------------------------------------------------------

WITHOUT_POWERS = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for power in (19, 21, 38):  # CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON: with one of them, root may look at all
    libc.prctl(24, power, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""

READ = """
import sys
from pathlib import Path
for pid in sys.argv[1:]:
    for name in ("environ", "maps", "mem"):
        try:
            print(pid, name, Path(f"/proc/{pid}/{name}").open("rb").read(1000000 if name != "mem" else 0))
        except PermissionError:
            print(pid, name, "refused")
"""


def powerless(*words: str) -> list[str]:
    """A command that runs without the right to look into others' processes, which root has."""
    return [sys.executable, "-c", WITHOUT_POWERS, *words]


def test_no_process_of_the_tree_shows_its_secrets(tmp_path: Path) -> None:
    """Supervisor, front, keeper and workers are closed to other processes of the same user: what is in their
    environment and memory can not be read in `/proc`, even by one that no other lock holds."""
    server = subprocess.Popen(
        powerless(*COMMAND, "serve", "--port", "0", "--data", str(tmp_path / "data"), "--workers", "1"),
        env=environment() | {"AWS_SECRET_ACCESS_KEY": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    open_door = subprocess.Popen(powerless("/bin/sleep", "60"), env={"AWS_SECRET_ACCESS_KEY": SECRET})
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith(READY)
        tree = _tree(server.pid)
        assert len(tree) >= 5  # supervisor, front, keeper, worker, zygote
        said = _read(open_door.pid)
        assert SECRET in said  # so a process that does not hide would be found
        said = _read(*tree)
        open_to_others = [line.split()[0] for line in said.splitlines() if "refused" not in line]
        assert [Path(f"/proc/{pid}/cmdline").read_text() for pid in open_to_others] == []
        assert said.count("refused") == 3 * len(tree)
    finally:
        for process in (open_door, server):
            process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.communicate(timeout=20)
        open_door.wait(10)


def _read(*pids: int) -> str:
    run = subprocess.run(
        powerless(sys.executable, "-c", READ, *map(str, pids)), capture_output=True, text=True
    )
    return run.stdout


def _tree(root: int) -> list[int]:
    """A process and all that it has started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


# --- what outputs may take --------------------------------------------------------------------------------


def test_outputs_are_limited_all_together() -> None:
    """A child that fills every output up to the limit of one is ended while it does, not when memory is gone."""
    renderer = SandboxedRenderer(Settings(render_output=20_000_000), entry="tests.hostile.flood")
    outputs = {f"o{number}": {"format": "jpeg"} for number in range(50)}
    with pytest.raises(OutputTooLarge):
        render_with(renderer, b"the original", canonical(build({"version": 1, "outputs": outputs})))
    renderer.close()
    assert wire.LOOK_SECONDS < 1
