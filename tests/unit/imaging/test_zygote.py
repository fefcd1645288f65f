"""How much memory a child is given ahead."""

from pathlib import Path

from tests.unit.imaging.conftest import RECIPE, render_with
from tests.unit.imaging.test_sandbox import linux

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer, wire
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


@linux
def test_the_next_child_has_the_memory_of_a_usual_job() -> None:
    """It has touched it while it waits, and no more than a waiting child may."""
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
    cold, *_, warm = held
    assert 2_000_000 < warm - cold < WARM_MOST + 2_000_000


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
