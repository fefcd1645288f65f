"""The promises of the sweeper: what was cut off or forgotten is taken up, and nothing is left behind."""

from collections import Counter

import msgspec
import pytest
from tests.unit.pipeline import ME, Pipeline

from safelight.errors import SafelightError, StorageUnavailable
from safelight.heartbeat import Worker
from safelight.model import DAY, Claim, InBatch, JobState, Notice, Stage
from safelight.service import TIDY_AFTER, WAKE_AGAIN_AFTER
from safelight.sweeper import AWAY, Sweeper
from safelight.uploads import LOOK_FOR_UPLOAD_EVERY


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def sweep(pipeline: Pipeline, after: float = 0.0) -> Counter[str]:
    """Let time pass and sweep."""
    pipeline.clock.advance(after)
    return pipeline.sweeper.sweep()


def test_there_is_nothing_to_do_at_first(pipeline: Pipeline) -> None:
    """A job that is not due is not looked at."""
    pipeline.request()
    assert sweep(pipeline) == {}


def test_a_lost_event_is_found(pipeline: Pipeline) -> None:
    """An upload whose event never came is dispatched and processed."""
    job = pipeline.request()
    pipeline.store(job)
    assert sweep(pipeline, LOOK_FOR_UPLOAD_EVERY)["dispatched"] == 1
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED


def test_an_upload_that_never_comes_expires(pipeline: Pipeline) -> None:
    """A job waits for its file until an hour after the URL's end, and not longer."""
    job = pipeline.request()
    settings = pipeline.settings
    window = settings.upload_seconds + settings.upload_grace_seconds
    assert sweep(pipeline, window - 1) == {"waiting": 1}
    assert pipeline.now(job).state is JobState.PENDING
    assert sweep(pipeline, 1)["expired"] == 1
    assert pipeline.now(job).state is JobState.EXPIRED


def test_a_lost_message_is_sent_again(pipeline: Pipeline) -> None:
    """A queued job whose message is gone gets another."""
    job = pipeline.send(pipeline.request())
    delivery = pipeline.receive()
    assert delivery is not None
    pipeline.ports.inbox.ack(delivery)
    assert sweep(pipeline, WAKE_AGAIN_AFTER) == {"woken": 1}
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED


def test_the_job_of_a_dead_worker_is_taken_up(pipeline: Pipeline) -> None:
    """A claim that ran out is no obstacle: the job is woken, and its second attempt completes it."""
    job = pipeline.send(pipeline.request())
    delivery = pipeline.receive()
    assert delivery is not None
    claim = Claim(token="dead", worker="w", until=pipeline.clock() + 40)
    pipeline.claim(job, claim)
    pipeline.ports.inbox.ack(delivery)
    assert sweep(pipeline, 39) == {}
    assert sweep(pipeline, 1) == {"woken": 1}
    pipeline.work()
    job = pipeline.now(job)
    assert (job.state, job.attempt) == (JobState.COMPLETED, 2)


def test_a_job_that_kills_every_worker_ends() -> None:
    """A job whose attempts are all cut off is FAILED by the sweeper, with a sentence for the client."""
    pipeline = Pipeline(max_attempts=2)
    job = pipeline.send(pipeline.request())
    for number in range(2):
        claim = Claim(token=str(number), worker="w", until=pipeline.clock() + 40)
        pipeline.claim(job, claim)
        pipeline.clock.advance(41)
    assert sweep(pipeline)["failed"] == 1
    job = pipeline.now(job)
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.code == "attempts_used_up"


def test_losing_attempts_are_removed(pipeline: Pipeline) -> None:
    """Some time after the end only the files that the job names are left."""
    job = pipeline.send(pipeline.request())
    stored = pipeline.ports.blobs.head(job.upload.key)
    assert stored is not None
    with pipeline.ports.blobs.open(job.upload.key) as file:
        pipeline.ports.blobs.put(
            f"processed/uploads/{job.id}/loser/main.jpg", file, content_type="image/jpeg"
        )
    claim = Claim(token="loser", worker="w", until=pipeline.clock() + 1)
    pipeline.claim(job, claim)
    pipeline.clock.advance(2)
    pipeline.work()
    assert len(pipeline.ports.blobs.list(f"processed/uploads/{job.id}/").items) == 2
    assert sweep(pipeline, TIDY_AFTER)["tidied"] == 1
    kept = [blob.key for blob in pipeline.ports.blobs.list(f"processed/uploads/{job.id}/").items]
    assert kept == [output.key for output in pipeline.now(job).outputs]


