"""Opaque cursors: where a page ended, as text that fits into a URL."""

import base64
import binascii
from typing import Any

import msgspec

from safelight.decoding import from_json
from safelight.errors import InvalidRequest


def pack(*position: object) -> str:
    """The cursor of a position."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def unpack(cursor: str, *kinds: type) -> list[Any]:
    """The position of a cursor. Raise InvalidRequest if it is not one of ours."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return list(from_json(raw, tuple[kinds]))  # type: ignore[valid-type]
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise InvalidRequest("The cursor is not one that this listing gave; begin without one.") from None
