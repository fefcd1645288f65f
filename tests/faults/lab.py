"""Processes that play an act of `acts` on a data folder, to be killed or stopped at a fault point.

`Lab` talks to one process that has loaded everything and draws nothing; it forks a new one for each act, so that an act
costs milliseconds. Run as a module, this is that process.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

ROOT = Path(__file__).parents[2]
PICTURE = b""


class Outcome(NamedTuple):
    """How an act went."""

    pid: int
    how: Literal["ended", "killed", "stopped", "failed"]
    reached: dict[str, int]
    """How often each fault point was reached; only of acts that ended."""


class Lab:
    """The parent of all actors."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.lab"],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def act(
        self,
        act: str,
        data: Path,
        *,
        kill: str | None = None,
        stop: str | None = None,
        nth: int = 1,
        later: float = 0.0,
    ) -> Outcome:
        """Play an act, its clock `later` seconds ahead, until it ends or is cut off where it reaches a fault point
        for the nth time. What was stopped has to be resumed."""
        order = {"act": act, "data": str(data), "kill": kill, "stop": stop, "nth": nth, "later": later}
        return self._ask(order)

    def resume(self, outcome: Outcome) -> Outcome:
        """Let a stopped act go on to its end."""
        return self._ask({"resume": outcome.pid})

    def _ask(self, order: dict[str, Any]) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["how"] != "failed", "an act failed; its traceback is on standard error"
        return Outcome(**answer)


def picture() -> bytes:
    """A small photo."""
    from tests.journeys.serving import image

    return image("jpeg", (64, 48))


def _perform(order: dict[str, Any], report: int) -> None:
    """Play one act in this process."""
    from tests.faults import acts
    from tests.faults.promises import Promises

    from safelight import bootstrap, faults
    from safelight.config import Settings

    reached: Counter[str] = Counter()

    def cut_off(point: str) -> None:
        reached[point] += 1
        if reached[point] == order["nth"]:
            if point == order["kill"]:
                os.kill(os.getpid(), signal.SIGKILL)
            elif point == order["stop"]:
                os.kill(os.getpid(), signal.SIGSTOP)

    data = Path(order["data"])
    settings = Settings(data=str(data), log_level="error")
    clock = acts.MovedClock()
    clock.advance(order["later"])
    setattr(bootstrap, "SandboxedRenderer", acts.Drawing)  # noqa: B010 - the module does not export it
    faults.reached = cut_off
    told = Promises(data.with_name(f"{data.name}.told"))
    with ExitStack() as stack:
        if order["act"] in acts.OWNS_THE_FOLDER:
            stack.enter_context(bootstrap.open_site(settings))
        system = stack.enter_context(bootstrap.build_on_one_machine(settings))
        acts.ACTS[order["act"]](acts.Stage(system, told, clock, PICTURE))
    os.write(report, json.dumps(reached).encode())


def _fork(order: dict[str, Any]) -> tuple[int, int]:
    """A process that plays the act, and what it reports to."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _perform(order, writer)
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    os.close(writer)
    return pid, reader


def _wait(pid: int, report: int) -> Outcome:
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return Outcome(pid, "stopped", {})
    with os.fdopen(report, "rb") as file:
        said = file.read()
    if os.WIFSIGNALED(status):
        return Outcome(pid, "killed", {})
    return Outcome(pid, "ended" if os.WEXITSTATUS(status) == 0 else "failed", json.loads(said or b"{}"))


def main() -> None:
    """Play what standard input asks for, one line each, until it ends."""
    import tests.faults.acts  # noqa: F401 - loaded here, once, for all who are forked

    reports: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if pid := order.get("resume"):
            os.kill(pid, signal.SIGCONT)
        else:
            pid, reports[pid] = _fork(order)
        outcome = _wait(pid, reports[pid])
        if outcome.how != "stopped":
            del reports[pid]
        sys.stdout.write(json.dumps(outcome._asdict()) + "\n")
        sys.stdout.flush()
    for pid in reports:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    PICTURE = picture()
    if len(sys.argv) > 1:  # one act, in this very process
        order = {"act": sys.argv[1], "data": sys.argv[2], "kill": None, "stop": None, "nth": 1, "later": 0.0}
        _perform(order, os.open(os.devnull, os.O_WRONLY))
    else:
        main()
