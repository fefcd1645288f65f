"""Threads that write at the same moment: one commit for all, and each one's write whole or undone by itself."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from safelight import faults
from safelight.backends.embedded import writers
from safelight.backends.embedded.database import Database
from safelight.errors import StorageUnavailable

INSERT = "INSERT INTO records (partition, key, value, version) VALUES ('p', ?, x'', 1)"
COMMITTING = "store.committing"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    database = Database(tmp_path)
    yield database
    database.close()


class Crowd:
    """Writers that wait behind a first one: they are all there before it ends."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.pool = ThreadPoolExecutor(20)

    def write(self, key: str, then: Callable[[], None] = lambda: None) -> None:
        """One write."""
        with self.database.writing() as write:
            write.run(INSERT, (key,))
            then()

    def behind(self, first: Callable[[], None], *others: Callable[[], None]) -> list[Future[None]]:
        """Let the others arrive while the first one writes; how each one went, the first one at the end."""
        went: list[Future[None]] = []

        def wait_for_others() -> None:
            went.extend(self.pool.submit(other) for other in others)
            arrived = threading.Event()
            while len(self.database._writers._waiting) < len(others):
                assert not arrived.wait(0.001)
            first()

        last = self.pool.submit(self.write, "first", wait_for_others)
        last.exception(timeout=20)
        return [*went, last]

    def kept(self) -> set[str]:
        """What was committed, as another connection sees it."""
        return {row[0] for row in self.database.rows("SELECT key FROM records")}


@pytest.fixture
def crowd(database: Database) -> Iterator[Crowd]:
    """Writers on the store."""
    crowd = Crowd(database)
    yield crowd
    crowd.pool.shutdown()


def boom() -> None:
    """What a writer may do."""
    raise KeyError("boom")


def test_writers_that_wait_share_one_commit(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten writes that come together cost one fsync, and nobody goes on before it."""
    points: Counter[str] = Counter()
    seen: list[set[str]] = []

    def reached(point: str) -> None:
        points[point] += 1
        if point == COMMITTING:
            seen.append(crowd.kept())

    monkeypatch.setattr(faults, "reached", reached)
    others = [lambda key=str(number): crowd.write(key) for number in range(9)]
    went = crowd.behind(lambda: None, *others)
    for future in went:
        future.result(timeout=20)
    assert points[COMMITTING] == 1
    assert seen == [set()]
    assert crowd.kept() == {"first", *map(str, range(9))}


def test_a_crowd_has_a_limit(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes get their turn."""
    points: Counter[str] = Counter()
    monkeypatch.setattr(faults, "reached", lambda point: points.update([point]))
    monkeypatch.setattr(writers, "LARGEST", 4)
    others = [lambda key=str(number): crowd.write(key) for number in range(7)]
    for future in crowd.behind(lambda: None, *others):
        future.result(timeout=20)
    assert points[COMMITTING] == 2


@pytest.mark.parametrize("failing", ["first", "other"])
def test_a_write_that_raises_is_undone_alone(crowd: Crowd, failing: str) -> None:
    """The others' writes stay, whether it came before or after them."""
    first = boom if failing == "first" else lambda: None
    other = (lambda: crowd.write("other", boom)) if failing == "other" else (lambda: crowd.write("other"))
    went = crowd.behind(first, other, lambda: crowd.write("third"))
    outcome = {"other": went[0], "third": went[1], "first": went[2]}
    raised = outcome.pop(failing).exception(timeout=20)
    assert isinstance(raised, KeyError)
    for future in outcome.values():
        future.result(timeout=20)
    assert crowd.kept() == set(outcome)


def test_a_commit_that_fails_fails_for_all(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told that a write is there which is not; the next one goes well."""

    def no_room(point: str) -> None:
        if point == COMMITTING:
            raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(faults, "reached", no_room)
        went = crowd.behind(lambda: None, lambda: crowd.write("other"), lambda: crowd.write("third"))
        for future in went:
            assert isinstance(future.exception(timeout=20), StorageUnavailable)
    assert crowd.kept() == set()
    crowd.write("again")
    assert crowd.kept() == {"again"}


def test_a_machine_that_fails_in_the_middle_fails_for_all(crowd: Crowd) -> None:
    """What it has done to the open transaction, nobody knows."""

    def failing() -> None:
        raise apsw.IOError("disk I/O error")

    went = crowd.behind(lambda: None, lambda: crowd.write("other", failing))
    for future in went:
        assert isinstance(future.exception(timeout=20), StorageUnavailable)
    assert crowd.kept() == set()
    crowd.write("again")
    assert crowd.kept() == {"again"}


def test_a_writer_that_gives_up_leaves_nobody_waiting(
    crowd: Crowd, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was to commit for the one before it, and a signal took it away before it came to that."""
    monkeypatch.setattr(writers, "LOST_SECONDS", 0.01)
    database._writers._waiting.append(None)  # somebody is said to wait, and never comes
    crowd.write("first")
    assert crowd.kept() == {"first"}


def test_a_write_without_fsync_waits_for_the_others(crowd: Crowd, database: Database) -> None:
    """It neither joins what will be durable nor waits for the lock that its own process holds."""

    def careless() -> None:
        with database.writing(durable=False) as write:
            write.run(INSERT, ("careless",))

    started: list[Future[None]] = []
    went = crowd.behind(lambda: started.append(crowd.pool.submit(careless)), lambda: crowd.write("other"))
    for future in (*went, *started):
        future.result(timeout=20)
    assert crowd.kept() == {"first", "other", "careless"}
