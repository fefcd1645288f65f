"""The server: one process tree that is the whole of Safelight on one machine.

    supervisor            binds the port, holds the lock of the data folder, replaces whatever dies
    ├── front             answers HTTP
    ├── keeper            sweeps, and checkpoints the database
    └── worker-0 … N-1    each with a zygote, whose children render

Every process ends with its parent, so `kill -9` of the supervisor ends the tree; the next start takes up everything
that was under way.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from safelight import bootstrap, config
from safelight.entrypoints.process import BACKLOG, READY_FD, log_to_stderr
from safelight.errors import ConfigurationError, SafelightError
from safelight.imaging import confine
from safelight.threads import cores

log = logging.getLogger(__name__)

END_WITHIN: Final = 10.0
"""Seconds that the tree may take to end after SIGTERM or Ctrl-C."""

START_WITHIN: Final = 60.0
"""Seconds that a process may take until it is ready."""

STEADY_AFTER: Final = 5.0
"""A process that lived shorter than this is not replaced at once but after a growing delay, at most 10 s."""

START: Final = (
    "import gc; gc.disable(); from safelight.entrypoints import {module}; "
    "gc.freeze(); gc.enable(); {module}.{call}"
)
"""What a process does. What it loads stays: to look for garbage among it takes time, then and at every later look."""


class Child:
    """One supervised process: started, watched, replaced."""

    def __init__(self, name: str, call: str, environ: dict[str, str], passed: tuple[int, ...] = ()) -> None:
        self.name = name
        self._call = call
        self._environ = environ
        self._passed = passed
        self._short_lives = 0
        self._started = 0.0
        self.ready = -1
        self.start_at: float | None = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; `ready` becomes readable when it does its work."""
        reader, writer = os.pipe()
        module, _, call = self._call.partition(":")
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START.format(module=module, call=call)],
                env=self._environ | {READY_FD: str(writer)},
                pass_fds=(*self._passed, writer),
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C reaches the supervisor alone, which ends the others in order
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self.forget_ready()
        self.ready = reader
        self._started = time.monotonic()
        self.start_at = None

    def forget_ready(self) -> None:
        """Close the pipe of readiness."""
        if self.ready >= 0:
            os.close(self.ready)
            self.ready = -1

    def died(self) -> bool:
        """Whether the process has ended since the last look; if so, set when to replace it."""
        if self.process is None or self.process.poll() is None:
            return False
        lived = time.monotonic() - self._started
        self._short_lives = 0 if lived > STEADY_AFTER else self._short_lives + 1
        self.start_at = time.monotonic() + (
            min(10.0, 0.1 * 2.0**self._short_lives) if self._short_lives else 0.0
        )
        log.error("process ended", extra={"child": self.name, "status": self.process.returncode})
        self.process = None
        return True

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, if the process is there."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


