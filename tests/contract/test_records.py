"""The contract of `Records`."""

import threading

import pytest
from tests.contract.conftest import Backend

from safelight.backends.embedded import Embedded
from safelight.errors import InvalidRequest, RecordConflict
from safelight.testing import Clock

PORTS = {"records"}


def test_a_record_is_read_as_it_was_written(backend: Backend) -> None:
    """Any bytes, any text as key."""
    written = backend.records.put("p", "ключ/ \x00 \U0001f511", b"\x00\xff", expires_at=None)
    assert backend.records.get("p", "ключ/ \x00 \U0001f511") == written
    assert (written.value, written.version) == (b"\x00\xff", 1)


def test_a_missing_record_is_none(backend: Backend) -> None:
    """Partitions are apart from each other."""
    backend.records.put("p", "k", b"v")
    assert backend.records.get("p", "other") is None
    assert backend.records.get("other", "k") is None


def test_versions_grow_with_every_write(backend: Backend) -> None:
    """From 1 on, whether the write was conditional or not."""
    assert backend.records.put("p", "k", b"a").version == 1
    assert backend.records.put("p", "k", b"b").version == 2
    assert backend.records.put("p", "k", b"c", expected=2).version == 3


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_write_of_another_version_is_a_conflict(backend: Backend, expected: int) -> None:
    """And changes nothing."""
    backend.records.put("p", "k", b"a")
    kept = backend.records.put("p", "k", b"b")
    with pytest.raises(RecordConflict):
        backend.records.put("p", "k", b"c", expected=expected)
    assert backend.records.get("p", "k") == kept


def test_expecting_none_means_none(backend: Backend) -> None:
    """`expected=0` writes only the first time; another version of nothing is a conflict."""
    with pytest.raises(RecordConflict):
        backend.records.put("p", "k", b"a", expected=1)
    assert backend.records.put("p", "k", b"a", expected=0).version == 1
    with pytest.raises(RecordConflict):
        backend.records.put("p", "k", b"b", expected=0)


def test_one_of_many_first_writes_wins(backend: Backend) -> None:
    """Of threads that all expect nothing, one writes and the others are told."""
    together = threading.Barrier(8)
    outcomes: list[str] = []

    def write(name: str) -> None:
        together.wait()
        try:
            backend.records.put("p", "k", name.encode(), expected=0)
        except RecordConflict:
            outcomes.append("conflict")
        else:
            outcomes.append(name)

    threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [outcome for outcome in outcomes if outcome != "conflict"]
    assert len(outcomes) == 8
    record = backend.records.get("p", "k")
    assert record is not None
    assert record.value == winner.encode()


def test_what_has_expired_is_not_there(backend: Backend, clock: Clock) -> None:
    """Not to read, not to list, and not in the way of a first write."""
    backend.records.put("p", "k", b"old", expires_at=clock() + 10)
    backend.records.put("p", "stays", b"v")
    clock.advance(9.5)
    assert backend.records.get("p", "k") is not None
    clock.advance(0.5)
    assert backend.records.get("p", "k") is None
    assert [record.key for record in backend.records.list("p").items] == ["stays"]
    assert backend.records.put("p", "k", b"new", expected=0).version == 1
    record = backend.records.get("p", "k")
    assert record is not None
    assert (record.value, record.expires_at) == (b"new", None)


def test_deleting_is_repeatable(backend: Backend) -> None:
    """A deleted record is gone; deleting what is not there is no error."""
    backend.records.put("p", "k", b"v")
    backend.records.delete("p", "k")
    backend.records.delete("p", "k")
    assert backend.records.get("p", "k") is None
    assert backend.records.put("p", "k", b"v", expected=0).version == 1


def test_listing_is_by_key_and_prefix(backend: Backend) -> None:
    """Ordered by code points; a prefix is text, not a pattern."""
    for key in ("b", "a%", "a_1", "aé", "a\U0001f511", "a", "B"):
        backend.records.put("p", key, b"v")
    backend.records.put("q", "a", b"v")
    assert [r.key for r in backend.records.list("p").items] == [
        "B",
        "a",
        "a%",
        "a_1",
        "aé",
        "a\U0001f511",
        "b",
    ]
    assert [r.key for r in backend.records.list("p", prefix="a").items] == [
        "a",
        "a%",
        "a_1",
        "aé",
        "a\U0001f511",
    ]
    assert [r.key for r in backend.records.list("p", prefix="a%").items] == ["a%"]
    assert backend.records.list("p", prefix="zz").items == ()


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
def test_pages_show_every_record_once(backend: Backend, limit: int) -> None:
    """In order, with a prefix as well."""
    for number in range(5):
        backend.records.put("p", f"k{number}", b"v")
    backend.records.put("p", "other", b"v")
    seen: list[str] = []
    cursor = None
    while True:
        page = backend.records.list("p", prefix="k", cursor=cursor, limit=limit)
        seen += [record.key for record in page.items]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert seen == ["k0", "k1", "k2", "k3", "k4"]


def test_a_cursor_of_somebody_else_is_refused(backend: Backend) -> None:
    """Text that is no cursor of this listing is InvalidRequest."""
    with pytest.raises(InvalidRequest):
        backend.records.list("p", cursor="nonsense")


def test_purging_removes_only_what_has_expired(embedded: Embedded, clock: Clock) -> None:
    """In pages, the longest expired first; how many is returned."""
    for number in range(5):
        embedded.records.put("p", f"k{number}", b"v", expires_at=clock() + number)
    embedded.records.put("p", "stays", b"v")
    now = clock() + 3
    assert embedded.records.purge(now, limit=3) == 3
    assert embedded.records.purge(now, limit=3) == 1
    assert embedded.records.purge(now, limit=3) == 0
    assert [record.key for record in embedded.records.list("p").items] == ["k4", "stays"]
