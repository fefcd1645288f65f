"""Ids that commands are given, of which the server may know nothing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from safelight.errors import RequestError


@contextmanager
def known(what: str, given: str, missing: type[RequestError], listing: str) -> Iterator[None]:
    """Say which one it is that the server does not know, or that can not be one's id, and what command lists them.

    Its own words are for those who speak HTTP. `missing` is its refusal, and what is raised here.
    """
    from safelight.client import Refused

    listed = f"`safelight {listing}` lists those there are."
    if not re.fullmatch(r"[\w-]+", given):
        raise missing(f"{given!r} is no {what}'s id; {listed}")
    try:
        yield
    except Refused as error:
        if error.code != missing.code:
            raise
        raise missing(f"There is no {what} {given} here; {listed}") from None
