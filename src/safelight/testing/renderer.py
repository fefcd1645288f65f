"""A renderer that draws nothing."""

import hashlib
import io
from collections.abc import Iterable
from typing import IO, Any

import msgspec

from safelight.errors import EmptyFile, RendererUnavailable
from safelight.model import Source
from safelight.ports import Rendered, Rendering


class Renderer:
    """The `Renderer` port without pictures: every output of a recipe is a copy of the original, 1 × 1 pixel by its
    own account. Errors put into `failures` are raised by the next renderings, one each."""

    def __init__(self, failures: Iterable[Exception] = ()) -> None:
        self.failures = list(failures)
        self.rendered: list[Source] = []
        self._closed = False

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        """Copy `file` once for each output."""
        if self._closed:
            raise RendererUnavailable
        if self.failures:
            raise self.failures.pop(0)
        file.seek(0)
        content = file.read()
        if not content:
            raise EmptyFile
        digest = hashlib.sha256(content).hexdigest()
        names: dict[str, Any] = msgspec.json.decode(recipe).get("outputs") or {"main": {}}
        primary = next((name for name, output in names.items() if output.get("primary")), next(iter(names)))
        outputs = tuple(
            Rendered(
                name=name,
                extension="jpg",
                content_type="image/jpeg",
                file=io.BytesIO(content),
                bytes=len(content),
                sha256=digest,
                width=1,
                height=1,
                primary=name == primary,
            )
            for name in names
        )
        self.rendered.append(source)
        known = msgspec.structs.replace(source, format="jpeg", width=1, height=1, frames=1, sha256=digest)
        return Rendering(source=known, outputs=outputs)

    def close(self) -> None:
        """Rendering is over."""
        self._closed = True