def test_nothing_outlives_its_retention(pipeline: Pipeline) -> None:
    """When its retention is over, a job and all its files are gone."""
    job = pipeline.completed()
    sweep(pipeline, pipeline.settings.retention_seconds - 1)
    assert pipeline.now(job).state is JobState.COMPLETED
    assert sweep(pipeline, 1)["erased"] == 1
    assert pipeline.ports.blobs.list("uploads/").items == ()
    assert pipeline.ports.blobs.list("processed/").items == ()
    assert pipeline.service.list_jobs(job.owner).items == ()


def test_what_is_over_is_erased_together(pipeline: Pipeline) -> None:
    """A page of jobs costs as many deletions as one job: where each waits for a disk, that is what takes the time."""
    for _ in range(5):
        pipeline.completed()
    real, calls = pipeline.ports.blobs.delete, []

    def delete(*prefixes: str) -> int:
        calls.append(prefixes)
        return real(*prefixes)

    pipeline.ports.blobs.delete = delete  # type: ignore[method-assign]
    assert sweep(pipeline, pipeline.settings.retention_seconds)["erased"] == 5
    assert len(calls) == 2
    assert pipeline.ports.blobs.list("uploads/").items == ()
    assert pipeline.service.list_jobs(ME).items == ()


def test_one_job_that_can_not_be_erased_keeps_no_other(pipeline: Pipeline) -> None:
    """It is put off; the others of its page go."""
    jobs = [pipeline.completed() for _ in range(3)]
    real = pipeline.ports.blobs.delete

    def delete(*prefixes: str) -> int:
        if any(jobs[1].id in prefix for prefix in prefixes):
            raise StorageUnavailable
        return real(*prefixes)

    pipeline.ports.blobs.delete = delete  # type: ignore[method-assign]
    done = sweep(pipeline, pipeline.settings.retention_seconds)
    assert (done["erased"], done["errors"]) == (2, 1)
    assert [job.id for job in pipeline.service.list_jobs(ME).items] == [jobs[1].id]
    assert (pipeline.now(jobs[1]).due_at or 0.0) > pipeline.clock()


def test_a_second_sweep_finds_nothing(pipeline: Pipeline) -> None:
    """Whatever was due is done once: a sweep right after another has nothing to do."""
    pipeline.request()
    pipeline.store(pipeline.request())
    pipeline.send(pipeline.request())
    pipeline.clock.advance(WAKE_AGAIN_AFTER)
    assert sum(sweep(pipeline).values()) == 3
    assert sweep(pipeline) == {}


def test_sweeps_go_through_more_than_one_page(pipeline: Pipeline) -> None:
    """However many jobs are due, one sweep looks at each of them once."""
    for _ in range(250):
        pipeline.request()
    assert sweep(pipeline, LOOK_FOR_UPLOAD_EVERY) == {"waiting": 250}


def test_a_sweep_ends_in_time(pipeline: Pipeline) -> None:
    """Without time left a sweep leaves the rest to the next one."""
    pipeline.request()
    pipeline.clock.advance(LOOK_FOR_UPLOAD_EVERY)
    assert pipeline.sweeper.sweep(budget=0.0) == {}
    assert pipeline.sweeper.sweep() == {"waiting": 1}


@pytest.mark.parametrize("error", [SafelightError, StorageUnavailable, OSError])
def test_one_poisoned_job_does_not_stop_the_sweep(pipeline: Pipeline, error: type[Exception]) -> None:
    """A job that can not be swept, whatever the reason, is put off, and the others are swept."""
    bad, good = pipeline.request(), pipeline.request()
    real = pipeline.ports.blobs.head

    def head(key: str, version: str | None = None) -> object:
        if key == bad.upload.key:
            raise error
        return real(key, version)

    pipeline.ports.blobs.head = head  # type: ignore[method-assign, assignment]
    assert sweep(pipeline, LOOK_FOR_UPLOAD_EVERY) == {"errors": 1, "waiting": 1}
    assert (pipeline.now(bad).due_at or 0.0) > pipeline.clock()
    assert pipeline.now(good).state is JobState.PENDING


def test_a_store_that_is_away_ends_the_sweep(pipeline: Pipeline) -> None:
    """When the store does not answer, the sweep says so instead of looking at every job in vain."""

    def head(key: str, version: str | None = None) -> object:
        raise StorageUnavailable

    for _ in range(AWAY + 1):
        pipeline.request()
    pipeline.ports.blobs.head = head  # type: ignore[method-assign, assignment]
    with pytest.raises(StorageUnavailable):
        sweep(pipeline, LOOK_FOR_UPLOAD_EVERY)


