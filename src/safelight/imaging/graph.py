"""The steps of a recipe, drawn: the original is decoded once, and no more of it than the largest result needs.

    one decode      JPEG and WebP decode smaller (shrink-on-load) where every way from the original begins by scaling
    shared steps    what several steps or files use is computed once and kept in memory; all else streams
    chained sizes   a rendition is scaled from the nearest larger one that shows the same, not from the original again

libvips computes when pixels are asked for, so a picture here costs nothing until it is encoded or kept.
"""

import time
from collections import Counter
from typing import Final

import msgspec

from safelight.imaging.pictures import Picture
from safelight.imaging.watching import Node, Watch
from safelight.operations import ORIGINAL, Operation, Size, Turn
from safelight.recipes import Recipe

LEAVE: Final = 2.0
"""How much of a scaling is left to the step that asked for it, when the picture comes smaller already: decoders and a
second scaling lose a little, and halving hides it."""

AS_IS: Final = 0.99
"""Rounding of sizes to whole pixels must not make 2.0 a little less."""


class Graph:
    """The pictures that a recipe makes of one original."""

    def __init__(self, recipe: Recipe, original: Picture, watch: Watch | None = None) -> None:
        self._recipe = recipe
        self._watch = watch
        self._sizes = _sizes(recipe, original.size)
        self._parents = {name: self._parent(name) for name in recipe.steps}
        self._users = Counter(self._parents.values()) + Counter(file.rendition.use for file in recipe.files())
        begin = time.perf_counter()
        self._done = {ORIGINAL: kept(original) if watch or self._users[ORIGINAL] > 1 else original}
        self._note(ORIGINAL, "decode", None, self._done[ORIGINAL], begin)

    def picture(self, name: str) -> Picture:
        """What comes out of the step of this name; to be asked for once a file."""
        if name not in self._done:
            picture = self._draw(name)
            self._done[name] = kept(picture) if self._users[name] > 1 else picture
        picture = self._done[name]
        self._users[name] -= 1
        if not self._users[name]:
            del self._done[name]
        return picture

    def _draw(self, name: str) -> Picture:
        operation, parent = self._recipe.steps[name], self._parents[name]
        source = self.picture(parent)
        chained = parent != operation.use
        before = self._sizes[operation.use] if chained else source.size
        assert before is not None, "sizes are chained only where they are known"
        begin = time.perf_counter()
        frames = source.frames
        if operation.looks(before):
            frames = kept(source).frames
            operation = operation.settled(frames, before)
        elif not _streams(operation, before):
            frames = kept(source).frames
        made = msgspec.structs.replace(
            source, frames=[operation.draw(frame, before) for frame in frames], size=operation.size(before)
        )
        if self._watch is not None:
            made = kept(made)
            self._note(name, operation.name(), parent, made, begin)
        return made

    def _note(self, name: str, does: str, of: str | None, picture: Picture, begin: float) -> None:
        if self._watch is None:
            return
        frame = picture.frames[0]
        seconds = time.perf_counter() - begin
        depth = 2 if frame.format == "ushort" else 1
        taken = len(picture.frames) * frame.width * frame.height * frame.bands * depth
        self._watch.nodes.append(Node(name, does, of, frame.width, frame.height, seconds, taken))

    def _parent(self, name: str) -> str:
        """The step whose picture this one is drawn from: the nearest larger one of the same view, or what it uses."""
        operation = self._recipe.steps[name]
        before = self._sizes[operation.use]
        if before is None:
            return operation.use
        wanted = operation.shrink(before)
        siblings = {
            other: step.shrink(before)
            for other, step in self._recipe.steps.items()
            if other != name and step.use == operation.use and _scales(step, before)
        }
        fit = {other: shrink for other, shrink in siblings.items() if wanted >= AS_IS * LEAVE * shrink}
        return max(fit, key=lambda other: fit[other]) if fit else operation.use


def shrink(recipe: Recipe, size: Size) -> float:
    """How many times smaller than `size` the original may be decoded."""

    def result(name: str, size: Size) -> float:
        if any(output.use == name for output in recipe.outputs.values()):
            return 1.0
        users = [(other, step) for other, step in recipe.steps.items() if step.use == name]
        return min((step_input(other, step, size) for other, step in users), default=1.0)

    def step_input(name: str, step: Operation, size: Size) -> float:
        own = step.shrink(size)
        if own > 1:
            return max(1.0, own / LEAVE)
        edits = step.edits(size)
        turned = edits is not None and all(isinstance(edit, Turn) for edit in edits)
        return result(name, step.size(size)) if turned else 1.0

    return result(ORIGINAL, size)


def _sizes(recipe: Recipe, original: Size) -> dict[str, Size | None]:
    """The size of each step's result; None where only the pixels can tell it."""
    sizes: dict[str, Size | None] = {ORIGINAL: original}
    for name in recipe.steps:
        for step in recipe.line(name):
            operation = recipe.steps[step]
            before = sizes[operation.use]
            unknown = before is None or operation.looks(before)
            sizes[step] = None if unknown or before is None else operation.size(before)
    return sizes


def _scales(operation: Operation, before: Size) -> bool:
    """Whether all of the picture comes out, only smaller: then another size of it can be made of that."""
    factor = operation.shrink(before)
    if factor <= 1 or operation.looks(before) or getattr(operation, "kernel", "lanczos3") != "lanczos3":
        return False
    after = operation.size(before)
    return abs(after.width * factor - before.width) <= factor and (
        abs(after.height * factor - before.height) <= factor
    )


def _streams(operation: Operation, before: Size) -> bool:
    """Whether it reads the picture once, from top to bottom."""
    return operation.shrink(before) > 1 or operation.edits(before) is not None


def kept(picture: Picture) -> Picture:
    """The same in memory, to be read as often and in whatever order."""
    return msgspec.structs.replace(picture, frames=[frame.copy_memory() for frame in picture.frames])
