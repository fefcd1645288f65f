"""Changing a record that others are changing, too."""

import pytest

from safelight.errors import RecordConflict
from safelight.rewriting import LONGEST_PAUSE, TRIES, change
from safelight.testing import Clock, in_memory


def test_others_are_given_way() -> None:
    """Between two tries there is a pause, shorter than a tenth of a second; after the last there is none."""
    records = in_memory(Clock()).records
    pauses: list[float] = []

    def late(value: bytes | None) -> bytes:
        records.put("p", "k", b"theirs", expires_at=None)
        return b"ours"

    with pytest.raises(RecordConflict):
        change(records, "p", "k", late, expires_at=None, wait=pauses.append)
    assert len(pauses) == TRIES - 1
    assert all(0.0 <= pause <= LONGEST_PAUSE for pause in pauses)
    assert len(set(pauses)) > 1


def test_nobody_waits_who_is_alone() -> None:
    """The first try that succeeds is the only one."""
    pauses: list[float] = []
    change(in_memory(Clock()).records, "p", "k", lambda _: b"ours", expires_at=None, wait=pauses.append)
    assert pauses == []
