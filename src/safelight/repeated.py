"""Names that stand twice in one JSON object. RFC 8259 leaves open what that means; decoders take one and drop the
other without a word, which has cost somebody a watermark."""

import json
from typing import Any


class _Found(Exception):
    """The name."""


def repeated_name(text: bytes) -> str | None:
    """The first name that is there twice in an object of this JSON, whatever is around it; None if there is none.

    Raise ValueError or RecursionError for what is no JSON to Python's own reader.
    """
    try:
        json.loads(text, object_pairs_hook=_once)
    except _Found as found:
        return str(found)
    return None


def _once(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise _Found(name)
        seen.add(name)
