"""What only the embedded backend promises: several processes, crashes, flat queries, waking, the folder itself."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import apsw
import pytest
from tests.contract.conftest import a_job, a_wake

from safelight.backends.embedded import Embedded
from safelight.backends.embedded import queue as queue_module
from safelight.backends.embedded.database import Database
from safelight.backends.embedded.doorbell import Doorbell
from safelight.backends.embedded.schema import MIGRATIONS
from safelight.errors import ConfigurationError, InvalidRequest, JobNotFound, PartsGone, StorageUnavailable
from safelight.model import JobState
from safelight.ports import Blobs, DeadLetters, Inbox, Jobs, Links, Notices, Queue, Records
from safelight.testing import Clock

PORTS = frozenset[str]()


class Process:
    """A process of `embedded_process`."""

    def __init__(self, what: str, data: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.embedded_process", what, str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )

    def line(self) -> str:
        """The next line that it says."""
        return self._stdout.readline().decode().strip()

    def lines(self) -> list[str]:
        """All that it still says until it ends."""
        lines = self._stdout.read().decode().split()
        self.popen.wait()
        return lines

    def end(self) -> None:
        """Let it go, if it has not gone."""
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            assert pipe is not None
            pipe.close()

    @property
    def _stdout(self) -> IO[bytes]:
        assert self.popen.stdout is not None
        return self.popen.stdout


class Site:
    """A data folder and the processes that use it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.embedded = Embedded(data)
        self.processes: list[Process] = []

    def start(self, what: str) -> Process:
        """Start a process."""
        self.processes.append(Process(what, self.data))
        return self.processes[-1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A folder that other processes use too, in real time."""
    site = Site(tmp_path)
    yield site
    for process in site.processes:
        process.end()
    site.embedded.close()


def test_the_backend_has_every_port(embedded: Embedded) -> None:
    """By the type checker's word; running it shows that the names are there."""
    blobs: Blobs = embedded.blobs
    links: Links = embedded.links
    jobs: Jobs = embedded.jobs
    notices: Notices = embedded.notices
    queue: Queue = embedded.queue
    inbox: Inbox = embedded.inbox
    dead_letters: DeadLetters = embedded.dead_letters
    records: Records = embedded.records
    assert all((blobs, links, jobs, notices, queue, inbox, dead_letters, records))


def _forked(work: Callable[[], None]) -> int:
    """Do something in a child made by fork, which ends well only if the work does; its process id."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


# --- several processes ------------------------------------------------------------------------------------


def test_no_update_of_several_processes_is_lost(site: Site) -> None:
    """Four processes that count in one job end at the right number."""
    site.embedded.jobs.create(a_job())
    counters = [site.start("count") for _ in range(4)]
    assert [process.popen.wait() for process in counters] == [0, 0, 0, 0]
    assert site.embedded.jobs.get("j1").metadata == {"count": "400"}


def test_processes_share_the_queue(site: Site) -> None:
    """Every message goes to one of them."""
    for number in range(60):
        site.embedded.queue.send(a_wake(f"j{number}", f"g{number % 5}"))
    drainers = [site.start("drain") for _ in range(3)]
    got = [job_id for process in drainers for job_id in process.lines()]
    assert sorted(got) == sorted(f"j{number}" for number in range(60))
    assert site.embedded.queue.depth() == 0


def test_a_send_wakes_a_receiver_in_another_process(site: Site) -> None:
    """Through the doorbell: it would otherwise look again only after seconds."""
    receivers = [site.start("take_one") for _ in range(3)]
    assert [receiver.line() for receiver in receivers] == ["waiting"] * 3
    for number in range(3):
        site.embedded.queue.send(a_wake(f"j{number}", f"g{number}"))
    assert sorted(receiver.line() for receiver in receivers) == ["j0", "j1", "j2"]


def test_sigterm_ends_a_receive_at_once(site: Site) -> None:
    """A worker that waits for a message does not keep anyone waiting."""
    worker = site.start("wait_for_signal")
    assert worker.line() == "waiting"
    worker.popen.send_signal(signal.SIGTERM)
    assert worker.line() == "none"
    assert worker.popen.wait() == 0


# --- crashes ----------------------------------------------------------------------------------------------


def test_what_was_acknowledged_survives_a_kill(site: Site) -> None:
    """kill -9 at any moment loses no write that had returned."""
    site.embedded.jobs.create(a_job())
    for _ in range(5):
        writer = site.start("write_jobs")
        last = int(writer.line())
        for _ in range(20):
            last = int(writer.line())
        writer.popen.kill()
        last = max([last, *(int(line) for line in writer.lines())])
        # One more may have been written and not told.
        assert int(site.embedded.jobs.get("j1").metadata["count"]) in (last, last + 1)


def test_a_writer_that_dies_before_its_commit_leaves_nothing(site: Site) -> None:
    """And holds up nobody."""
    site.embedded.jobs.create(a_job())
    writer = site.start("die_in_a_write")
    assert writer.popen.wait() == -signal.SIGKILL
    assert site.embedded.jobs.get("j1") == a_job()
    site.embedded.jobs.update("j1", lambda job: job.canceled(now=2000.0, due_at=None))


def test_a_message_of_a_dead_process_is_recovered_at_once(site: Site) -> None:
    """The next supervisor need not wait for the end of its visibility."""
    holder = site.start("take_one")
    holder.line()
    site.embedded.queue.send(a_wake("j1"))
    assert holder.line() == "j1"
    holder.end()
    site.processes.remove(holder)
    assert site.embedded.inbox.receive(wait=0, visibility=60) is None
    site.embedded.recover()
    delivery = site.embedded.inbox.receive(wait=0, visibility=60)
    assert delivery is not None
    assert (delivery.wake.job_id, delivery.received) == ("j1", 2)


def test_recovery_does_not_bring_delayed_messages_forward(embedded: Embedded) -> None:
    """Nobody held them."""
    embedded.queue.send(a_wake("j1"), delay=600)
    embedded.recover()
    assert embedded.inbox.receive(wait=0, visibility=60) is None


def test_writes_together_are_one_commit(embedded: Embedded) -> None:
    """Others see all of it or nothing; it is told once it is there."""
    other = Embedded(embedded.data)
    reader = embedded.changes()
    with embedded.together():
        embedded.jobs.create(a_job())
        embedded.queue.send(a_wake("j1"))
        assert embedded.jobs.get("j1") == a_job()
        with pytest.raises(JobNotFound):
            other.jobs.get("j1")
        assert reader.read() == []
    assert other.jobs.get("j1") == a_job()
    assert other.queue.depth() == 1
    assert reader.read() == ["j1"]
    reader.close()
    other.close()


def test_writes_together_fail_together(embedded: Embedded) -> None:
    """An error inside takes back what was written before it, and nobody is told."""
    reader = embedded.changes()

    def write_and_fail() -> None:
        with embedded.together():
            embedded.jobs.create(a_job())
            embedded.queue.send(a_wake("j1"))
            embedded.jobs.update("nobody", lambda job: job)

    with pytest.raises(JobNotFound):
        write_and_fail()
    assert embedded.queue.depth() == 0
    assert reader.read() == []
    with pytest.raises(JobNotFound):
        embedded.jobs.get("j1")
    reader.close()


# --- the supervisor's lock --------------------------------------------------------------------------------


def test_one_supervisor_serves_a_folder(site: Site) -> None:
    """A second one is told who does; when the first has died, the folder is free."""
    holder = site.start("hold_lock")
    assert holder.line() == "locked"
    with pytest.raises(ConfigurationError, match=rf"process {holder.popen.pid}\b"):
        site.embedded.lock()
    holder.popen.kill()
    holder.popen.wait()
    site.embedded.lock()


# --- waking -----------------------------------------------------------------------------------------------


def test_a_ring_before_the_sleep_is_not_missed(tmp_path: Path) -> None:
    """Drain, look, sleep: what comes between the look and the sleep ends the sleep."""
    bell, other = Doorbell(tmp_path / "bell"), Doorbell(tmp_path / "bell")
    bell.drain()
    other.ring()
    bell.sleep(3600)
    bell.close()
    other.close()


def test_ringing_without_anyone_listening_never_blocks(tmp_path: Path) -> None:
    """However often: the pipe fills up and that is all."""
    bell = Doorbell(tmp_path / "bell")
    for _ in range(70_000):
        bell.ring()
    bell.drain()
    bell.close()


def test_a_delayed_message_wakes_a_receiver_that_slept_before(embedded: Embedded, clock: Clock) -> None:
    """The sleeper sets its alarm anew when a delayed message is sent."""
    got = []
    receiver = threading.Thread(target=lambda: got.append(embedded.inbox.receive(wait=50, visibility=30)))
    receiver.start()
    embedded.queue.send(a_wake("j1"), delay=0.02)
    clock.advance(0.02)
    receiver.join(queue_module.LOOK_AGAIN_SECONDS - 1)
    assert not receiver.is_alive()
    assert got[0] is not None


def test_changes_tell_which_jobs_were_written(embedded: Embedded) -> None:
    """Each once per reading, whoever wrote; nothing when nothing was written."""
    reader = embedded.changes()
    assert reader.read() == []
    embedded.jobs.create(a_job("j1"))
    embedded.jobs.create(a_job("j2"))
    embedded.jobs.update("j1", lambda job: job.canceled(now=2000.0, due_at=None))
    embedded.jobs.update("j1", lambda job: job)
    assert reader.read() == ["j1", "j2"]
    assert reader.read() == []
    reader.close()


def test_changes_reach_a_reader_that_came_back(embedded: Embedded) -> None:
    """Without a reader writes go on; a new reader hears what is written from then on."""
    first = embedded.changes()
    embedded.jobs.create(a_job("j1"))
    first.close()
    embedded.jobs.create(a_job("j2"))
    second = embedded.changes()
    embedded.jobs.create(a_job("j3"))
    assert second.read() == ["j3"]
    second.close()


def test_a_reader_that_goes_away_harms_no_other_file(embedded: Embedded, tmp_path: Path) -> None:
    """Several threads tell of changes while readers come and go: nothing is ever written to another file, not even
    to one that got the number of a descriptor that was just closed."""
    ends = threading.Event()

    def tell() -> None:
        while not ends.is_set():
            embedded._announcer("j1")

    threads = [threading.Thread(target=tell) for _ in range(4)]
    often, interval = 1e-5, sys.getswitchinterval()
    sys.setswitchinterval(often)
    try:
        for thread in threads:
            thread.start()
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            reader = embedded.changes()
            time.sleep(0.0005)
            reader.close()
            others = [(tmp_path / str(number)).open("w+b") for number in range(4)]
            time.sleep(0.0005)
            sizes = [os.fstat(other.fileno()).st_size for other in others]
            for other in others:
                other.close()
            assert sizes == [0] * 4
    finally:
        ends.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join()


def test_a_reader_that_does_not_read_holds_up_nobody(embedded: Embedded) -> None:
    """The pipe fills up; further hints are lost, and whole lines remain."""
    reader = embedded.changes()
    for number in range(3000):
        embedded._announcer(f"job-{number:030}")
    heard = reader.read()
    assert 100 < len(heard) < 3000
    assert all(re.fullmatch(r"job-\d{30}", line) for line in heard)
    reader.close()


# --- flat at any size -------------------------------------------------------------------------------------


def test_no_query_looks_at_more_than_it_returns(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every statement that the backend runs finds its rows by an index, and needs no sorting."""
    statements: set[str] = set()
    connection = embedded._database._connect()
    connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: statements.add(event["sql"]))
    embedded._database._idle.append(connection)

    job = a_job(due_at=1.0)
    embedded.jobs.create(job)
    embedded.jobs.update("j1", lambda job: job.canceled(now=2000.0, due_at=5.0))
    embedded.jobs.due(9999.0)
    for state in (None, JobState.PENDING):
        embedded.jobs.create(a_job("j2"))
        page = embedded.jobs.list("ann", state=state, limit=1)
        embedded.jobs.list(
            "ann", state=state, cursor=page.cursor or embedded.jobs.list("ann", limit=1).cursor
        )
    embedded.jobs.delete("j1")
    [notice] = embedded.notices.pending(9999.0)
    embedded.notices.postpone(notice.id, 1.0)
    embedded.notices.settle(notice.id)
    for _ in range(6):
        embedded.queue.send(a_wake("j1"))
        if delivery := embedded.inbox.receive(wait=0, visibility=60):
            embedded.inbox.extend(delivery, 60)
            embedded.inbox.retry(delivery, 0)
    embedded.dead_letters.dead(cursor=None)
    embedded.dead_letters.redrive("j1")
    embedded.jobs.known(["j1", "j2"])
    delivery = embedded.inbox.receive(wait=0, visibility=60)
    assert delivery is not None
    embedded.inbox.ack(delivery)
    embedded.queue.depth()
    embedded.recover()
    embedded.records.put("p", "k", b"v", expires_at=1.0)
    embedded.records.get("p", "k")
    embedded.records.list("p", prefix="k")
    embedded.records.purge(1.0)
    embedded.records.delete("p", "k")

    data = [sql for sql in statements if re.match(r"\s*(SELECT|UPDATE|DELETE|INSERT)", sql)]
    assert len(data) > 25
    for traced in data:
        sql = re.sub(r"\b(?:OLD|NEW)\.\w+", "NULL", traced)  # of a trigger, which is no statement by itself
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", _nothing(sql))]
        bad = [step for step in plan if ("SCAN" in step and not _small(step)) or "TEMP B-TREE" in step]
        assert not bad, f"{sql}\n{plan}"


