"""The process that children are forked from: it has loaded codecs and font, and never decodes a stranger's bytes.

Started by `sandbox`, once a renderer. Whenever it forks it has one thread (a fork takes along no other) and an empty
environment. It ends when the worker does: its end of the socket closes. Each child draws one picture and dies.
"""

import gc
import importlib
import mmap
import os
import resource
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, Final, NoReturn

from safelight.config import Settings
from safelight.errors import RenderCrashed, SafelightError
from safelight.imaging import confine, wire

WARM_MOST: Final = 32 * 1024 * 1024
"""The most memory that a child touches before it has a job: what waits should not take what others need."""

SWITCH_SECONDS: Final = 0.0001
"""How long a child's second thread may keep the interpreter from the first one, and the other way round."""

UNIT: Final = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in: macOS in bytes, the others in kilobytes."""


def main(worker: socket.socket) -> None:
    """Fork and bury children as the worker asks, until it is gone."""
    try:
        start = wire.receive(worker, wire.Start)
    except (EOFError, ConnectionError):
        return  # the worker was gone before it said anything, as after Ctrl-C
    entry = importlib.import_module(start.entry)
    entry.prepare()
    os.environ.clear()
    confine.step_back()
    confine.hide()
    confine.prepare()
    # Nothing loaded so far is garbage, and a collection in a child would copy every page it looks at.
    gc.collect()
    gc.disable()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
    children: set[int] = set()
    needs = Needs()
    try:
        while True:
            command = wire.receive(worker, wire.Fork | wire.End)
            if isinstance(command, wire.Fork):
                if ahead := command.ahead:
                    entry.anticipate(ahead.recipe, ahead.width, ahead.height)
                fork(worker, entry, start.settings, children, needs.of(ahead), command.threads)
            else:
                ended = bury(command.pid, children)
                needs.learn(ended)
                wire.send(worker, ended)
    except (EOFError, ConnectionError):  # the worker is gone
        for pid in tuple(children):
            bury(pid, children)


class Needs:
    """How much memory the next child will need: what a job like its own took before."""

    def __init__(self) -> None:
        self._like: wire.Ahead | None = None
        self._known = self._last = self._warmed = 0

    def of(self, ahead: wire.Ahead | None) -> int:
        """The peak, in bytes, of a child with such a job; 0 if that is not known."""
        if ahead != self._like or not self._known:
            self._like, self._known = ahead, self._last if ahead else 0
        self._warmed = self._known
        return self._known

    def learn(self, ended: wire.Ended) -> None:
        """A child has ended: the one forked last. One that was warm tells nothing: it has touched more than it took."""
        self._last = 0 if self._warmed else ended.peak_bytes


def fork(
    worker: socket.socket, entry: Any, settings: Settings, children: set[int], peak: int, threads: int
) -> None:
    """Fork one child and hand the socket to it over to the worker. `peak`: see `warm`; `threads`: see `rehearse`."""
    parent = os.getpid()
    near, far = socket.socketpair()
    with near, far:
        pid = os.fork()
        if pid == 0:
            worker.close()
            near.close()
            child(far, entry, settings, parent, peak, threads)
        children.add(pid)
        wire.send(worker, wire.Forked(pid), [near.fileno()])


def bury(pid: int, children: set[int]) -> wire.Ended:
    """Kill a child, if it lives, and tell how it ended. Raise KeyError for what is no child: it is left alone."""
    children.remove(pid)
    os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return wire.Ended(
        os.waitstatus_to_exitcode(status), round(used.ru_utime + used.ru_stime, 3), used.ru_maxrss * UNIT
    )


def warm(peak: int) -> None:
    """Touch as much memory as is missing to `peak`, what the last job like the next one came to, in bytes.

    The heap keeps it (see `sandbox.MEMORY`): the kernel has cleared these pages before the job comes, and not
    while somebody waits for it.
    """
    missing = peak - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
    if missing > 0:
        pages = bytearray(min(missing, WARM_MOST))
        pages[:: mmap.PAGESIZE] = bytes(-(-len(pages) // mmap.PAGESIZE))


def child(
    worker: socket.socket, entry: Any, settings: Settings, parent: int, peak: int, threads: int
) -> NoReturn:
    """Lock in, wait for the work, do it, tell, die."""
    try:
        entry.rehearse(settings, threads)
        warm(peak)
        wire.send(worker, wire.Ready(confine.confine(settings, parent)))
        wire.send(worker, draw(worker, entry, settings))
        os._exit(0)
    except (EOFError, ConnectionError):
        os._exit(0)  # nobody waits for it any more
    except BaseException as error:  # not even SystemExit may unwind into the zygote's loop
        os.write(2, f"safelight: a child failed: {_told(error)}\n".encode())
        os._exit(1)


def draw(worker: socket.socket, entry: Any, settings: Settings) -> wire.Drawn | wire.Refused:
    """One job."""
    numbers: list[int] = []
    work = wire.receive(worker, wire.Work, numbers)
    original, *outputs = [os.fdopen(number, "r+b" if at else "rb") for at, number in enumerate(numbers)]
    try:
        asked = {"explain": True} if work.explain else {}
        return wire.Drawn(entry.draw(original, work.recipe, settings, outputs, threads=work.threads, **asked))
    except SafelightError as error:
        return wire.Refused(error.code, error.message, _told(error.__cause__))
    except MemoryError:
        return wire.Refused(RenderCrashed.code, RenderCrashed().message, "out of memory")
    except Exception as error:
        return wire.Refused(RenderCrashed.code, RenderCrashed().message, _told(error))


def _told(error: BaseException | None) -> str:
    """An error for the log: what, and the lines it came through."""
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__, -3)
    return f"{error!r} at " + " < ".join(f"{Path(at.filename).name}:{at.lineno}" for at in reversed(frames))


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        main(channel)
