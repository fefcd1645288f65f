"""Where the shared library is; `safelight.imaging.splice` loads it."""

from pathlib import Path

LIBRARY = next(Path(__file__).parent.glob("library.*"))
"""The library's file."""
