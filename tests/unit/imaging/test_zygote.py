"""How much memory a child is given ahead."""

from pathlib import Path

import pytest
from tests.unit.imaging.conftest import RECIPE, render_with
from tests.unit.imaging.test_sandbox import linux

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer, sandbox, wire
from safelight.imaging.sample import photo
from safelight.imaging.zygote import WARM_MOST, Needs

PHOTO = wire.Ahead(RECIPE, 4000, 3000)
THUMB = wire.Ahead(RECIPE, 160, 120)


def ended(peak: int) -> wire.Ended:
    """A child that came to this peak."""
    return wire.Ended(0, 0.1, peak)


def test_the_last_cold_child_tells_what_is_needed() -> None:
    """What was touched ahead counts as taken, so a warm child tells nothing: needs do not grow by themselves."""
    needs = Needs()
    assert needs.of(None) == 0
    needs.learn(ended(50))
    assert needs.of(PHOTO) == 50
    needs.learn(ended(70))
    assert needs.of(PHOTO) == 50


def test_another_kind_of_job_needs_what_it_needs() -> None:
    """Nothing is touched for it before a cold child has shown how much that is, nor where nobody knows what comes."""
    needs = Needs()
    needs.of(None)
    needs.learn(ended(50))
    needs.of(PHOTO)
    needs.learn(ended(50))
    assert needs.of(THUMB) == 0
    needs.learn(ended(20))
    assert needs.of(THUMB) == 20
    needs.learn(ended(20))
    assert needs.of(None) == 0


def test_a_child_that_is_not_prepared_tells_what_it_needs() -> None:
    """In a hurry nothing is touched, so what it came to counts for the next."""
    needs = Needs()
    needs.of(None)
    needs.learn(ended(50))
    assert needs.of(PHOTO) == 50
    needs.learn(ended(70))
    assert needs.of(PHOTO, hurry=True) is None
    needs.learn(ended(20))
    assert needs.of(THUMB) == 20


@linux
def test_the_next_child_has_the_memory_of_a_usual_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has touched it while it waits, and no more than a waiting child may."""
    monkeypatch.setattr(sandbox, "HURRY", 0.0)
    cold, *_, warm = _held_while_waiting()
    assert 2_000_000 < warm - cold < WARM_MOST + 2_000_000


@linux
def test_jobs_that_follow_at_once_are_not_prepared_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is never idle would do it in the time of the next job."""
    monkeypatch.setattr(sandbox, "HURRY", 60.0)
    prepared, *hurried = _held_while_waiting()
    assert max(hurried) < prepared


def _held_while_waiting() -> list[int]:
    """The memory that each next child holds before its job, after each of four alike."""
    renderer = SandboxedRenderer(Settings(splice="off"))
    held = []
    try:
        for _ in range(4):
            render_with(renderer, photo(1600, 1200), RECIPE).close()
            renderer.start()
            assert renderer._zygote
            assert renderer._zygote._waiting
            held.append(_resident(renderer._zygote._waiting.pid))
    finally:
        renderer.close()
    return held


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
