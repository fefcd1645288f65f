"""The one door to pillow-heif, an extra that decodes HEIC: there or not, and imported before the sandbox closes."""

from importlib import import_module
from importlib.util import find_spec
from mmap import mmap
from typing import Any, Final

from PIL import Image

from safelight.imaging import profiles

PACKAGE: Final = "pillow_heif"
_pillow_heif: Final[Any] = import_module(PACKAGE) if find_spec(PACKAGE) else None
if _pillow_heif:
    _pillow_heif.libheif_version()  # loads what is native now, and not in front of a stranger's file
    _options = _pillow_heif.options
    _options.DECODE_THREADS = 0  # the other cores have jobs of their own
    # What is not drawn is not opened: it could only fail the picture.
    _options.THUMBNAILS = _options.DEPTH_IMAGES = _options.AUX_IMAGES = False

_DISPLAY_P3: Final = 12
"""Its primaries, as ISO/IEC 23091-2 counts them."""


def picture(data: mmap) -> tuple[Image.Image, bytes | None]:
    """The primary picture, RGB or RGBA with 8 bits a sample, turned and cropped as its boxes say, and its profile.

    Where no profile is in the file, one number may say that it is Display P3; what else it may say is taken for sRGB.
    """
    file = _opened(data)
    image = file.to_pillow()
    if image.mode.startswith(
        "I;16"
    ):  # grey, which pillow-heif does not bring to 8 bits, and Pillow would clip
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if file.has_alpha else "RGB"
    icc = file.info.get("icc_profile")
    if icc is None and file.info.get("nclx_profile", {}).get("color_primaries") == _DISPLAY_P3:
        icc = profiles.profile_of("display-p3")
    return image if image.mode == mode else image.convert(mode), icc


def exif(data: mmap) -> Image.Exif:
    """What the primary picture carries. No pixel is decoded."""
    found = Image.Exif()
    found.load(_opened(data).info.get("exif") or b"")
    return found


def _opened(data: mmap) -> Any:
    try:
        return _pillow_heif.open_heif(data[:])
    except TypeError as error:  # it trips over metadata that libheif could not read
        raise ValueError("metadata that can not be read") from error
