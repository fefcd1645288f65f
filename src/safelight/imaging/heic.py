"""The one door to pillow-heif, an extra that decodes HEIC: there or not, and imported before the sandbox closes."""

from importlib import import_module
from importlib.util import find_spec
from mmap import mmap
from typing import Any, Final

from PIL import Image

PACKAGE: Final = "pillow_heif"
_pillow_heif: Final[Any] = import_module(PACKAGE) if find_spec(PACKAGE) else None
if _pillow_heif:
    _pillow_heif.options.DECODE_THREADS = 0  # the other cores have jobs of their own


def picture(data: mmap) -> tuple[Image.Image, bytes | None]:
    """The primary picture, RGB or RGBA with 8 bits a sample, turned and cropped as its boxes say, and its profile."""
    file = _pillow_heif.open_heif(data[:])
    image = file.to_pillow()
    mode = "RGBA" if file.has_alpha else "RGB"
    return image if image.mode == mode else image.convert(mode), file.info.get("icc_profile")


def exif(data: mmap) -> Image.Exif:
    """What the primary picture carries. No pixel is decoded."""
    found = Image.Exif()
    found.load(_pillow_heif.open_heif(data[:]).info.get("exif") or b"")
    return found
