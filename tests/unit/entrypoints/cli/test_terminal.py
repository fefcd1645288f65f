"""What reaches a terminal: no name of a file can speak to it."""

import io
import json
import os
import pty
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from safelight.entrypoints.cli import terminal
from safelight.entrypoints.cli.progress import Board
from safelight.entrypoints.cli.results import Result, Saved, report


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


NAME = "a\033[2J\033]0;title\a\rb\x9bc.jpg"
SHOWN = r"a\x1b[2J\x1b]0;title\x07\rb\x9bc.jpg"


def test_a_terminal_is_shown_what_it_would_have_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes in names are written out; colours of ours, tabs and lines stay."""
    out, err = Screen(), Screen()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal.say(f"{terminal.paint('COMPLETED', terminal.GREEN)}\t{NAME}\nmore")
    terminal.note(NAME)
    terminal.complain(NAME)
    assert out.getvalue() == f"\033[32mCOMPLETED\033[0m\t{SHOWN}\nmore\n"
    assert err.getvalue().startswith(f"{SHOWN}\n\033[31msafelight:\033[0m a")
    assert "\033[2J" not in err.getvalue()


def test_programs_are_given_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe obeys nothing."""
    terminal.say(NAME)
    terminal.note(NAME)
    assert capsys.readouterr() == (f"{NAME}\n", f"{NAME}\n")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a b ü 猫.jpg", "a b ü 猫.jpg"),
        ("a\nsafelight: all fine", r"a\nsafelight: all fine"),
        ("a\t\033[8mhidden", r"a\t\x1b[8mhidden"),
        ("\033[32mgreen", r"\x1b[32mgreen"),
        ("a\u202egpj.exe\u2028", r"a\u202egpj.exe\u2028"),
    ],
)
def test_a_name_in_a_line(name: str, written: str) -> None:
    """It is a part of the line and of nothing else, in whatever colour."""
    assert terminal.named(name) == written


def test_only_the_colours_of_ours_are_let_through() -> None:
    """Not what conceals or blinks."""
    assert (
        terminal.shown("\033[1mbold\033[0m \033[8mhidden\033[5m")
        == "\033[1mbold\033[0m \\x1b[8mhidden\\x1b[5m"
    )


def test_json_has_names_as_they_are() -> None:
    """Written so that a terminal obeys nothing of it."""
    said = terminal.in_json({"file": NAME})
    assert json.loads(said) == {"file": NAME}
    assert said.isprintable()


@pytest.mark.parametrize("as_json", [False, True])
def test_results_above_the_bars(as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bars, lines go through another library, which would obey some of it."""
    near, far = pty.openpty()
    with os.fdopen(far, "w") as screen, os.fdopen(near, "rb", buffering=0) as seen:
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        result = Result(
            Path("real\rfake\x9b2J\033]8;;http://evil\033\\.jpg"),
            "COMPLETED",
            1.0,
            saved=(Saved("main", Path("out/\033[8mx.jpg"), 1, 1, 1),),
        )
        with Board("Rendering", 1) as board:
            board.bar(result.file.name).close()
            report(board, result, as_json=as_json)
            report(board, result._replace(code="broken", message="No."), as_json=False)
        monkeypatch.undo()
        screen.close()
        text = b""
        with suppress(OSError):  # which is how the other side of a terminal ends
            while piece := seen.read(1 << 16):
                text += piece
    for told in ("\x9b2J", "\033]8", "\033[8m", "real\rfake"):
        assert told.encode() not in text
    assert (rb"real\rfake" in text, rb"\u001b[8mx.jpg" in text) == (True, as_json)


def test_what_is_said_to_programs_names_the_command() -> None:
    """Nobody asks for GET /recipes at a command line."""
    said = "Recipes of callers are turned off here; GET /recipes lists those there are."
    told = "Recipes of callers are turned off here; `safelight recipe ls --api URL` lists those there are."
    assert terminal.with_advice(said, "invalid_request") == told
