"""What became of each file: a line for people, a document for programs, a summary at the end."""

from pathlib import Path
from typing import Any, NamedTuple

from safelight.entrypoints.cli.progress import Board
from safelight.entrypoints.cli.terminal import (
    DIM,
    GREEN,
    complain,
    in_bytes,
    in_json,
    in_seconds,
    named,
    paint,
    with_advice,
)


class Saved(NamedTuple):
    """One output, where it is now."""

    name: str
    path: Path
    bytes: int
    width: int
    height: int


class Result(NamedTuple):
    """The end of one file: outputs, or a code and a sentence that say why there are none."""

    file: Path
    status: str
    seconds: float
    job_id: str | None = None
    saved: tuple[Saved, ...] = ()
    code: str | None = None
    message: str | None = None
    explained: tuple[str, ...] = ()
    """What it took, line by line."""
    ended: bool = False
    """Whether the server said that the job has come to an end without outputs: to ask again changes nothing."""

    name: str = ""
    """What people called it, if that was not a file."""

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return self.code is None

    def line(self) -> str:
        """A good result for people."""
        outputs = ", ".join(f"{named(saved.path)} ({in_bytes(saved.bytes)})" for saved in self.saved)
        what = outputs or f"{self.status} as job {self.job_id}"
        name, took = named(self.name or self.file), paint(in_seconds(self.seconds), DIM)
        return f"{paint('✓', GREEN)} {name} → {what}  {took}"

    def document(self) -> dict[str, Any]:
        """The result for programs."""
        return {
            "file": None if self.file == Path() else str(self.file),
            "jobId": self.job_id,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "outputs": [saved._asdict() | {"path": str(saved.path)} for saved in self.saved],
            **({"explained": list(self.explained)} if self.explained else {}),
            "error": None if self.ok else {"code": self.code, "message": self.message},
        }


def report(board: Board, result: Result, *, as_json: bool) -> None:
    """Tell the end of one file: what went wrong on standard error, results on standard output."""
    if not result.ok:
        said = with_advice(result.message or "", result.code)
        board.complain(f"{named(result.name or result.file)}: {said} [{result.code}]")
    if as_json:
        board.say(in_json(result.document()))
    elif result.ok:
        board.say("\n".join((result.line(), *result.explained)))


def summary(results: list[Result]) -> int:
    """The exit code. Where files failed among several, say how many."""
    failed = sum(not result.ok for result in results)
    if failed and len(results) > 1:
        what = "jobs" if results[0].name else "files"
        complain(f"{failed} of {len(results)} {what} failed.")
    return 1 if failed else 0
