"""How commands talk: results on standard output, the rest on standard error, colour only where somebody looks."""

import json
import os
import re
import sys
from typing import Annotated, Any, Final, TextIO

from cyclopts import Parameter

from safelight.errors import NotAuthenticated, SafelightError

DEFAULT_API: Final = "http://127.0.0.1:8000"

Api = Annotated[
    str, Parameter(env_var="SAFELIGHT_API", help="The address of the Safelight to talk to.", negative="")
]
Key = Annotated[
    str | None,
    Parameter(
        env_var="SAFELIGHT_KEY",
        help="The API key (or token) to send, where the Safelight asks for one. The variable keeps it out of `ps`.",
        negative="",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool,
    Parameter(name="--json", help="Print JSON, for programs: one document.", negative="", show_default=False),
]
AsJsonLines = Annotated[
    bool,
    Parameter(
        name="--json",
        help="Print JSON, for programs: a line for each, as soon as it is known.",
        negative="",
        show_default=False,
    ),
]

GREEN, RED, YELLOW, DIM, BOLD = "32", "31", "33", "2", "1"
COLOURS: Final = {"COMPLETED": GREEN, "FAILED": RED, "EXPIRED": RED, "CANCELED": YELLOW}


class UsageError(SafelightError):
    """The command can not be carried out as it was given."""

    code = "usage"


def say(line: str = "") -> None:
    """Print a line of the result."""
    sys.stdout.write(f"{_fit(line, sys.stdout)}\n")
    sys.stdout.flush()


def say_json(value: Any, *, whole: bool = True) -> None:
    """Print a result for programs: as one document, or (of many) as one line."""
    say(in_json(value, whole=whole))


def in_json(value: Any, *, whole: bool = False) -> str:
    """The JSON, as one document or as one line. What a terminal would obey is written in numbers, as JSON can."""
    text = json.dumps(value, ensure_ascii=False, indent=2 if whole else None)
    return re.sub(_CONTROL, lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def note(message: str) -> None:
    """Something worth knowing, beside the result: on stderr, so that scripts read the result alone."""
    sys.stderr.write(f"{_fit(message, sys.stderr)}\n")


def complain(message: str) -> None:
    """Say in one line what is wrong."""
    sys.stderr.write(f"{complaint(message)}\n")


def complaint(message: str) -> str:
    """The line that says what is wrong."""
    return f"{paint('safelight:', RED, sys.stderr)} {shown(' '.join(message.split()))}"


def with_advice(message: str, code: str | None) -> str:
    """What was said, in the words of the command line: its own list of recipes, and how a key is given where one is
    missing or wrong."""
    message = message.replace("GET /recipes", "`safelight recipe ls --api URL`")
    return f"{message} Here: --key or SAFELIGHT_KEY." if code == NotAuthenticated.code else message


# What ends a line or moves the cursor (C0, C1, line separators), and what turns the direction of writing.
_CONTROL: Final = r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
_OURS: Final = "|".join(rf"\033\[{number}m" for number in (0, BOLD, DIM, RED, GREEN, YELLOW))


def named(name: object) -> str:
    """The name of a file in a line for people. It may hold what ends the line, or what a terminal obeys: that is
    written out."""
    return re.sub(_CONTROL, lambda found: found[0].encode("unicode_escape").decode(), str(name))


def shown(line: str) -> str:
    """A line for a terminal: of all that it would obey, only the colours of `paint` and the ends of lines are left."""
    return re.sub(rf"({_OURS}|\n|\t)|{_CONTROL}", lambda found: found[1] or named(found[0]), line)


def _fit(line: str, stream: TextIO) -> str:
    """The line for this stream: programs get names as they are."""
    return shown(line) if stream.isatty() else line


def paint(text: str, colour: str, stream: Any = None) -> str:
    """The text in colour, if the stream is a terminal that wants it."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{colour}m{text}\033[0m"


def columns(rows: list[list[str]]) -> list[str]:
    """Rows as lines, aligned; the last column is as long as it is."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def in_bytes(count: int) -> str:
    """A size as people say it: 812 bytes, 34 kB, 2.1 MB."""
    if count < 1000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB" if count < 10**9 else f"{count / 10**9:.2f} GB"


def in_seconds(seconds: float) -> str:
    """A duration as people say it: 35 ms, 1.4 s, 2 min 5 s."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
