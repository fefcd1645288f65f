"""Rendering: `SandboxedRenderer` for files from anywhere, `render_in_process` for one's own. Loads no codec."""

from typing import IO

from safelight.config import Settings
from safelight.imaging.sandbox import SandboxedRenderer, check_formats
from safelight.model import Source
from safelight.ports import Rendering

__all__ = ["SandboxedRenderer", "check_formats", "render_in_process"]


def render_in_process(file: IO[bytes], source: Source, recipe: bytes, settings: Settings) -> Rendering:
    """See `renderer.render_in_process`."""
    from safelight.imaging import renderer

    return renderer.render_in_process(file, source, recipe, settings)
