"""What a child can do, which is little, and what becomes of the worker when it tries more."""

import gc
import hashlib
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from tests.pictures import encoded, jpeg, upright
from tests.unit.imaging.conftest import RECIPE, SOURCE, content, render_with

from safelight.config import Settings
from safelight.errors import (
    OutputTooLarge,
    RenderCrashed,
    RendererUnavailable,
    RenderTimedOut,
    TypeNotAllowed,
)
from safelight.imaging import SandboxedRenderer, pace, sandbox, wire
from safelight.imaging.drawing import new_file
from safelight.recipes import build, canonical

MISBEHAVIOUR = "tests.unit.imaging.misbehaviour"

linux = pytest.mark.skipif(sys.platform != "linux", reason="this lock is Linux's")


def deed(name: str) -> bytes:
    """The recipe that has the misbehaving entry do this."""
    step = {"op": "watermark", "text": name}
    recipe = {"version": 1, "steps": {"m": step}, "outputs": {"o": {"use": "m", "format": "jpeg"}}}
    return canonical(build(recipe))


@pytest.fixture
def villain() -> Iterator[Callable[..., SandboxedRenderer]]:
    """Makes renderers whose children misbehave."""
    made: list[SandboxedRenderer] = []

    def make(**settings: Any) -> SandboxedRenderer:
        made.append(SandboxedRenderer(Settings(**settings), entry=MISBEHAVIOUR))
        return made[-1]

    yield make
    for renderer in made:
        renderer.close()


def do(renderer: SandboxedRenderer, name: str) -> str:
    """What came of a deed."""
    rendering = render_with(renderer, b"the original", deed(name))
    with_content = content(rendering).decode()
    rendering.close()
    return with_content


def zygote_of(renderer: SandboxedRenderer) -> "subprocess.Popen[bytes]":
    """The zygote's process, as the worker knows it: a number that a child tells may be anything, even -1."""
    assert renderer._zygote is not None
    return renderer._zygote.process


def test_who_had_a_rest_draws_with_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing that comes right behind another has one."""
    monkeypatch.setattr(pace, "cores", lambda: 2)
    renderer = SandboxedRenderer(Settings(), entry="tests.unit.imaging.counting")
    assert [do(renderer, "count") for _ in range(3)] == ["2", "1", "1"]
    renderer.close()


def test_the_next_child_is_made_ready_for_as_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two if the last drawing made use of them, as a large one by pixels does, and a small one does not."""
    monkeypatch.setattr(pace, "cores", lambda: 2)
    asked: list[int] = []
    send = wire.send

    def noted(channel: socket.socket, message: Any, files: Any = ()) -> None:
        if isinstance(message, wire.Fork):
            asked.append(message.threads)
        send(channel, message, files)

    monkeypatch.setattr(wire, "send", noted)
    large = encoded(upright().resize((1000, 800)), "JPEG")
    renderer = SandboxedRenderer(Settings(splice="off"))
    for data in (large, jpeg()):
        renderer._pace = pace.Pace(2)  # one that has not drawn yet
        render_with(renderer, data).close()
    renderer.close()
    assert asked == [2, 2, 1]


@linux
def test_all_locks_hold(villain: Callable[..., SandboxedRenderer]) -> None:
    """On this machine every lock holds, and the renderer says so."""
    assert villain().start() == ("orphan", "limits", "privileges", "landlock", "syscalls")


@linux
def test_a_child_reaches_nothing(villain: Callable[..., SandboxedRenderer]) -> None:
    """No socket, no pipe, no file by any path, no process, no signal to another one, no new code."""
    renderer = villain()
    assert do(renderer, "network") == "PermissionError PermissionError PermissionError"
    assert do(renderer, "files_of_others") == " ".join(["PermissionError"] * 6)
    assert do(renderer, "processes") == " ".join(["PermissionError"] * 5)
    assert do(renderer, "signals") == " ".join(["PermissionError"] * 4)


