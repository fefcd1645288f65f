"""The command line: `safelight`. One file here is one command, or one family of commands.

Exit codes: 0 all is well; 1 something failed, and standard error says what; 2 the command was not understood;
3 the configuration is not usable; 130 Ctrl-C. Results go to standard output, everything else to standard error.

Commands import what they need when they run, so that help and completion come at once.
"""

import os
import select
import sys
from collections.abc import Sequence
from typing import Final, TextIO

from cyclopts import App, CycloptsError, UnknownCommandError, UnknownOptionError

from safelight import __version__
from safelight.entrypoints.cli.backup import backup
from safelight.entrypoints.cli.demo import demo
from safelight.entrypoints.cli.deploy import deploy, destroy, status
from safelight.entrypoints.cli.dlq import dlq
from safelight.entrypoints.cli.jobs import jobs
from safelight.entrypoints.cli.keys import keys
from safelight.entrypoints.cli.recipe import recipe
from safelight.entrypoints.cli.render import render
from safelight.entrypoints.cli.serve import serve
from safelight.entrypoints.cli.settings import settings
from safelight.entrypoints.cli.sweep import sweep
from safelight.entrypoints.cli.terminal import UsageError, complain, named, with_advice
from safelight.entrypoints.cli.upload import upload
from safelight.entrypoints.cli.watch import watch
from safelight.entrypoints.cli.webhooks import webhooks
from safelight.entrypoints.cli.worker import worker
from safelight.errors import ConfigurationError, SafelightError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
CONFIGURATION: Final = 3
INTERRUPTED: Final = 130

SYNONYMS: Final = (
    {"add", "create", "new", "put"},
    {"rm", "delete", "del", "erase", "remove", "revoke"},
    {"ls", "list"},
    {"get", "show", "status"},
    {"save", "download", "fetch"},
)
"""Words for the same thing, of which each family of commands has one."""

app = App(
    name="safelight",
    help="A media pipeline that its users own: signed uploads in, finished renditions out.",
    version=__version__,
    help_epilogue="Exit codes: 0 ok, 1 failed, 2 not understood, 3 configuration, 130 Ctrl-C.",
    suppress_keyboard_interrupt=False,
)
for command in (
    serve,
    demo,
    upload,
    watch,
    jobs,
    dlq,
    sweep,
    backup,
    render,
    recipe,
    settings,
    keys,
    webhooks,
    deploy,
    status,
    worker,
    destroy,
):
    app.command(command)
app.register_install_completion_command(help="Teach your shell to complete Safelight's commands.")


def main(words: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code. Whatever goes wrong is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="replace"
            )  # a name that the terminal can not show must not end a command
    sys.exit(run(sys.argv[1:] if words is None else words))


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        command = " ".join(("safelight", *(error.command_chain or ())))
        complain(f"{_synonym(error) or _dashed(error) or error} `{command} --help` shows how it is meant.")
        return USAGE
    except UsageError as error:
        complain(error.message)
        return USAGE
    except ConfigurationError as error:
        complain(error.message)
        return CONFIGURATION
    except SafelightError as error:
        complain(with_advice(error.message, error.code))
        return FAILED
    except KeyboardInterrupt:
        complain("Interrupted.")
        return INTERRUPTED
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads(sys.stdout):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        complain(f"{error.filename}: {error.strerror}." if error.filename else f"{error}.")
        return _failed_inside(error, told=True)
    except Exception as error:
        return _failed_inside(error)
    return code if isinstance(code, int) else OK


def _synonym(error: CycloptsError) -> str:
    """What is wrong with a command that is called otherwise here: one that only looks alike would mislead."""
    if not isinstance(error, UnknownCommandError) or not error.unused_tokens:
        return ""
    word, family = error.unused_tokens[0], error.command_chain or ()
    commands = app
    for name in family:
        commands = commands[name]
    alike = sorted(each for group in SYNONYMS if word in group for each in group if each in commands)
    return (
        f'Unknown command "{word}"; did you mean `{" ".join(("safelight", *family, alike[0]))}`?'
        if alike
        else ""
    )


def _dashed(error: CycloptsError) -> str:
    """How a file is given whose name begins with a dash, and that was taken for an option."""
    if not isinstance(error, UnknownOptionError):
        return ""
    word = error.token.keyword or error.token.value
    if not os.path.lexists(word):  # which, other than a Path, takes what can be no name at all
        return ""
    return f"{named(word)} was taken for an option; give the file as ./{named(word)}."


def _nobody_reads(stream: TextIO) -> bool:
    """Whether who read our output has seen enough. A connection that broke is another matter, and is told."""
    try:
        number = stream.fileno()
    except (AttributeError, OSError):
        return False  # no file behind it: whatever broke was not this
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(number, 0)
    # A pipe without a reader is an error, a socket without one hangs up.
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _failed_inside(error: Exception, *, told: bool = False) -> int:
    """The traceback is for those who ask for it."""
    if os.environ.get("SAFELIGHT_LOG_LEVEL") == "debug":
        import traceback

        traceback.print_exception(error)
    elif not told:
        complain(f"{type(error).__name__}: {error}. SAFELIGHT_LOG_LEVEL=debug shows where this comes from.")
    return FAILED
