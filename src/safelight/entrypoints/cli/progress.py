"""Progress bars, where somebody looks; silence elsewhere."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from safelight.entrypoints.cli.terminal import complain, complaint, named, say, shown

if TYPE_CHECKING:
    from rich.progress import Progress


class Board:
    """A bar for all files, and one for each that is being worked on. Lines that are said go above the bars."""

    def __init__(self, title: str, total: int) -> None:
        self._progress = _bars() if sys.stderr.isatty() else None
        if self._progress is not None:
            self._all = self._progress.add_task(title, total=total, stage="")

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line of the result."""
        if self._progress is not None and sys.stdout.isatty():
            from rich.text import Text

            self._progress.console.print(Text.from_ansi(shown(line)), soft_wrap=True)
        else:
            say(line)

    def complain(self, message: str) -> None:
        """Say in one line what is wrong with a file."""
        if self._progress is not None:
            from rich.text import Text

            self._progress.console.print(Text.from_ansi(complaint(message)), soft_wrap=True)
        else:
            complain(message)

    def bar(self, name: str) -> "Bar":
        """A bar for one file; close it when the file is done."""
        return Bar(self._progress, name, self._all if self._progress is not None else None)


class Bar:
    """The bar of one file, from 0 to 1. Where there are no bars, nothing happens."""

    def __init__(self, progress: "Progress | None", name: str, overall: object) -> None:
        self._progress = progress
        self._overall = overall
        if progress is not None:
            self._task = progress.add_task(f"  {named(name)}", total=1.0, stage="")

    def at(self, part: float, stage: str) -> None:
        """The file is so far, and this is being done."""
        if self._progress is not None:
            self._progress.update(self._task, completed=part, stage=stage)

    def close(self) -> None:
        """The file is done with."""
        if self._progress is not None:
            self._progress.remove_task(self._task)
            self._progress.advance(self._overall)  # type: ignore[arg-type]  # a TaskID where there are bars


def _bars() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[stage]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # it may lead to a file; rich would send it to the terminal
    )