def _nothing(sql: str) -> list[None]:
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    return [None] * (max(numbered) if numbered else sql.count("?"))


def _small(step: str) -> bool:
    """A walk through a table of one row, or from the end of an index whose every entry is wanted."""
    return step in (
        "SCAN CONSTANT ROW",
        "SCAN queue",
        "SCAN json_each VIRTUAL TABLE INDEX 1:",  # the list that was asked about
        "SCAN messages USING COVERING INDEX messages_by_turn",  # is there one that is ready
        "SCAN messages USING COVERING INDEX messages_waiting",  # the same, and since when
        "SCAN messages USING INDEX messages_by_turn",  # the first that is ready
        "SCAN messages USING INDEX messages_in_hand",  # all that were in flight
    )


# --- the folder -------------------------------------------------------------------------------------------


def test_a_database_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    """One clear line instead of damage."""
    Embedded(tmp_path).close()
    connection = apsw.Connection(str(tmp_path / "safelight.db"))
    connection.pragma("user_version", len(MIGRATIONS) + 1)
    connection.close()
    with pytest.raises(ConfigurationError, match="newer Safelight"):
        Embedded(tmp_path)


def test_a_migration_is_applied_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails leaves the version and the tables as they were."""
    Database(tmp_path).close()
    module = "safelight.backends.embedded.database.MIGRATIONS"
    monkeypatch.setattr(module, (*MIGRATIONS, "CREATE TABLE extra (a)", "CREATE TABLE jobs (a)"))
    with pytest.raises(apsw.SQLError):
        Database(tmp_path)
    monkeypatch.setattr(module, (*MIGRATIONS, "CREATE TABLE extra (a)"))
    database = Database(tmp_path)
    assert database.rows("SELECT * FROM extra") == []
    assert database.row("PRAGMA user_version") == (len(MIGRATIONS) + 1,)
    database.close()


def test_processes_that_start_together_make_one_database(tmp_path: Path) -> None:
    """Whoever is first makes it; the others find it made."""
    processes = [Process("drain", tmp_path / "new") for _ in range(4)]
    assert [process.lines() for process in processes] == [[], [], [], []]
    assert [process.popen.returncode for process in processes] == [0, 0, 0, 0]
    for process in processes:
        process.end()


@pytest.mark.parametrize("name", ["safelight.db", "signing.key", "doorbell", "files"])
def test_something_in_the_way_is_one_clear_line(tmp_path: Path, name: str) -> None:
    """The message names the path."""
    tmp_path.joinpath(name).write_bytes(b"something else altogether, long enough to be no database" * 20)
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path))) as caught:
        Embedded(tmp_path)
    assert "\n" not in caught.value.message


def test_a_folder_that_can_not_be_made_is_one_clear_line(tmp_path: Path) -> None:
    """The message names the folder."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="file/data"):
        Embedded(tmp_path / "file" / "data")


