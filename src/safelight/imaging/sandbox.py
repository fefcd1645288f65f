"""Rendering where a stranger's file can do no harm: each job in a process of its own, locked in and thrown away.

    worker ──starts──▶ zygote ──forks ahead──▶ child (one, waiting)
      └──────────── recipe and descriptors ──────▶ ┘ draws into the files that it was handed, answers, dies

The worker sends the job straight to the waiting child, and asks the zygote for the next one when it has the drawing:
while results are stored, nobody waits for a fork. Bytes never pass a socket: the child maps the original's descriptor
and writes to files in memory that the worker made; the worker watches that together they do not grow beyond the limit.
It believes nothing of the answer that it can know by itself.
"""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

import msgspec

from safelight.config import Settings
from safelight.errors import (
    AttemptError,
    ConfigurationError,
    FileError,
    OutputTooLarge,
    RenderCrashed,
    RendererUnavailable,
    RenderTimedOut,
    SafelightError,
)
from safelight.imaging import confine, wire
from safelight.imaging.drawing import Drawing, check_total, digest, finish, new_file, plan_of
from safelight.imaging.habits import Habits
from safelight.imaging.pace import Pace
from safelight.imaging.watching import Trace
from safelight.model import Source
from safelight.ports import Rendering

log = logging.getLogger(__name__)

START_SECONDS: Final = 30.0
"""How long a zygote may take to load the codecs."""

_GONE: Final = (EOFError, OSError, ValueError, msgspec.MsgspecError)
"""What `wire` raises when the other end died or talks nonsense."""


SEAL_AGAIN_AFTER: Final = (0.01, 0.05, 0.1)
"""Seconds until an output is sealed once more: the kernel itself may hold a page of it for a moment."""


class Child:
    """A locked-in process that waits for one job."""

    def __init__(self, pid: int, channel: socket.socket, layers: tuple[str, ...]) -> None:
        self.pid = pid
        self.channel = channel
        self.layers = layers


class Zygote:
    """The worker's hand on its zygote. Answers come in the order of the commands."""

    def __init__(self, settings: Settings, entry: str) -> None:
        near, far = socket.socketpair()
        with far:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "safelight.imaging.zygote", str(far.fileno())],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # a group to kill at once; and Ctrl-C is for the worker to answer
            )
        self._channel = near
        self._channel.settimeout(START_SECONDS)
        self._waiting: Child | None = None
        self._code: int | None = None
        self._threads = settings.render_threads
        self._asked: list[type[wire.Fork] | type[wire.End]] = []
        wire.send(near, wire.Start(settings, entry))

    def fork(self, ahead: wire.Ahead | None, threads: int) -> None:
        """Ask for the next child. Raise one of _GONE, as all of these do."""
        wire.send(self._channel, wire.Fork(ahead, threads))
        self._asked.append(wire.Fork)

    def child(self) -> Child:
        """The child that waits, as soon as it does."""
        if self._waiting is None and wire.Fork not in self._asked:
            self.fork(None, self._threads)
        while self._waiting is None:
            self._answer()
        child, self._waiting = self._waiting, None
        return child

    def put_back(self, child: Child) -> None:
        """The child was not used; it goes on waiting."""
        self._waiting = child

    def end(self, child: Child) -> None:
        """Have a child killed, if it lives, and buried."""
        child.channel.close()
        wire.send(self._channel, wire.End(child.pid))
        self._asked.append(wire.End)

    def code(self) -> int | None:
        """How the child ended that was ended last: its exit code, or minus the signal."""
        while self._asked:
            self._answer()
        return self._code

    def kill(self) -> None:
        """Kill the zygote and all of its children. May come from any thread, and more than once."""
        if self.process.returncode is None:  # once it is buried, its number may be somebody else's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self) -> None:
        """Kill, and give the sockets back."""
        self.kill()
        self._channel.close()
        if self._waiting:
            self._waiting.channel.close()

    def _answer(self) -> None:
        asked = self._asked.pop(0)
        if asked is wire.End:
            ended = wire.receive(self._channel, wire.Ended)
            self._code = ended.code
            log.debug("a child ended", extra=msgspec.structs.asdict(ended))
            return
        numbers: list[int] = []
        forked = wire.receive(self._channel, wire.Forked, numbers)
        channel = socket.socket(fileno=numbers[0])
        channel.settimeout(START_SECONDS)
        self._waiting = Child(forked.pid, channel, ())
        self._waiting.layers = wire.receive(channel, wire.Ready).layers


