"""Previews, on a renderer without pictures."""

import threading
from typing import IO

import pytest

from safelight.config import Settings
from safelight.errors import EmptyFile, PreviewsBusy, RendererUnavailable, TooLarge, UnknownOutput
from safelight.model import Source
from safelight.ports import Rendering
from safelight.previews import MAX_RESULT, Previews, tightened
from safelight.recipes import Recipe, build, parse
from safelight.testing import Renderer

RECIPE = build(
    {
        "version": 1,
        "steps": {
            "small": {"op": "resize", "width": 100},
            "grey": {"op": "grayscale", "use": "small"},
            "other": {"op": "blur", "sigma": 2},
        },
        "outputs": {
            "large": {"use": "other"},
            "main": {"use": "grey", "format": ["webp", "jpeg"], "primary": True},
        },
    }
)


class Watched(Renderer):
    """A renderer that keeps the recipes it is given, and waits inside if told so."""

    def __init__(self) -> None:
        super().__init__()
        self.recipes: list[Recipe] = []
        self.inside = threading.Semaphore(0)
        self.gate: threading.Event | None = None

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        self.recipes.append(parse(recipe))
        self.inside.release()
        if self.gate is not None:
            assert self.gate.wait(20)
        return super().render(file, source, recipe)


@pytest.mark.parametrize(
    ("output", "name", "format_"),
    [(None, "main-webp", "webp"), ("main", "main-webp", "webp"), ("main-jpeg", "main-jpeg", "jpeg")],
)
def test_only_what_the_output_needs_is_drawn(output: str | None, name: str, format_: str) -> None:
    """The primary output, an output, or one of its files: with the steps that lead to it and no others."""
    renderer = Watched()
    drawn = Previews(Settings(), lambda _: renderer).draw(b"picture", RECIPE, output)
    assert (drawn.output, drawn.content, drawn.width) == (name, b"picture", 1)
    [recipe] = renderer.recipes
    assert set(recipe.steps) == {"small", "grey"}
    [rendition] = recipe.outputs.values()
    assert rendition.format == format_


def test_an_output_that_does_not_exist_is_named() -> None:
    """The refusal lists what there is."""
    with pytest.raises(UnknownOutput, match="no output 'x'; it has: large, main-webp, main-jpeg"):
        Previews(Settings(), lambda _: Renderer()).draw(b"picture", RECIPE, "x")


def test_files_that_are_no_previews() -> None:
    """Nothing, and too much, are refused before a renderer is asked."""
    renderer = Watched()
    previews = Previews(Settings(preview_bytes=7), lambda _: renderer)
    with pytest.raises(EmptyFile):
        previews.draw(b"", RECIPE)
    with pytest.raises(TooLarge, match="8 bytes and a preview takes 7"):
        previews.draw(b"pictures", RECIPE)
    assert previews.draw(b"picture", RECIPE).content == b"picture"
    assert len(renderer.recipes) == 1


def test_no_more_at_a_time_than_there_are_renderers() -> None:
    """Who comes when all are busy is refused at once; when one is free again, it draws."""
    made: list[Watched] = []

    def renderer(_settings: Settings) -> Watched:
        made.append(Watched())
        made[-1].gate = gate
        return made[-1]

    gate = threading.Event()
    previews = Previews(Settings(previews=2), renderer)
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(previews.draw(b"picture", RECIPE).content))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert all(each.inside.acquire(timeout=20) for each in made)
    with pytest.raises(PreviewsBusy):
        previews.draw(b"picture", RECIPE)
    gate.set()
    for thread in threads:
        thread.join()
    assert results == [b"picture", b"picture"]
    assert previews.draw(b"picture", RECIPE).content == b"picture"


def test_a_failure_gives_the_renderer_back() -> None:
    """One renderer draws on after any number of failures."""
    renderer = Renderer([RendererUnavailable(), ValueError()])
    previews = Previews(Settings(previews=1), lambda _: renderer)
    for failure in (RendererUnavailable, ValueError):
        with pytest.raises(failure):
            previews.draw(b"picture", RECIPE)
    assert previews.draw(b"picture", RECIPE).content == b"picture"


def test_limits_are_never_looser_than_those_of_jobs() -> None:
    """Whatever the two limits of each kind are, the tighter one holds."""
    loose = tightened(Settings(max_pixels=100, render_seconds=1.0, render_cpu_seconds=2.0, render_output=10))
    assert (loose.max_pixels, loose.max_interlaced_pixels, loose.render_output) == (100, 16_000_000, 10)
    assert (loose.render_seconds, loose.render_cpu_seconds) == (1.0, 1.0)
    tight = tightened(Settings(preview_pixels=7, preview_seconds=0.5))
    assert (tight.max_pixels, tight.max_interlaced_pixels, tight.render_output) == (7, 7, MAX_RESULT)
    assert (tight.render_seconds, tight.render_cpu_seconds) == (0.5, 0.5)


def test_closing_closes_every_renderer() -> None:
    """Nothing is drawn afterwards."""
    previews = Previews(Settings(previews=2), lambda _: Renderer())
    previews.close()
    for _ in range(2):
        with pytest.raises(RendererUnavailable):
            previews.draw(b"picture", RECIPE)
