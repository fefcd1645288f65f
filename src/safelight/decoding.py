"""Values read as types, in whatever thread.

Before msgspec decodes a type for the first time it looks at it, and keeps what it finds on the class, before it has
found all of it. Another thread that decodes the same type in that moment meets fields without a type, and the process
crashes (seen with msgspec 0.22; a struct within a struct is enough). So one thread looks at a type, before any decodes
it.
"""

import threading
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

_turn: Final = threading.Lock()
_known: Final[set[Any]] = set()


def known(kind: type[T]) -> type[T]:
    """The type, or the union of types, which from now on any thread may decode. It has a hash."""
    if kind not in _known:
        with _turn:
            msgspec.json.Decoder(kind)
            _known.add(kind)
    return kind


def from_json(text: bytes | str, kind: type[T]) -> T:
    """What a JSON text says. Raise what `msgspec.json.decode` does."""
    value: T = msgspec.json.decode(text, type=known(kind))
    return value


def converted(value: Any, kind: type[T], *, strict: bool = True, from_attributes: bool = False) -> T:
    """A value of plain parts as this type. Raise what `msgspec.convert` does."""
    made: T = msgspec.convert(value, known(kind), strict=strict, from_attributes=from_attributes)
    return made
