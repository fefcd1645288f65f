"""Keys and where they lie below `{data}/files`.

    processed/a/b.webp      processed/a/b.webp                               written once
    uploads/{job}/b.jpg     uploads/{job}/{version}-b.jpg                    one file per version, the newest counts

A version is the time in microseconds and some randomness, in hexadecimal: the names sort by age. Keys are Unicode in
the composed form (NFC), which every file system gives back in a form that compares equal after normalising. On a file
system that ignores case, two keys that differ only in case are one object: the second is refused, never merged.
"""

import re
import secrets
import unicodedata
from typing import Final

from safelight.errors import InvalidRequest

UPLOADS: Final = "uploads/"
PROCESSED: Final = "processed/"
ONLY_VERSION: Final = "null"
"""The version of an object that has no others, as S3 calls it."""
MAX_KEY_BYTES: Final = 1024
MAX_PART_BYTES: Final = 200
_VERSIONED: Final = re.compile(r"([0-9a-f]{14})[0-9a-f]{10}-(.+)", re.DOTALL)
VERSION_LENGTH: Final = 24
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check(key: str) -> str:
    """The key, if it can be the key of an object. Raise InvalidRequest for anything that could lead elsewhere."""
    parts = key.split("/")
    if len(parts) < 2 or f"{parts[0]}/" not in (UPLOADS, PROCESSED):
        raise InvalidRequest("A key begins with uploads/ or processed/.")
    try:
        if len(key.encode()) > MAX_KEY_BYTES or any(len(part.encode()) > MAX_PART_BYTES for part in parts):
            raise InvalidRequest(
                f"A key has at most {MAX_KEY_BYTES} bytes, and {MAX_PART_BYTES} between two slashes."
            )
    except UnicodeEncodeError:
        raise InvalidRequest("The key is not valid Unicode.") from None
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidRequest("A key has no empty part and no part that is only dots.")
    if _CONTROL.search(key):
        raise InvalidRequest("A key has no control characters.")
    if not unicodedata.is_normalized("NFC", key):
        raise InvalidRequest("A key is Unicode in the composed form (NFC).")
    return key


def is_possible(key: str) -> bool:
    """Whether there can be an object of this key."""
    try:
        check(key)
    except InvalidRequest:
        return False
    return True


def check_prefix(prefix: str) -> str:
    """The prefix, if it is a whole key or the beginning of keys up to a slash."""
    if prefix not in (UPLOADS, PROCESSED):
        check(prefix.removesuffix("/"))
    return prefix


def new_version(now: float, newest: str | None) -> str:
    """A version later than `newest`, even when the clock went back."""
    moment = int(now * 1_000_000)
    if newest is not None:
        moment = max(moment, int(newest[:14], 16) + 1)
    return f"{moment:014x}{secrets.token_hex(5)}"


def split_version(file_name: str) -> tuple[str, str] | None:
    """The version and the key's last part that a file's name below uploads/ stands for."""
    match = _VERSIONED.fullmatch(file_name)
    if match is None:
        return None
    return file_name[:VERSION_LENGTH], unicodedata.normalize("NFC", match[2])


def is_version(version: str) -> bool:
    """Whether the text has the form of a version: it becomes part of a path."""
    return re.fullmatch(r"[0-9a-f]{24}", version) is not None
