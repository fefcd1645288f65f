"""What is got ready for the next job, and for whom."""

from tests.pictures import jpeg
from tests.unit.imaging.conftest import RECIPE, content, render_with

from safelight.config import Settings
from safelight.imaging import SandboxedRenderer, renderer, wire
from safelight.imaging.drawing import Drawing, Look
from safelight.imaging.habits import SEEN, Habits
from safelight.operations.watermark import lay_out
from safelight.recipes import canonical, default

DRAWN = Drawing(Look("jpeg", 160, 120), (Look("jpeg", 160, 120),))


def test_the_second_job_of_a_kind_tells_what_comes_third() -> None:
    """Recipe and size have to come twice; another size is another kind."""
    habits = Habits(Settings())
    assert habits.after(RECIPE, DRAWN) is None
    assert habits.after(RECIPE, DRAWN) == wire.Ahead(RECIPE, 160, 120)
    assert habits.after(RECIPE, Drawing(Look("jpeg", 120, 160), ())) is None


def test_a_callers_own_recipe_is_not_kept() -> None:
    """Nothing of it comes into a process that others' children are forked from."""
    habits = Habits(Settings())
    own = canonical(default("Jane's wedding"))
    assert [habits.after(own, DRAWN) for _ in range(3)] == [None] * 3


def test_only_so_much_is_remembered() -> None:
    """What came too long ago is forgotten."""
    habits = Habits(Settings())
    for width in range(1, SEEN + 2):
        habits.after(RECIPE, Drawing(Look("jpeg", width, 1), ()))
    assert habits.after(RECIPE, Drawing(Look("jpeg", 1, 1), ())) is None
    assert habits.after(RECIPE, Drawing(Look("jpeg", SEEN, 1), ())) is not None


def test_anticipating_lays_out_the_mark() -> None:
    """The mark of a photo of that size is there when it is asked for; a huge one is not kept."""
    lay_out.cache_clear()
    renderer.anticipate(RECIPE, 320, 240)
    before = lay_out.cache_info()
    assert before.currsize == 1
    renderer.anticipate(RECIPE, 320, 240)
    assert lay_out.cache_info().hits == before.hits + 1
    huge = canonical(default("W" * 200))
    renderer.anticipate(huge, 16_000, 4_000)
    assert lay_out.cache_info().currsize == 1


def test_jobs_alike_look_alike() -> None:
    """With and without getting ready, the same bytes come out."""
    made = SandboxedRenderer(Settings())
    outputs = set()
    for _ in range(4):
        rendering = render_with(made, jpeg())
        outputs.add(content(rendering))
        rendering.close()
    made.close()
    assert len(outputs) == 1
