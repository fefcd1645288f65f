"""What the benchmarks share: the machine's description, medians, CPU time of process trees, a server to measure."""

import contextlib
import os
import platform
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """One line that says on what the figures were measured."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {model}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def chart(title: str, labels: Sequence[str], unit: str, values: Sequence[float]) -> str:
    """Bars, as a Mermaid diagram: what shows Markdown on the web draws it."""
    names = ", ".join(f'"{label}"' for label in labels)
    bars = ", ".join(f"{value:.3g}" for value in values)
    lines = [
        f'title "{title}"',
        f"x-axis [{names}]",
        f'y-axis "{unit}" 0 --> {max(values) * 1.1:.3g}',
        f"bar [{bars}]",
    ]
    return "\n    ".join(["```mermaid\nxychart-beta", *lines]) + "\n```"


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, new = [], [pid]
    while new:
        found += new
        new = [child for parent in new for child in parents.get(parent, [])]
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time that a process tree has taken: the living, and the dead whom somebody waited for."""
    total = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            total += sum(int(field) for field in _stat(member)[11:15])
    return total / TICK


def peak_memory(pid: int) -> int:
    """The largest resident size of one process so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def server(data: Path, *, workers: int = 0, **environ: str) -> Iterator[tuple[str, int]]:
    """A running `safelight serve` on a free port. Give its address and the supervisor's process id."""
    command = [sys.executable, "-m", "safelight", "serve", "--port", "0", "--data", str(data)]
    if workers:
        command += ["--workers", str(workers)]
    variables = {"SAFELIGHT_LOG_LEVEL": "warning"} | environ
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | variables)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " on " not in line:
            raise RuntimeError(f"the server did not start: {line!r}")
        yield line.split(" on ")[1].strip(), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
