"""The contract of `Watch`."""

from tests.contract.conftest import Backend, a_job, a_source, a_wake, needs

from safelight.model import MINUTE, Claim, Failure, Job, JobState
from safelight.ports import TROUBLES_KEPT, Minute, Trouble

PORTS = {"watch"}
AT = 60_000.0
"""The beginning of a minute."""


def queued(backend: Backend, job_id: str, at: float) -> Job:
    """A job whose upload has arrived."""
    backend.jobs.create(a_job(job_id, at=at))
    return backend.jobs.update(job_id, lambda job: job.received(a_source(job_id), now=at, due_at=at + 600))


def claimed(backend: Backend, job_id: str, at: float) -> Job:
    """A job that a worker has."""
    queued(backend, job_id, at)
    claim = Claim(token="t", worker="worker-0", until=at + 40)
    return backend.jobs.update(job_id, lambda job: job.claimed(claim, now=at))


def ended(backend: Backend, job_id: str, at: float, code: str | None = None) -> None:
    """A job that came to its end at that time: COMPLETED, or FAILED with this code."""
    claimed(backend, job_id, at)
    failure = Failure(code=code or "", message="It is damaged.")
    backend.jobs.update(
        job_id,
        lambda job: (
            job.failed("t", failure, now=at, due_at=None)
            if code
            else job.completed("t", a_source(job_id), (), now=at, due_at=None)
        ),
    )


def test_nothing_is_nothing(backend: Backend) -> None:
    """A new installation has no figures but zeros."""
    backlog = backend.watch.backlog()
    assert (backlog.depth, backlog.dead) == (0, 0)
    assert not backlog.oldest_age
    assert not any(backend.watch.counts().values())
    assert (backend.watch.working(), backend.watch.failures(), backend.watch.minutes(0.0)) == ([], [], [])


def test_ends_are_counted_by_minute(backend: Backend) -> None:
    """What was completed and what failed, in the minute of its end; other ends and older minutes are not there."""
    backend.clock.now = AT + 10 * MINUTE
    for number, (at, code) in enumerate(
        [(AT, None), (AT + 59.9, None), (AT + 60, "truncated"), (AT - 1, None)]
    ):
        ended(backend, f"j{number}", at, code)
    backend.jobs.create(a_job("canceled", at=AT))
    backend.jobs.update("canceled", lambda job: job.canceled(now=AT, due_at=None))
    assert backend.watch.minutes(AT) == [
        Minute(at=AT, completed=2, failed=0),
        Minute(at=AT + MINUTE, completed=0, failed=1),
    ]
    assert backend.watch.minutes(AT + 30)[0].at == AT
    counts = backend.watch.counts()
    assert (counts[JobState.COMPLETED], counts[JobState.FAILED], counts[JobState.CANCELED]) == (3, 1, 1)


def test_failures_are_told_newest_first(backend: Backend) -> None:
    """With the code and the sentence; a job that was erased since is still told of."""
    backend.clock.now = AT + MINUTE
    for number in range(3):
        ended(backend, f"j{number}", AT + number, "truncated")
    backend.jobs.delete("j2")
    assert backend.watch.failures(limit=2) == [
        Trouble(job_id=f"j{number}", at=AT + number, code="truncated", message="It is damaged.")
        for number in (2, 1)
    ]


def test_jobs_in_work_are_named(backend: Backend) -> None:
    """With their worker, until the claim is given up."""
    backend.clock.now = AT
    queued(backend, "waiting", AT)
    claimed(backend, "working", AT)
    [job] = backend.watch.working()
    assert (job.id, job.claim and job.claim.worker) == ("working", "worker-0")
    backend.jobs.update("working", lambda job: job.released("t", now=AT, retry_at=AT))
    assert backend.watch.working() == []


def test_the_backlog_is_the_queue(backend: Backend) -> None:
    """Its messages, and since when the oldest waits, where the queue tells that."""
    backend.queue.send(a_wake("j1"))
    backend.queue.send(a_wake("j2"), delay=600)
    backend.clock.advance(5)
    backlog = backend.watch.backlog()
    assert (backlog.depth, backlog.dead) == (2, 0)
    assert backlog.oldest_age is None or 5 <= backlog.oldest_age < 600


def test_dead_letters_are_counted(backend: Backend) -> None:
    """Those that the queue gave up on."""
    backend.queue.send(a_wake("j1"))
    while delivery := backend.inbox.receive(wait=0.2, visibility=60):
        backend.inbox.retry(delivery, 0)
    assert backend.watch.backlog().dead == 1


def test_counts_follow_every_step(backend: Backend) -> None:
    """Each job is counted once, where it is now; an erased one not at all."""
    needs(backend, "counting every step")
    for job_id in ("a", "b", "c"):
        backend.jobs.create(a_job(job_id, at=AT))
        backend.jobs.create(a_job(job_id, at=AT))  # the answer was lost, and it is asked again
    claimed(backend, "d", AT)
    ended(backend, "e", AT)
    backend.jobs.delete("a")
    backend.jobs.delete("a")
    found = {state: number for state, number in backend.watch.counts().items() if number}
    assert found == {JobState.PENDING: 2, JobState.PROCESSING: 1, JobState.COMPLETED: 1}


def test_only_the_newest_failures_are_kept(backend: Backend) -> None:
    """However many jobs fail, and however many are asked for."""
    needs(backend, "counting every step")
    for number in range(TROUBLES_KEPT + 5):
        ended(backend, f"j{number}", AT + number, "truncated")
    found = backend.watch.failures(limit=1000)
    assert [found[0].job_id, found[-1].job_id, len(found)] == [f"j{TROUBLES_KEPT + 4}", "j5", TROUBLES_KEPT]


def test_waiting_jobs_hide_no_claim(backend: Backend) -> None:
    """However many wait and are due sooner than a claim runs out, the jobs in work are found."""
    for number in range(4):
        queued(backend, f"w{number}", AT - 590)
    claimed(backend, "j1", AT)
    backend.clock.now = AT
    assert [job.id for job in backend.watch.working(limit=2)] == ["j1"]
