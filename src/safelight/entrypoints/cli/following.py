"""Following jobs to their ends, and saving what became of them: what `upload`, `watch` and `jobs save` do alike."""

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from safelight.entrypoints.cli.files import DEFAULT_OUT, reason
from safelight.entrypoints.cli.progress import Bar, Board
from safelight.entrypoints.cli.results import Result, Saved
from safelight.entrypoints.cli.terminal import DEFAULT_API
from safelight.errors import SafelightError

if TYPE_CHECKING:
    from safelight.client import Job

AT_ONCE: Final = 16
"""Files under way at once: enough to keep every worker busy while others are sent and fetched."""


def save_later(job_id: str, api: str, out: Path) -> str:
    """What to do for the results of a job that is not waited for, to have them where they were meant to be."""
    known = os.environ.get("SAFELIGHT_API", DEFAULT_API)
    where = "" if api.rstrip("/") == known.rstrip("/") else f" --api {shlex.quote(api)}"
    if out != DEFAULT_OUT:
        where += f" --out {shlex.quote(str(out))}"
    return f"`safelight jobs save {job_id}{where}` waits for it and saves its results."


class Following:
    """What is done with each job, once there is one: it is waited for, and its outputs are saved in `out`."""

    def __init__(self, api: str, board: Board, out: Path | None) -> None:
        """Without `out` nothing is waited for."""
        self._api = api
        self._board = board
        self._out = out
        self._met = False

    def __call__(
        self, file: Path, below: Path, find: "Callable[[Bar], Job]", *, known: str | None = None
    ) -> Result:
        """Find the job of a file, and see it through. The results belong `below` the folder of all.

        `known` is the job's id where it is known beforehand, and nothing is sent.
        """
        bar = self._board.bar(file.name)
        start = time.monotonic()
        try:
            return self._carry_out(file, below, find, bar, start, known)
        finally:
            bar.close()

    def _carry_out(
        self,
        file: Path,
        below: Path,
        find: "Callable[[Bar], Job]",
        bar: Bar,
        start: float,
        known: str | None,
    ) -> Result:
        from safelight.client import EmptyFile, NotCompleted, Unreachable

        job_id = known
        state = "FAILED"
        try:
            job = find(bar)
            job_id, self._met = job.id, True
            state = "PENDING"
            if self._out is None:
                return Result(file, state, time.monotonic() - start, job_id)
            for status in job.watch():
                state = status.status
                bar.at(0.4 + 0.4 * status.progress, status.stage or status.status.lower())
            bar.at(0.9, "saving")
            paths = job.save(self._out / below)
        except Unreachable as error:
            if not self._met:
                raise  # there never was a server: the other files would fare no better
            message = f"{error.message} {self._left(job_id, state, below, sent=known is None)}"
            return Result(file, state, time.monotonic() - start, job_id, code=error.code, message=message)
        except NotCompleted as error:
            failed = _failed(file, start, job_id, error.code, error.message)
            return failed._replace(ended=True)
        except EmptyFile as error:  # its own words, as the file is named in front of them
            return _failed(file, start, job_id, error.code, EmptyFile().message)
        except SafelightError as error:
            return _failed(file, start, job_id, error.code, error.message)
        except OSError as error:
            return _failed(file, start, job_id, "unreadable", reason(error, file))
        saved = tuple(
            Saved(output.name, path, output.bytes, output.width, output.height)
            for output, path in zip(job.status.outputs, paths, strict=True)
        )
        return Result(file, job.status.status, time.monotonic() - start, job_id, saved)

    def _left(self, job_id: str | None, state: str, below: Path, *, sent: bool) -> str:
        """How things are left when the server has gone, and what to do."""
        if job_id is None:
            return "The file was not sent."
        later = save_later(job_id, self._api, (self._out or DEFAULT_OUT) / below)
        if sent:
            return f"The file was sent and is job {job_id}: {later}"
        if state in ("PENDING", "PROCESSING"):
            return f"Job {job_id} goes on; {later}"
        return f"Not everything of job {job_id} is saved; {later}"


def _failed(file: Path, start: float, job_id: str | None, code: str, message: str) -> Result:
    return Result(file, "FAILED", time.monotonic() - start, job_id, code=code, message=message)