def test_what_happens_meanwhile_has_the_last_word(pipeline: Pipeline) -> None:
    """An upload that lands while the sweeper looks sets the time of the next look, not the sweeper."""
    job = pipeline.request()

    def head(key: str, version: str | None = None) -> None:
        pipeline.send(job)

    pipeline.ports.blobs.head = head  # type: ignore[method-assign]
    window = pipeline.settings.upload_seconds + pipeline.settings.upload_grace_seconds
    assert sweep(pipeline, window - 1) == {"waiting": 1}
    assert pipeline.now(job).due_at == pipeline.clock() + WAKE_AGAIN_AFTER


def test_a_job_that_stays_due_is_looked_at_once(pipeline: Pipeline) -> None:
    """A job that can not be put off, because it is deleted meanwhile, does not keep the sweep busy."""
    ghost = pipeline.request()
    pipeline.ports.jobs.delete(ghost.id)
    pipeline.ports.jobs.due = lambda now, limit=100: [ghost]  # type: ignore[method-assign, misc]
    pipeline.clock.advance(LOOK_FOR_UPLOAD_EVERY)
    assert pipeline.sweeper.sweep(budget=2.0) == {"gone": 1}


def test_each_end_is_announced_once(pipeline: Pipeline) -> None:
    """Every terminal state is told, once, and not again by the next sweep."""
    told: list[Notice] = []
    pipeline.sweeper = Sweeper(pipeline.service, told.append)
    done = pipeline.completed()
    sweep(pipeline)
    sweep(pipeline)
    assert [(notice.job_id, notice.state) for notice in told] == [(done.id, JobState.COMPLETED)]


def test_a_notice_that_can_not_be_delivered_is_told_later(pipeline: Pipeline) -> None:
    """A failed delivery is repeated after a while, with the same id, until it succeeds."""
    told: list[Notice] = []
    failures = [SafelightError()]

    def announce(notice: Notice) -> None:
        told.append(notice)
        if failures:
            raise failures.pop()

    pipeline.sweeper = Sweeper(pipeline.service, announce)
    pipeline.completed()
    assert sweep(pipeline)["told"] == 0
    assert sweep(pipeline, WAKE_AGAIN_AFTER)["told"] == 1
    assert len(told) == 2
    assert told[0].id == told[1].id


def test_a_notice_that_can_not_be_told_keeps_none_of_the_others(pipeline: Pipeline) -> None:
    """They are told together; where that fails, one by one."""
    jobs = [pipeline.completed().id for _ in range(3)]
    told: set[str] = set()

    def announce(notice: Notice) -> None:
        if notice.job_id == jobs[1]:
            raise SafelightError
        told.add(notice.job_id)

    pipeline.sweeper = Sweeper(pipeline.service, announce)
    sweep(pipeline)
    assert told == {jobs[0], jobs[2]}
    jobs[1] = ""
    assert sweep(pipeline, WAKE_AGAIN_AFTER)["told"] == 1


def test_every_job_ends(pipeline: Pipeline) -> None:
    """Whatever is lost on the way, sweeping brings every job to an end in a bounded time."""
    jobs = [pipeline.request() for _ in range(4)]
    pipeline.store(jobs[1])
    pipeline.send(jobs[2])
    pipeline.send(jobs[3])
    delivery = pipeline.receive()
    assert delivery is not None
    pipeline.service.process(delivery.wake, Worker(name="w"))
    for _ in range(90):
        sweep(pipeline, 60)
        pipeline.work()
    assert all(pipeline.now(job).state.terminal for job in jobs)
    assert [pipeline.now(job).stage for job in jobs] == [Stage.DONE] * 4
    sweep(pipeline, 31 * DAY)
    assert pipeline.service.list_jobs("local").items == ()


def test_the_end_of_a_batch_is_told_with_its_last_job() -> None:
    """One notice when the last job of a batch ends; if telling it fails, it comes again under the same id."""
    pipeline, told, deaf = Pipeline(), [], [True]

    def announce(notice: Notice) -> None:
        if deaf and notice.whole_batch:
            deaf.pop()
            raise OSError("nobody listens")
        told.append(notice)

    sweeper = Sweeper(pipeline.service, announce)
    for number in range(2):
        batch = InBatch(id="b", number=number, size=2)
        job = pipeline.request()
        pipeline.ports.jobs.update(
            job.id,
            lambda job, batch=batch: msgspec.structs.replace(job, batch=batch, revision=2),  # type: ignore[misc]
        )
        pipeline.service.cancel(job.owner, job.id)
        sweeper.sweep()
    assert [notice.kind for notice in told] == ["job.canceled"]
    pipeline.clock.advance(WAKE_AGAIN_AFTER)
    sweeper.sweep()
    assert [notice.kind for notice in told] == ["job.canceled", "batch.completed", "job.canceled"]
    assert told[1].id == "b.completed"
    pipeline.clock.advance(WAKE_AGAIN_AFTER)
    sweeper.sweep()
    assert len(told) == 3
