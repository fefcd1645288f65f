"""Pages of listings."""

from collections.abc import Callable
from typing import Any, TypeVar

from safelight.cursors import pack
from safelight.ports import Page

T = TypeVar("T")


def page_of(items: list[T], limit: int, position: Callable[[T], tuple[Any, ...]]) -> Page[T]:
    """The first `limit` items, and a cursor at the last of them if more follow."""
    cursor = pack(*position(items[limit - 1])) if len(items) > limit else None
    return Page(items=tuple(items[:limit]), cursor=cursor)
