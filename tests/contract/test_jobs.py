"""The contract of `Jobs` and `Notices`."""

import threading
from functools import partial
from pathlib import Path

import msgspec
import pytest
from tests.contract.conftest import Backend, a_job, a_source, needs

from safelight.backends.embedded import Embedded
from safelight.errors import ClaimLost, InvalidRequest, JobNotFound
from safelight.model import Claim, Failure, Job, JobState
from safelight.testing import Clock

PORTS = {"jobs", "notices"}


def _cancel(job: Job) -> Job:
    return job.canceled(now=2000.0, due_at=None)


def test_a_job_is_read_as_it_was_written(backend: Backend) -> None:
    """Every field survives, whatever characters it has."""
    job = msgspec.structs.replace(a_job(), metadata={"camera": "Ω \x00 \U0001f4f7", "": '"'}, due_at=5.25)
    backend.jobs.create(job)
    assert backend.jobs.get("j1") == job


def test_creating_the_same_job_again_changes_nothing(backend: Backend) -> None:
    """A repeat of `create` after an unclear answer is harmless, even when the job has moved on."""
    backend.jobs.create(a_job())
    moved = backend.jobs.update("j1", _cancel)
    backend.jobs.create(a_job())
    assert backend.jobs.get("j1") == moved


def test_an_unknown_job_is_not_found(backend: Backend) -> None:
    """`get` and `update` say JobNotFound; nothing is made."""
    with pytest.raises(JobNotFound):
        backend.jobs.get("nobody")
    with pytest.raises(JobNotFound):
        backend.jobs.update("nobody", _cancel)
    with pytest.raises(JobNotFound):
        backend.jobs.update("nobody", _cancel, known=a_job("nobody"))
    with pytest.raises(JobNotFound):
        backend.jobs.get("nobody")


def test_update_returns_and_stores_the_changed_job(backend: Backend) -> None:
    """What `update` returns is what `get` reads."""
    backend.jobs.create(a_job())
    after = backend.jobs.update("j1", lambda job: job.received(a_source(), now=1001.0, due_at=1700.0))
    assert after.source == a_source()
    assert after.revision == 2
    assert backend.jobs.get("j1") == after


def test_a_change_that_raises_writes_nothing(backend: Backend) -> None:
    """The error passes through and the job is as before."""
    backend.jobs.create(a_job())
    with pytest.raises(ClaimLost):
        backend.jobs.update("j1", lambda job: job.completed("t", a_source(), (), now=1.0, due_at=None))
    assert backend.jobs.get("j1") == a_job()


def test_a_change_that_does_nothing_writes_nothing(backend: Backend) -> None:
    """The job keeps its revision, and no notice is stored."""
    backend.jobs.create(a_job())
    assert backend.jobs.update("j1", lambda job: job) == a_job()
    assert backend.jobs.get("j1").revision == 1
    assert backend.notices.pending(9999.0) == []


def test_a_stale_copy_never_overwrites_what_others_wrote(backend: Backend) -> None:
    """With an old `known`, the change is applied to the newest job instead."""
    old = a_job()
    backend.jobs.create(old)
    backend.jobs.update("j1", lambda job: job.received(a_source(), now=1001.0, due_at=1700.0))
    after = backend.jobs.update("j1", _cancel, known=old)
    assert after.source == a_source()
    assert after.revision == 3
    assert backend.jobs.get("j1") == after


def test_a_stale_copy_does_not_hide_that_there_is_something_to_do(backend: Backend) -> None:
    """A change that finds nothing to do on an old `known` is tried on the newest job."""
    old = a_job()
    backend.jobs.create(old)
    backend.jobs.update("j1", lambda job: job.received(a_source(), now=1001.0, due_at=1700.0))
    claim = Claim(token="t", worker="w", until=1100.0)
    after = backend.jobs.update("j1", lambda job: job.claimed(claim, now=1002.0), known=old)
    assert after.held_by("t")
    assert backend.jobs.get("j1") == after


def test_a_current_copy_is_good_enough(backend: Backend) -> None:
    """With a `known` that is the newest, the change happens once and the result is stored."""
    job = a_job()
    backend.jobs.create(job)
    calls: list[Job] = []

    def change(seen: Job) -> Job:
        calls.append(seen)
        return _cancel(seen)

    after = backend.jobs.update("j1", change, known=job)
    assert len(calls) == 1
    assert backend.jobs.get("j1") == after


