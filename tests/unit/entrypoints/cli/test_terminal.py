"""What reaches a terminal: no name of a file can speak to it."""

import io

import pytest

from safelight.entrypoints.cli import terminal


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