def test_a_damaged_database_is_storage_unavailable(tmp_path: Path) -> None:
    """What SQLite says never passes the port."""
    embedded = Embedded(tmp_path)
    embedded.jobs.create(a_job())
    embedded.checkpoint()
    embedded._database.close()
    with (tmp_path / "safelight.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(60_000))
    with pytest.raises(StorageUnavailable):
        embedded.jobs.list("ann")
    embedded.close()


def test_text_that_is_not_unicode_is_the_callers_mistake(embedded: Embedded) -> None:
    """And the connection is as good as before."""
    with pytest.raises(InvalidRequest):
        embedded.jobs.get("\udc80")
    embedded.jobs.create(a_job())


def test_the_log_is_folded_back(embedded: Embedded) -> None:
    """Only by `checkpoint`; afterwards it begins anew instead of growing."""
    log = embedded.data / "safelight.db-wal"

    def write() -> None:
        for number in range(20):
            embedded.records.put("p", str(number), bytes(50_000))

    write()
    full = log.stat().st_size
    assert full > 1_000_000
    for _ in range(3):
        embedded.checkpoint()
        write()
    assert log.stat().st_size < 2 * full


def test_a_large_log_begins_anew_even_while_somebody_reads(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader in the way delays that and breaks nothing; afterwards the log is as small as its limit."""
    monkeypatch.setattr("safelight.backends.embedded.database.LOG_LIMIT", 1_000_000)
    embedded._database._idle.clear()  # new connections take the new limit
    for number in range(30):
        embedded.records.put("p", str(number), bytes(50_000))
    log = embedded.data / "safelight.db-wal"
    full = log.stat().st_size
    reader = apsw.Connection(str(embedded.data / "safelight.db"))
    cursor = reader.execute("SELECT * FROM records")
    next(cursor)
    embedded.records.put("p", "more", b"x")
    embedded.checkpoint()
    embedded.records.put("p", "still more", b"x")
    assert log.stat().st_size > full
    cursor.close()
    reader.close()
    embedded.checkpoint()
    embedded.records.put("p", "last", b"x")
    assert log.stat().st_size <= 1_000_000
    assert len(embedded.records.list("p").items) == 33


def test_a_checkpoint_leaves_another_alone(embedded: Embedded) -> None:
    """It comes again in a second, and is no reason for an error in the log."""
    for number in range(3):
        embedded.records.put("p", str(number), b"x")
    reader = apsw.Connection(str(embedded.data / "safelight.db"))
    cursor = reader.execute("SELECT * FROM records")
    next(cursor)
    embedded.records.put("p", "more", b"x")
    other = apsw.Connection(str(embedded.data / "safelight.db"))
    other.execute("SELECT count(*) FROM records").fetchall()  # only now does it know of the log
    at_it, done = threading.Event(), threading.Event()

    def waits(_calls: int) -> bool:
        at_it.set()
        return not done.wait(10)

    def checkpoints() -> None:
        with contextlib.suppress(apsw.BusyError):
            other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)

    other.set_busy_handler(waits)
    thread = threading.Thread(target=checkpoints)
    thread.start()
    try:
        assert at_it.wait(10)
        embedded.checkpoint()
    finally:
        done.set()
        thread.join()
        cursor.close()
        reader.close()
        other.close()


def test_every_connection_waits_for_the_disk(embedded: Embedded) -> None:
    """synchronous=FULL, a write-ahead log, and no checkpoint but the one that is asked for."""
    connection = embedded._database._connect()
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("wal_autocheckpoint") == 0
    connection.close()


def test_a_forked_child_opens_connections_of_its_own(embedded: Embedded) -> None:
    """What it writes is there, and the parent goes on."""
    embedded.jobs.create(a_job())
    child = _forked(lambda: embedded.jobs.create(a_job("j2")))
    assert os.waitpid(child, 0)[1] == 0
    assert embedded.jobs.get("j2").id == "j2"
    embedded.jobs.update("j1", lambda job: job.canceled(now=2000.0, due_at=None))


def test_health_names_what_is_wrong(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well, or the part that is not is named."""
    assert embedded.health() == {"database": "ok", "files": "ok"}
    monkeypatch.setattr("safelight.backends.embedded._LEAST_FREE_BYTES", 2**70)
    assert embedded.health() == {"database": "ok", "files": "the disk is almost full"}


def test_a_sweep_keeps_up_with_what_expires(embedded: Embedded, clock: Clock) -> None:
    """More records than one write removes go with one sweep."""
    with embedded.together():
        for number in range(2500):
            embedded.records.put("p", str(number), b"v", expires_at=clock() - 1)
    embedded.clean(clock())
    assert embedded._database.rows("SELECT * FROM records") == []


def test_a_sweep_cleans_what_has_expired(embedded: Embedded, clock: Clock) -> None:
    """Expired records go; objects stay."""
    embedded.records.put("p", "k", b"v", expires_at=clock() - 1)
    embedded.blobs.put("uploads/j1/a", io.BytesIO(b"x"), content_type="")
    embedded.clean(clock())
    assert embedded._database.rows("SELECT * FROM records") == []
    assert embedded.blobs.head("uploads/j1/a") is not None


# --- uploads in parts -------------------------------------------------------------------------------------


def test_parts_outlive_a_restart(tmp_path: Path) -> None:
    """What was confirmed is there after the next start, which removes everything unfinished."""
    first = Embedded(tmp_path / "data")
    upload = first.multiparts.begin("uploads/j1/a.jpg")
    writer = first.multiparts.writer("uploads/j1/a.jpg", upload, 1)
    writer.write(b"part ", b"one")
    part = writer.commit()
    broken_off = first.multiparts.writer("uploads/j1/a.jpg", upload, 2)
    broken_off.write(b"half a pa")
    second = Embedded(tmp_path / "data")
    second.lock()
    second.recover()
    assert second.multiparts.parts("uploads/j1/a.jpg", upload) == (part,)
    assert second.multiparts.complete("uploads/j1/a.jpg", upload, [part]).bytes == 8
    assert list((tmp_path / "data" / "parts").rglob("*")) == []
    broken_off.abort()
    for each in (first, second):
        each.close()


def test_parts_to_which_nothing_comes_for_a_day_are_given_up(embedded: Embedded, clock: Clock) -> None:
    """Those of an upload that goes on stay."""
    begun = [embedded.multiparts.begin(f"uploads/j{number}/a.jpg") for number in (1, 2)]
    clock.advance(86_399)
    writer = embedded.multiparts.writer("uploads/j2/a.jpg", begun[1], 1)
    writer.write(b"x")
    writer.commit()
    clock.advance(2)
    embedded.clean(clock())
    with pytest.raises(PartsGone):
        embedded.multiparts.parts("uploads/j1/a.jpg", begun[0])
    assert len(embedded.multiparts.parts("uploads/j2/a.jpg", begun[1])) == 1


def test_a_part_that_comes_after_the_completion_changes_nothing(embedded: Embedded) -> None:
    """A slow second try of a part finds the upload gone, and the object is as it was completed."""
    key = "uploads/j1/a.jpg"
    upload = embedded.multiparts.begin(key)
    quick, slow = (embedded.multiparts.writer(key, upload, 1) for _ in range(2))
    for writer, body in ((quick, b"right"), (slow, b"wrong")):
        writer.write(body)
    embedded.multiparts.complete(key, upload, [quick.commit()])
    with pytest.raises(PartsGone):
        slow.commit()
    slow.abort()
    with embedded.blobs.open(key) as file:
        assert file.read() == b"right"
    assert list((embedded.data / "tmp").iterdir()) == []