def test_one_of_many_claims_wins(backend: Backend) -> None:
    """Of workers that claim one job at the same moment, exactly one holds it."""
    backend.jobs.create(a_job())
    backend.jobs.update("j1", lambda job: job.received(a_source(), now=1001.0, due_at=1700.0))
    together = threading.Barrier(8)
    holders: list[str] = []

    def claim(token: str) -> None:
        wanted = Claim(token=token, worker=token, until=2000.0)
        together.wait()
        if backend.jobs.update("j1", lambda job: job.claimed(wanted, now=1002.0)).held_by(token):
            holders.append(token)

    threads = [threading.Thread(target=claim, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(holders) == 1
    assert backend.jobs.get("j1").held_by(holders[0])
    assert backend.jobs.get("j1").attempt == 1


def test_no_concurrent_update_is_lost(backend: Backend) -> None:
    """Eight threads that count in one job end at the right number."""
    backend.jobs.create(a_job())

    def count(job: Job) -> Job:
        seen = int(job.metadata.get("count", "0"))
        return msgspec.structs.replace(job, revision=job.revision + 1, metadata={"count": str(seen + 1)})

    def work() -> None:
        for _ in range(10):
            backend.jobs.update("j1", count)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backend.jobs.get("j1").metadata == {"count": "80"}
    assert backend.jobs.get("j1").revision == 81


def test_deleting_a_job_is_final_and_repeatable(backend: Backend) -> None:
    """A deleted job is not found; deleting it again is no error."""
    backend.jobs.create(a_job(due_at=1.0))
    backend.jobs.delete("j1")
    backend.jobs.delete("j1")
    with pytest.raises(JobNotFound):
        backend.jobs.get("j1")
    assert backend.jobs.due(9999.0) == []
    assert backend.jobs.list("ann").items == ()


def test_due_jobs_come_longest_overdue_first(backend: Backend) -> None:
    """Jobs that are not due, or never are, do not appear; `limit` cuts the end off."""
    for job_id, due_at in (("later", 300.0), ("second", 200.0), ("first", 100.0), ("never", None)):
        backend.jobs.create(a_job(job_id, due_at=due_at))
    assert [job.id for job in backend.jobs.due(200.0)] == ["first", "second"]
    assert [job.id for job in backend.jobs.due(200.0, limit=1)] == ["first"]
    assert backend.jobs.due(99.0) == []


def test_a_job_is_due_by_its_newest_write(backend: Backend) -> None:
    """An update moves `due_at`, or takes it away."""
    backend.jobs.create(a_job(due_at=100.0))
    backend.jobs.update("j1", lambda job: job.received(a_source(), now=50.0, due_at=500.0))
    assert backend.jobs.due(499.0) == []
    assert [job.id for job in backend.jobs.due(500.0)] == ["j1"]
    backend.jobs.update("j1", _cancel)
    assert backend.jobs.due(9999.0) == []


def test_listing_is_newest_first_and_the_owners_own(backend: Backend) -> None:
    """Jobs of the same moment have a fixed order; other owners' jobs never appear."""
    for number in range(7):
        backend.jobs.create(a_job(f"a{number}", at=1000.0 + number // 2))
    backend.jobs.create(a_job("b", owner="bob", at=5000.0))
    seen = [job.id for job in backend.jobs.list("ann").items]
    assert seen == ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]
    assert [job.id for job in backend.jobs.list("bob").items] == ["b"]
    assert backend.jobs.list("nobody").items == ()


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_show_every_job_once(backend: Backend, limit: int) -> None:
    """Following the cursors gives the whole list, in order, and the last page has no cursor."""
    for number in range(7):
        backend.jobs.create(a_job(f"a{number}", at=1000.0 + number // 3))
    seen: list[str] = []
    cursor = None
    while True:
        page = backend.jobs.list("ann", cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        seen += [job.id for job in page.items]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert seen == ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]


def test_a_page_holds_its_place_while_new_jobs_arrive(backend: Backend) -> None:
    """Jobs created between two pages shift nothing."""
    for number in range(4):
        backend.jobs.create(a_job(f"a{number}", at=1000.0 + number))
    first = backend.jobs.list("ann", limit=2)
    backend.jobs.create(a_job("new", at=2000.0))
    second = backend.jobs.list("ann", limit=2, cursor=first.cursor)
    assert [job.id for job in (*first.items, *second.items)] == ["a3", "a2", "a1", "a0"]


def test_listing_by_state(backend: Backend) -> None:
    """Only jobs in that state now are listed, in pages as well."""
    for number in range(6):
        backend.jobs.create(a_job(f"a{number}", at=1000.0 + number))
    for number in (1, 3, 5):
        backend.jobs.update(f"a{number}", _cancel)
    first = backend.jobs.list("ann", state=JobState.CANCELED, limit=2)
    second = backend.jobs.list("ann", state=JobState.CANCELED, limit=2, cursor=first.cursor)
    assert [job.id for job in (*first.items, *second.items)] == ["a5", "a3", "a1"]
    assert second.cursor is None
    assert [job.id for job in backend.jobs.list("ann", state=JobState.PENDING).items] == ["a4", "a2", "a0"]


@pytest.mark.parametrize("cursor", ["", "x", "!!!!", "bm9wZQ", "WzEsMl0", "é", "W10=", "eyJhIjoxfQ"])
def test_a_cursor_of_somebody_else_is_refused(backend: Backend, cursor: str) -> None:
    """Text that is no cursor of this listing is InvalidRequest, not an error of ours."""
    backend.jobs.create(a_job())
    with pytest.raises(InvalidRequest):
        backend.jobs.list("ann", cursor=cursor)


# --- notices ----------------------------------------------------------------------------------------------


def test_reaching_an_end_stores_one_notice(backend: Backend) -> None:
    """The write that ends a job carries its notice; writes on the way do not."""
    backend.jobs.create(a_job())
    backend.jobs.update("j1", lambda job: job.received(a_source(), now=1001.0, due_at=1700.0))
    assert backend.notices.pending(9999.0) == []
    after = backend.jobs.update("j1", _cancel)
    backend.jobs.update("j1", _cancel)
    [notice] = backend.notices.pending(9999.0)
    assert (notice.job_id, notice.owner, notice.state) == ("j1", "ann", JobState.CANCELED)
    assert notice.at == after.updated_at


def test_every_ending_has_a_notice_of_its_own(backend: Backend) -> None:
    """A job that ends, is retried and ends again has two notices with two ids."""
    backend.jobs.create(a_job())
    backend.jobs.update("j1", _cancel)
    backend.jobs.update("j1", lambda job: job.retried(now=2001.0, due_at=2700.0))
    backend.jobs.update("j1", lambda job: job.canceled(now=2002.0, due_at=None))
    first, second = backend.notices.pending(9999.0)
    assert first.id != second.id
    assert first.at < second.at


def test_a_settled_notice_is_gone(backend: Backend) -> None:
    """Until it is settled a notice is handed out again; settling twice is no error."""
    needs(backend, "an outbox")
    backend.jobs.create(a_job())
    backend.jobs.update("j1", _cancel)
    [notice] = backend.notices.pending(9999.0)
    assert backend.notices.pending(9999.0) == [notice]
    backend.notices.settle(notice.id)
    backend.notices.settle(notice.id)
    assert backend.notices.pending(9999.0) == []


def test_a_postponed_notice_comes_back_at_its_time(backend: Backend) -> None:
    """It does not hold up the others; postponing an unknown one makes nothing."""
    needs(backend, "an outbox")
    for number in range(3):
        backend.jobs.create(a_job(f"j{number}"))
        backend.jobs.update(f"j{number}", partial(Job.canceled, now=2000.0 + number, due_at=None))
    first = backend.notices.pending(5000.0)[0]
    assert first.job_id == "j0"
    backend.notices.postpone(first.id, 6000.0)
    backend.notices.postpone("unknown", 1.0)
    assert [notice.job_id for notice in backend.notices.pending(5000.0)] == ["j1", "j2"]
    assert [notice.job_id for notice in backend.notices.pending(6000.0)] == ["j1", "j2", "j0"]
    assert [notice.job_id for notice in backend.notices.pending(6000.0, limit=1)] == ["j1"]


# --- the embedded backend alone ---------------------------------------------------------------------------


def test_jobs_survive_the_process(tmp_path: Path) -> None:
    """What was written is there when the folder is opened again."""
    first = Embedded(tmp_path)
    first.jobs.create(a_job())
    after = first.jobs.update("j1", _cancel)
    first.close()
    second = Embedded(tmp_path)
    assert second.jobs.get("j1") == after
    assert len(second.notices.pending(9999.0)) == 1
    second.close()


def test_recovery_makes_claims_claimable_at_once(embedded: Embedded, clock: Clock) -> None:
    """After a crash of everything nobody waits for leases; the attempt that was cut short counts."""
    now = clock()
    embedded.jobs.create(a_job(at=now))
    embedded.jobs.update("j1", lambda job: job.received(a_source(), now=now, due_at=now + 600))
    old = Claim(token="old", worker="w", until=now + 40)
    embedded.jobs.update("j1", lambda job: job.claimed(old, now=now))
    embedded.recover()
    assert [job.id for job in embedded.jobs.due(now)] == ["j1"]
    new = Claim(token="new", worker="w", until=now + 40)
    job = embedded.jobs.update("j1", lambda job: job.claimed(new, now=now))
    assert job.held_by("new")
    assert job.attempt == 2
    with pytest.raises(ClaimLost):
        embedded.jobs.update(
            "j1", lambda job: job.failed("old", Failure(code="x", message="x"), now=now, due_at=None)
        )


def test_which_jobs_there_are(backend: Backend) -> None:
    """Asked about many at once, repeated or not, the store names those it has."""
    for number in range(150):
        backend.jobs.create(a_job(f"j{number}"))
    backend.jobs.delete("j7")
    asked = [*(f"j{number}" for number in range(150)), "j1", "ä\"'"]
    assert backend.jobs.known(asked) == {f"j{number}" for number in range(150)} - {"j7"}
    assert backend.jobs.known([]) == frozenset()


def test_many_at_once(backend: Backend) -> None:
    """Made in one call, also when they are more than one request holds; read in the order that was asked for, without
    those that are not there."""
    jobs = [a_job(f"m{number}", due_at=9.0) for number in range(60)]
    backend.jobs.create_all(jobs)
    backend.jobs.create_all(jobs[:1])  # a repeat is harmless
    backend.jobs.delete("m7")
    asked = [job.id for job in reversed(jobs)]
    assert backend.jobs.read([*asked, "nobody"]) == tuple(job for job in reversed(jobs) if job.id != "m7")
    assert backend.jobs.read([]) == ()
    assert len(backend.jobs.due(10.0, limit=100)) == 59
