"""Images and fonts that recipes name: found in the operator's folder, and from then on part of the recipe.

    image: logo.png   ──read with the folder──▶   image: data:image/png;base64,iVBORw0…

So a recipe is whole: its digest covers the pixels, a job that is run again looks the same whatever has become of the
folder, and workers, wherever they are, need nothing else. Images are decoded where strangers' files are, and only
there.
"""

import base64
import binascii
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

MAX_BYTES: Final = 150_000
"""The largest asset."""

MAX_BYTES_IN_ALL: Final = 200_000
"""How much all assets of a recipe may have together: it is kept as one item of 400 kB at most."""

TYPES: Final = {".png": "image/png", ".ttf": "font/ttf", ".otf": "font/otf"}
"""What there can be in the folder, by suffix."""

_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_DATA: Final = r"[A-Za-z0-9+/]+={0,2}"

ImageAsset = Annotated[
    str,
    Meta(
        pattern=rf"^({_NAME}\.png|data:image/png;base64,{_DATA})$",
        title="the name of a PNG such as 'logo.png', or a data: URL of one",
    ),
]
FontAsset = Annotated[
    str,
    Meta(
        pattern=rf"^(sans|serif|mono|{_NAME}\.(ttf|otf)|data:font/(ttf|otf);base64,{_DATA})$",
        title="sans, serif, mono, the name of a font file such as 'house.ttf', or a data: URL of one",
    ),
]


class AssetError(ValueError):
    """An asset that can not be had; says why."""


def is_name(value: str) -> bool:
    """Whether an asset is given by its name in the folder, and not whole."""
    return not value.startswith("data:") and value.endswith(tuple(TYPES))


def found(folder: str, name: str) -> str:
    """The asset of that name as a data: URL. Raise AssetError."""
    known = names(folder)
    if name not in known:
        said = f"there are: {', '.join(known)}" if known else "there are none"
        raise AssetError(f"there is no asset {name!r} in the folder of SAFELIGHT_ASSETS; {said}")
    try:
        content = Path(folder, name).read_bytes()
    except OSError as error:
        raise AssetError(f"the asset {name!r} can not be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise AssetError(f"the asset {name!r} has {len(content)} bytes and {MAX_BYTES} are allowed")
    return f"data:{TYPES[Path(name).suffix]};base64,{base64.b64encode(content).decode()}"


def names(folder: str) -> list[str]:
    """What there is in the folder, in alphabetical order; nothing if there is no folder."""
    if not folder or not Path(folder).is_dir():
        return []
    return sorted(path.name for path in Path(folder).iterdir() if path.suffix in TYPES)


def content(value: str) -> bytes:
    """The bytes of a data: URL. Raise AssetError."""
    try:
        return base64.b64decode(value.partition(";base64,")[2], validate=True)
    except binascii.Error:
        raise AssetError("the data: URL is not in base64") from None