def check_formats(settings: Settings) -> None:
    """Raise ConfigurationError if a format is let in whose decoder is not installed."""
    if "heic" in settings.formats and find_spec("pillow_heif") is None:
        raise ConfigurationError(
            "SAFELIGHT_FORMATS: heic needs one more package: pip install 'safelight[heic]'."
        )


class SandboxedRenderer:
    """The `ports.Renderer` that trusts no file. One job at a time; renderers are independent of each other."""

    def __init__(self, settings: Settings, *, entry: str = "safelight.imaging.renderer") -> None:
        """`entry` is the module that draws in the child. Nothing is started before the first job, or `start`.

        Raise ConfigurationError where `settings` let in what no library that is installed decodes.
        """
        check_formats(settings)
        self._settings = settings
        self._entry = entry
        self._turn = threading.Lock()
        self._zygote: Zygote | None = None
        self._closed = False
        self._habits = Habits(settings)
        self._pace = Pace(settings.render_threads)
        confine.hide()

    def start(self) -> tuple[str, ...]:
        """Start now, so that the first job waits for nothing, and name the locks that hold here (see `confine`).

        Raise RendererUnavailable.
        """
        with self._turn:
            zygote, child = self._ready()
            zygote.put_back(child)
            return child.layers

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        """See `ports.Renderer.render`."""
        return self._drawn(file, source, wire.Work(recipe))[0]

    def explain(self, file: IO[bytes], source: Source, recipe: bytes) -> tuple[Rendering, Trace]:
        """Render, slower and with more memory, and tell what each step took. Raise what `render` raises."""
        rendering, drawing = self._drawn(file, source, wire.Work(recipe, explain=True))
        if drawing.trace is None:
            rendering.close()
            raise RenderCrashed
        return rendering, drawing.trace

    def _drawn(self, file: IO[bytes], source: Source, work: wire.Work) -> tuple[Rendering, Drawing]:
        recipe = work.recipe
        plan = plan_of(recipe)
        with self._turn, self._pace.drawing() as threads, contextlib.ExitStack() as stack:
            zygote, child = self._ready()
            ahead, used = None, 1
            work = msgspec.structs.replace(work, threads=threads)
            outputs = [stack.enter_context(new_file()) for _ in plan.files()]
            answer, source = self._work(zygote, child, work, file, source, outputs)
            try:
                drawing = _believed(answer)
                _seal(outputs)
                rendering = finish(drawing, outputs, source, plan, self._settings)
                ahead, used = self._habits.after(recipe, drawing), drawing.threads
            except ValueError as error:
                log.warning("the child's answer is not to be believed: %r", error)
                raise RenderCrashed from None
            finally:
                # While the results are stored; any earlier, burying and forking would take a core from this job.
                self._next(zygote, child, ahead, used)
            stack.pop_all()
            return rendering, drawing

    def close(self) -> None:
        """See `ports.Renderer.close`."""
        self._closed = True
        if zygote := self._zygote:
            zygote.kill()  # which ends a render in progress at once
        with self._turn:
            self._discard()

    def _ready(self) -> tuple[Zygote, Child]:
        """A child that waits. A zygote that died meanwhile is replaced, once."""
        for _ in range(2):
            try:
                if self._zygote is None:
                    self._zygote = Zygote(self._settings, self._entry)
                if self._closed:  # looked at after the zygote is in sight of `close`
                    break
                return self._zygote, self._zygote.child()
            except _GONE as error:
                log.warning("the zygote is gone: %r", error)
                self._discard()
        self._discard()
        raise RendererUnavailable

    def _work(
        self,
        zygote: Zygote,
        child: Child,
        work: wire.Work,
        file: IO[bytes],
        source: Source,
        outputs: list[IO[bytes]],
    ) -> tuple[wire.Drawn | wire.Refused, Source]:
        """Have the job done, and the original's digest computed meanwhile. A child that does not answer is ended."""
        deadline = time.monotonic() + self._settings.render_seconds
        try:
            wire.send(child.channel, work, [part.fileno() for part in (file, *outputs)])
            source = msgspec.structs.replace(source, sha256=source.sha256 or digest(file))
            answer = wire.receive(
                child.channel,
                wire.Drawn | wire.Refused,
                deadline=deadline,
                meanwhile=lambda: check_total(outputs, self._settings),
            )
        except OutputTooLarge:
            self._bury(zygote, child)
            raise
        except TimeoutError:
            self._bury(zygote, child)
            raise RenderTimedOut from None
        except _GONE:
            code = self._bury(zygote, child)
            if self._closed:
                raise RendererUnavailable from None
            if code == -signal.SIGXCPU:
                raise RenderTimedOut from None
            log.warning("a child died while drawing: %s", code)
            raise RenderCrashed from None
        return answer, source

    def _next(self, zygote: Zygote, child: Child, ahead: wire.Ahead | None, threads: int) -> None:
        """End a child that has answered, and ask for the next one, without waiting for either. It will probably have a
        job like the last one, which so many threads drew."""
        self._bury(zygote, child, wait=False)
        with contextlib.suppress(*_GONE):
            zygote.fork(ahead, threads)

    def _bury(self, zygote: Zygote, child: Child, *, wait: bool = True) -> int | None:
        try:
            zygote.end(child)
            return zygote.code() if wait else None
        except _GONE:
            self._discard()
            return None

    def _discard(self) -> None:
        if zygote := self._zygote:
            self._zygote = None
            zygote.close()


