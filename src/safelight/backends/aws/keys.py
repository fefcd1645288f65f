"""Keys, and the bucket that each lies in."""

from typing import Final

from safelight.errors import InvalidRequest

UPLOADS: Final = "uploads/"
PROCESSED: Final = "processed/"
MAX_KEY_BYTES: Final = 1024


class Buckets:
    """Which bucket holds what: originals are versioned and clients write them; outputs only workers do."""

    def __init__(self, uploads: str, processed: str) -> None:
        self._uploads = uploads
        self._processed = processed

    def of(self, key: str) -> str:
        """The bucket of a key or prefix. Raise InvalidRequest for what can be neither."""
        if key.startswith(UPLOADS):
            return self._uploads
        if key.startswith(PROCESSED):
            return self._processed
        raise InvalidRequest("A key begins with uploads/ or processed/.")


def check(key: str) -> str:
    """The key, if it can be the key of an object. Raise InvalidRequest for anything that could lead elsewhere.

    S3 takes almost any key, but HTTP clients resolve `..` before they send it, to another key.
    """
    if not key.startswith((UPLOADS, PROCESSED)):
        raise InvalidRequest("A key begins with uploads/ or processed/.")
    if {"", ".", ".."} & set(key.split("/")):
        raise InvalidRequest("A key has no empty part and no part that is only dots.")
    if len(key.encode(errors="replace")) > MAX_KEY_BYTES:
        raise InvalidRequest(f"A key has at most {MAX_KEY_BYTES} bytes.")
    return key


def is_possible(key: str) -> bool:
    """Whether there can be an object of this key."""
    try:
        check(key)
    except InvalidRequest:
        return False
    return True


def belongs(key: str, prefix: str) -> bool:
    """Whether a key is below `prefix`, or is it: `uploads/1` must not take `uploads/10/…` with it."""
    return prefix.endswith("/") or key == prefix
