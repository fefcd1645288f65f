"""Previews: one output of a recipe, drawn at once from a small file while its caller waits.

The same sandbox as for jobs, with limits that are tighter, and renderers of its own: no preview holds a job up, and
nothing is kept. As many are drawn at a time as there are renderers; whoever comes then is asked to come again.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Final

import msgspec

from safelight.config import Settings
from safelight.errors import EmptyFile, PreviewsBusy, TooLarge, UnknownOutput
from safelight.model import Source, Value
from safelight.ports import Renderer
from safelight.recipes import File, Recipe, Rendition, canonical

MAX_RESULT: Final = 4_000_000
"""The most bytes that come of a preview. Lambda answers with at most 6 MB, in which a byte takes one and a third."""


class Preview(Value, frozen=True):
    """A drawn output: its file's bytes, and its size in pixels as displayed."""

    output: str
    content: bytes
    content_type: str
    width: int
    height: int
    frames: int


class Previews:
    """Draws previews with `settings.previews` renderers that `renderer` makes; each starts with its first preview."""

    def __init__(self, settings: Settings, renderer: Callable[[Settings], Renderer]) -> None:
        self._settings = settings
        self._renderers: Sequence[Renderer] = [
            renderer(tightened(settings)) for _ in range(settings.previews)
        ]
        self._idle: SimpleQueue[Renderer] = SimpleQueue()
        for each in self._renderers:
            self._idle.put(each)

    def draw(self, content: bytes, recipe: Recipe, output: str | None = None) -> Preview:
        """Draw the output of this name, or the primary one, of a file with this content.

        Raise UnknownOutput, EmptyFile, TooLarge, PreviewsBusy, and what
        `Renderer.render` raises. Returns, or raises, within `settings.preview_seconds` and a little.
        """
        wanted = _file(recipe, output)
        if not content:
            raise EmptyFile
        if len(content) > self._settings.preview_bytes:
            raise TooLarge(
                f"The file has {len(content)} bytes and a preview takes {self._settings.preview_bytes}; "
                "make it smaller, or upload it for a job."
            )
        try:
            renderer = self._idle.get_nowait()
        except Empty:
            raise PreviewsBusy from None
        try:
            return _drawn(renderer, content, recipe, wanted)
        finally:
            self._idle.put(renderer)

    def close(self) -> None:
        """Stop all renderers. Previews in progress end with RendererUnavailable."""
        for renderer in self._renderers:
            renderer.close()


def tightened(settings: Settings) -> Settings:
    """The settings of a preview's renderer: nothing is allowed that a job may not, and less of it."""
    seconds = min(settings.render_seconds, settings.preview_seconds)
    return msgspec.structs.replace(
        settings,
        max_pixels=min(settings.max_pixels, settings.preview_pixels),
        max_interlaced_pixels=min(settings.max_interlaced_pixels, settings.preview_pixels),
        render_seconds=seconds,
        render_cpu_seconds=min(settings.render_cpu_seconds, seconds),
        render_output=min(settings.render_output, MAX_RESULT),
    )


def _file(recipe: Recipe, output: str | None) -> File:
    """The file that is meant: by its own name, or by its output's; without a name the primary one."""
    files = recipe.files()
    if output is None:
        return next((file for file in files if file.primary), files[0])
    if output in recipe.outputs:
        return next(file for file in files if file.rendition is recipe.outputs[output])
    for file in files:
        if file.name == output:
            return file
    known = ", ".join(file.name for file in files)
    raise UnknownOutput(f"output: the recipe has no output {output[:100]!r}; it has: {known}.")


def _drawn(renderer: Renderer, content: bytes, recipe: Recipe, wanted: File) -> Preview:
    alone = _alone(recipe, wanted)
    with tempfile.TemporaryFile() as file:  # the child maps it: it needs a descriptor
        file.write(content)
        file.flush()
        source = Source(key="", version="", bytes=len(content))
        with closing(renderer.render(file, source, canonical(alone))) as rendering:
            (drawn,) = rendering.outputs
            return Preview(
                output=wanted.name,
                content=drawn.file.read(),
                content_type=drawn.content_type,
                width=drawn.width,
                height=drawn.height,
                frames=drawn.frames,
            )


def _alone(recipe: Recipe, wanted: File) -> Recipe:
    """The recipe with nothing but what this file needs."""
    rendition: Rendition = msgspec.structs.replace(wanted.rendition, format=wanted.format, primary=True)
    steps = {name: recipe.steps[name] for name in recipe.line(rendition.use)}
    return msgspec.structs.replace(recipe, steps=steps, outputs={"preview": rendition})