def test_a_child_knows_no_secret(
    villain: Callable[..., SandboxedRenderer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret in the worker's environment is not in the child's, which holds what libvips itself put there."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert do(villain(), "environment") == """{} ["b'VIPSHOME=/target'"]"""


@linux
def test_the_worker_is_closed_to_others(villain: Callable[..., SandboxedRenderer]) -> None:
    """The worker's and the zygote's memory can not be read by processes of the same user (PR_SET_DUMPABLE is 0)."""
    renderer = villain()
    renderer.start()
    for pid in (os.getpid(), zygote_of(renderer).pid):
        # The kernel gives the files of such processes to root.
        assert Path(f"/proc/{pid}/environ").stat().st_uid == 0
        if os.getuid() == 0:
            limits = Path(f"/proc/{pid}/status").read_text()
            assert "CoreDumping:\t0" in limits


def test_every_job_has_a_process_of_its_own(villain: Callable[..., SandboxedRenderer]) -> None:
    """No child draws twice; all come from one zygote."""
    renderer = villain()
    seen = {(do(renderer, "identity"), zygote_of(renderer).pid) for _ in range(3)}
    assert len({child for child, _ in seen}) == 3
    assert len({zygote for _, zygote in seen}) == 1


def test_too_much_cpu(villain: Callable[..., SandboxedRenderer]) -> None:
    """A child that computes for ever is killed by its CPU limit; the next job is rendered."""
    renderer = villain(render_cpu_seconds=1)
    with pytest.raises(RenderTimedOut):
        do(renderer, "spin")
    assert do(renderer, "copy") == "the original"


def test_too_much_time(villain: Callable[..., SandboxedRenderer]) -> None:
    """A child that sleeps is killed by the clock; the next job is rendered."""
    renderer = villain(render_seconds=0.2)
    renderer.start()
    with pytest.raises(RenderTimedOut):
        do(renderer, "wait")
    assert do(renderer, "copy") == "the original"


@linux
@pytest.mark.parametrize("name", ["hoard", "hoard_and_abort", "crash"])
def test_a_crash_costs_one_job(
    villain: Callable[..., SandboxedRenderer], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exhausted memory, an abort or a wild pointer end the job and nothing else."""
    renderer = villain(render_memory=300_000_000)
    with pytest.raises(RenderCrashed):
        do(renderer, name)
    assert do(renderer, "copy") == "the original"


def test_the_words_of_libraries_stay_inside(
    villain: Callable[..., SandboxedRenderer], caplog: pytest.LogCaptureFixture
) -> None:
    """An unforeseen exception becomes RenderCrashed with its usual message; its text is in the log alone."""
    caplog.set_level("INFO", logger="safelight")
    with pytest.raises(RenderCrashed) as caught:
        do(villain(), "lie")
    assert caught.value.message == RenderCrashed().message
    assert "private words of a library" in caplog.text


def test_too_much_output(villain: Callable[..., SandboxedRenderer]) -> None:
    """A child can not write more than allowed."""
    with pytest.raises((OutputTooLarge, RenderCrashed)):
        do(villain(render_output=1_000_000), "flood")


def test_too_much_output_of_a_picture() -> None:
    """A rendition larger than allowed is OutputTooLarge, by whichever library it is written."""
    renderer = SandboxedRenderer(Settings(render_output=300))
    for kind in ("jpeg", "png", "webp", "avif", "gif"):
        recipe = canonical(build({"version": 1, "outputs": {"o": {"format": kind}}}))
        with pytest.raises(OutputTooLarge):
            render_with(renderer, jpeg(), recipe)
    renderer.close()


@linux
def test_outputs_can_not_be_changed_any_more() -> None:
    """What was measured is what is stored: outputs are sealed."""
    renderer = SandboxedRenderer(Settings())
    rendering = render_with(renderer, jpeg())
    with pytest.raises(PermissionError):
        os.pwrite(rendering.outputs[0].file.fileno(), b"x", 0)
    rendering.close()
    renderer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="files are sealed on Linux alone")
def test_an_output_that_is_held_for_a_moment() -> None:
    """It is sealed a little later; one that stays writable is not believed."""
    with new_file() as file:
        file.write(b"x" * 4096)
        file.flush()
        held = mmap.mmap(file.fileno(), 0)
        with pytest.raises(ValueError, match="still being written"):
            sandbox._seal([file])
        threading.Timer(sandbox.SEAL_AGAIN_AFTER[0], held.close).start()
        sandbox._seal([file])
        with pytest.raises(PermissionError):
            os.pwrite(file.fileno(), b"y", 0)


def test_a_killed_zygote_is_replaced(villain: Callable[..., SandboxedRenderer]) -> None:
    """When the zygote dies between jobs, the next job is rendered by another one."""
    renderer = villain()
    assert do(renderer, "copy") == "the original"
    first = zygote_of(renderer)
    first.kill()
    assert do(renderer, "copy") == "the original"
    assert zygote_of(renderer).pid != first.pid


def test_a_closed_renderer_renders_no_more(villain: Callable[..., SandboxedRenderer]) -> None:
    """After close there is no process left, and a job is refused; closing twice is harmless."""
    renderer = villain()
    assert do(renderer, "copy") == "the original"
    zygote = zygote_of(renderer)
    renderer.close()
    renderer.close()
    assert zygote.returncode == -signal.SIGKILL
    with pytest.raises(RendererUnavailable):
        do(renderer, "copy")


def test_close_ends_a_render_in_progress(
    villain: Callable[..., SandboxedRenderer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing from another thread ends a rendering at once, with RendererUnavailable."""
    renderer = villain(render_seconds=50)
    renderer.start()
    under_way, receive = threading.Event(), wire.receive

    def noticed(channel: socket.socket, kind: Any, *rest: Any, **named: Any) -> Any:
        if kind == wire.Drawn | wire.Refused:
            under_way.set()  # the child has the job, and its answer is waited for
        return receive(channel, kind, *rest, **named)

    monkeypatch.setattr(wire, "receive", noticed)
    with ThreadPoolExecutor() as pool:
        job = pool.submit(do, renderer, "wait")
        assert under_way.wait(10)
        renderer.close()
        with pytest.raises(RendererUnavailable):
            job.result(10)


@linux
def test_nothing_is_left_when_the_worker_dies(villain: Callable[..., SandboxedRenderer]) -> None:
    """A zygote ends when its worker's socket closes, as it does when the worker is killed."""
    renderer = villain()
    renderer.start()
    zygote = renderer._zygote
    assert zygote is not None
    zygote._channel.close()
    assert zygote.process.wait(10) == 0


def test_a_zygote_that_is_told_nothing_ends_in_silence() -> None:
    """Ctrl-C may end the worker before it has said anything; no traceback follows."""
    near, far = socket.socketpair()
    near.close()
    with far:
        run = subprocess.run(
            [sys.executable, "-P", "-m", "safelight.imaging.zygote", str(far.fileno())],
            pass_fds=[far.fileno()],
            capture_output=True,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_formats_without_jpeg() -> None:
    """What children draw to warm up is nobody's upload."""
    renderer = SandboxedRenderer(Settings(formats=("png",)))
    try:
        render_with(renderer, encoded(upright(), "PNG")).close()
        with pytest.raises(TypeNotAllowed, match="only PNG"):
            render_with(renderer, jpeg())
    finally:
        renderer.close()


def test_renderers_do_not_share(villain: Callable[..., SandboxedRenderer]) -> None:
    """Renderers in several threads work side by side; one that is closed takes no other with it."""
    renderers = [SandboxedRenderer(Settings()) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda renderer: render_with(renderer, jpeg()), renderers))
    renderers[0].close()
    made.append(render_with(renderers[1], jpeg()))
    assert len({rendering.outputs[0].sha256 for rendering in made}) == 1
    for rendering in made:
        rendering.close()
    for renderer in renderers:
        renderer.close()


def test_one_renderer_serves_several_threads() -> None:
    """Jobs of several threads wait for each other and all come out."""
    renderer = SandboxedRenderer(Settings())
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: render_with(renderer, jpeg()), range(8)))
    assert len({rendering.outputs[0].sha256 for rendering in made}) == 1
    for rendering in made:
        rendering.close()
    renderer.close()


def test_no_descriptor_leaks(villain: Callable[..., SandboxedRenderer]) -> None:
    """After good and bad jobs the worker holds as many descriptors as before, and no dead child is left."""
    renderer = villain()
    do(renderer, "copy")
    renderer.start()
    gc.collect()
    before = len(list(Path("/dev/fd").iterdir()))
    for name in ("copy", "crash", "lie", "copy"):
        if name == "copy":
            do(renderer, name)
        else:
            with pytest.raises(RenderCrashed):
                do(renderer, name)
    renderer.start()
    gc.collect()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_the_original_is_left_where_it_was(villain: Callable[..., SandboxedRenderer]) -> None:
    """The caller's file keeps its content; only its descriptor goes over, whatever its position."""
    with TemporaryFile() as file, TemporaryFile() as other:
        for handle in (file, other):
            handle.write(jpeg())
            handle.flush()
        other.seek(7)
        renderer = SandboxedRenderer(Settings())
        digests = {renderer.render(handle, SOURCE, RECIPE).outputs[0].sha256 for handle in (file, other)}
        renderer.close()
        assert len(digests) == 1
        assert other.tell() == 7


def test_the_original_is_measured() -> None:
    """The original's SHA-256 comes back, whoever computed it first."""
    renderer = SandboxedRenderer(Settings())
    made = render_with(renderer, jpeg())
    assert made.source.sha256 == hashlib.sha256(jpeg()).hexdigest()
    made.close()
    renderer.close()