class Supervisor:
    """Starts the children and keeps them alive until asked to stop."""

    def __init__(self, children: list[Child], site: bootstrap.Site) -> None:
        self._children = children
        self._site = site
        self._asked = 0
        self._interrupts = 0
        self._wakeup, self._waker = os.pipe()
        os.set_blocking(self._waker, False)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into bytes on a pipe, so that one select waits for everything."""

        def ask(number: int, _frame: object) -> None:
            self._asked += 1
            self._interrupts += number == signal.SIGINT

        before = {n: signal.signal(n, ask) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        old = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self, ready_line: str) -> int:
        """Supervise. Print `ready_line` once everybody is ready. Return the exit code."""
        with self._signals():
            try:
                for child in self._children:
                    if self._asked:
                        return 0
                    child.start()
                if not self._await_ready():
                    return 0 if self._asked else 1
                sys.stdout.write(f"{ready_line}\n")
                sys.stdout.flush()
                while not self._asked:
                    self._wait(self._next_start())
                    self._replace_the_dead()
                return 0
            finally:
                self._end()

    def _await_ready(self) -> bool:
        end = time.monotonic() + START_WITHIN
        waiting = {child.ready: child for child in self._children}
        while waiting and not self._asked:
            readable, _, _ = select.select([*waiting, self._wakeup], [], [], max(0.0, end - time.monotonic()))
            for descriptor in readable:
                if descriptor == self._wakeup:
                    os.read(self._wakeup, 4096)
                elif os.read(descriptor, 1) == b"!":
                    waiting.pop(descriptor).forget_ready()
                else:  # it ended before it was ready, and has said why
                    return False
            if not readable:
                log.error("not ready in time: %s", ", ".join(child.name for child in waiting.values()))
                return False
        return not self._asked

    def _wait(self, seconds: float | None) -> None:
        readable, _, _ = select.select([self._wakeup], [], [], seconds)
        if readable:
            os.read(self._wakeup, 4096)

    def _next_start(self) -> float | None:
        due = [child.start_at for child in self._children if child.start_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _replace_the_dead(self) -> None:
        for child in self._children:
            if child.died():
                self._free_claims_of(child)
            if child.start_at is not None and child.start_at <= time.monotonic():
                self._start_again(child)

    def _free_claims_of(self, child: Child) -> None:
        try:
            self._site.free_claims_of(child.name)
        except SafelightError:  # a full disk, say: they run out by themselves, and the sweeper sees to it
            log.exception("claims not freed", extra={"child": child.name})

    def _start_again(self, child: Child) -> None:
        try:
            child.start()
        except OSError:  # no memory, or no more processes: that may pass, and the others go on
            log.exception("not started", extra={"child": child.name})
            child.start_at = time.monotonic() + STEADY_AFTER

    def _end(self) -> None:
        """Ask everybody to stop; after ten seconds, or at another Ctrl-C, end them."""
        interrupts = self._interrupts
        end = time.monotonic() + END_WITHIN
        for child in self._children:
            child.tell(signal.SIGTERM)
        alive = [child.process for child in self._children if child.process is not None]
        while alive := [process for process in alive if process.poll() is None]:
            if time.monotonic() >= end or self._interrupts > interrupts:
                for process in alive:
                    process.kill()
                    process.wait()
                return
            self._wait(max(0.0, min(0.5, end - time.monotonic())))


def _others_in(folder: Path) -> str:
    """The first names in a folder; nothing if it is empty, hidden files apart, or not there."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return ""
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def listen(host: str, port: int, *, loopback_only: bool = False) -> socket.socket:
    """A listening socket. Raise ConfigurationError, in one line, if the address can not be had, or if other machines
    could reach it and `loopback_only` forbids that."""
    bound = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        if loopback_only and not ipaddress.ip_address(bound.getsockname()[0]).is_loopback:
            bound.close()
            raise ConfigurationError(
                f"{host} can be reached from other machines, and SAFELIGHT_AUTH=none lets everybody in. Set "
                "SAFELIGHT_AUTH=apikey and make a key with `safelight keys create`; or give --insecure, if "
                "something else lets nobody through."
            )
        bound.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        if bound is not None:
            bound.close()
        reason = error.strerror or error if isinstance(error, OSError) else "not the name of a host"
        at_port = isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES)
        mend = "another port with --port" if at_port else "an address of this machine with --host"
        raise ConfigurationError(f"Can not listen on {host}:{port}: {reason}. Choose {mend}.") from None
    return bound


def serve(
    settings: config.Settings, host: str = "127.0.0.1", port: int = 8000, *, insecure: bool = False
) -> int:
    """Run Safelight on this machine until SIGTERM or Ctrl-C. Return the exit code.

    Without authentication it listens on a loopback address alone, unless `insecure` says that this is known.
    Raise ConfigurationError for settings that no process could use, if the port is taken, or if the data folder is in
    use or not writable: before anything is started, and only the last after the folder was touched.
    """
    confine.hide()  # its environment may hold secrets; the others hide as soon as they have a renderer
    log_to_stderr("server", settings.log_level)
    bootstrap.check(settings)
    alone = settings.auth == "none" and not insecure
    if not bootstrap.is_there(settings) and (others := _others_in(Path(settings.data))):
        log.warning(
            "%s holds %s, and no Safelight yet; in a folder of its own (--data) its files can be moved and removed "
            "without looking at each",
            settings.data,
            others,
        )
    with listen(host, port, loopback_only=alone) as bound, bootstrap.open_site(settings) as site:
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{bound.getsockname()[1]}"
        if host in ("0.0.0.0", "::") and not settings.public_url:  # nosec B104 # looked for, not bound to
            log.warning(
                "signed URLs begin with %s, which leads nowhere from other machines; "
                "set SAFELIGHT_PUBLIC_URL to the address that clients use",
                url,
            )
        environ = dict(os.environ) | config.to_environ(settings)
        workers = settings.workers or cores()
        children = [
            Child("front", f"front:main({bound.fileno()}, {url!r})", environ, (bound.fileno(),)),
            Child("keeper", f"keeper:main({url!r})", environ),
            *(Child(f"worker-{n}", f"worker:main('worker-{n}')", environ) for n in range(workers)),
        ]
        code = Supervisor(children, site).run(f"Safelight is listening on {url}")
    log.info("stopped")
    return code