def _believed(answer: wire.Drawn | wire.Refused) -> Drawing:
    """What the child drew. Raise what it raised; RenderCrashed for what it may not raise."""
    if isinstance(answer, wire.Drawn):
        return answer.drawing
    if answer.detail:
        log.info("%s: %.2000s", answer.code, answer.detail)
    raise _ERRORS.get(answer.code, RenderCrashed)(answer.message[:500])


def _leaves(kind: type[SafelightError]) -> Iterator[type[SafelightError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _leaves(child)


_ERRORS: Final = {error.code: error for base in (FileError, AttemptError) for error in _leaves(base)}
"""What a child may raise, by code."""


MEMORY: Final = {
    "GLIBC_TUNABLES": f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={1 << 30}"
    f":glibc.malloc.trim_threshold={1 << 30}"
}
"""Pictures in pages of 2 MB (glibc 2.35 and later): a child touches all of its memory for the first time. They come
from the heap, since a mapping of their own would begin and end in small pages."""


def _environment() -> dict[str, str]:
    """All that a zygote is told: where its modules are, and what its libraries read once at their start."""
    return {
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "LC_ALL": "C.UTF-8",
        "VIPS_CONCURRENCY": "1",
        "VIPS_WARNING": "1",  # damaged files are our business, not standard error's
        **MEMORY,
    }


def _seal(files: list[IO[bytes]]) -> None:
    """From here on nobody can change the files, not even a child that kept their descriptors. Raise ValueError."""
    if sys.platform == "linux":
        for file in files:
            pauses = iter(SEAL_AGAIN_AFTER)
            while not _sealed(file):
                if (pause := next(pauses, None)) is None:
                    raise ValueError("an output is still being written")
                time.sleep(pause)


def _sealed(file: IO[bytes]) -> bool:
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    try:
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    except OSError:
        return False
    return True
