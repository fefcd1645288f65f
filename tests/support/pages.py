"""The command blocks of the documentation, and a shell that runs them as a reader would: one after the other.

A block is fenced and names its language. What a test has to know stands in a comment on the line above it, which no
reader sees:

    <!-- server -->                 the block starts Safelight; the test has one running, on a port of its own
    <!-- not run: the reason -->    the block can not run here
"""

import os
import re
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).parents[2]
SHELL = ("sh", "console", "bash")
_FENCE = re.compile(
    r"^(?:<!-- (?P<said>[^\n]*?) -->\n)?(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fenced block. `said` is the comment above it."""

    page: str
    line: int
    language: str
    text: str
    said: str

    @property
    def reason(self) -> str:
        """Why it is not run; empty if it is."""
        return self.said.removeprefix("not run: ") if self.said.startswith("not run: ") else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page that people write; what is made from the code is checked elsewhere."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in found if "reference" not in path.parts]


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start("text")),
            found["language"],
            found["text"],
            found["said"] or "",
        )
        for found in _FENCE.finditer(text)
    ]


class Shell:
    """One shell for a whole page: what a block sets, the next one finds. A block that fails ends it.

    `said` is all that was printed so far, both streams in the order in which they came.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], program: str = "sh") -> None:
        self.folder = folder
        self.said = ""
        self._scripts = folder.with_name(f"{folder.name}-blocks")
        self._scripts.mkdir()
        self._count = 0
        # The blocks come through descriptor 3: nothing that they start can swallow the next one.
        loop = 'exec 3<&0 </dev/null; while IFS= read -r file <&3; do . "$file"; printf "\\036\\n"; done'
        self._process = subprocess.Popen(
            [program, "-euc", loop],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()

    @property
    def group(self) -> int:
        """The process group of the shell and of all that it started."""
        return self._process.pid

    def run(self, text: str, *, within: float = 40.0) -> str:
        """Run one block and return what it printed. Raise AssertionError if it fails or takes longer."""
        assert self._process.stdin
        assert self._process.stdout
        self._count += 1
        script = self._scripts / f"{self._count}.sh"
        script.write_text(text, encoding="utf-8")
        self._process.stdin.write(f"{script}\n".encode())
        self._process.stdin.flush()
        printed, end = b"", time.monotonic() + within
        while b"\036\n" not in printed:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))
            assert ready, (
                f"still running after {within} s:\n{text}\n--- printed:\n{printed.decode(errors='replace')}"
            )
            more = os.read(self._process.stdout.fileno(), 65536)
            assert more, f"failed:\n{text}\n--- printed:\n{printed.decode(errors='replace')}"
            printed += more
        printed = printed.replace(b"\036\n", b"")
        self.said += printed.decode(errors="replace")
        return printed.decode(errors="replace")
