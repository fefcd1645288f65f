"""The promises to whoever looks after the dead letters: the reason is told, and redriving does what was wanted."""

import pytest
from tests.unit.pipeline import ME, Pipeline

from safelight.dead_letters import Morgue, Redriven
from safelight.errors import RenderCrashed, RenderTimedOut
from safelight.model import Failure, Job, JobState, Wake
from safelight.ports import DeadLetters
from safelight.service import WAKE_AGAIN_AFTER


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def morgue(pipeline: Pipeline) -> Morgue:
    """The dead letters of the pipeline's queue."""
    letters: DeadLetters = pipeline.ports.queue  # type: ignore[assignment]
    return Morgue(pipeline.service, letters)


def give_up(pipeline: Pipeline) -> None:
    """The message is handed out too often, and nobody says what became of it."""
    for _ in range(5):
        delivery = pipeline.receive()
        assert delivery is not None
        pipeline.ports.inbox.retry(delivery, 0)
    assert pipeline.receive() is None


def dead(pipeline: Pipeline) -> Job:
    """A queued job whose message is a dead letter."""
    job = pipeline.send(pipeline.request())
    give_up(pipeline)
    return job


def failed(pipeline: Pipeline) -> Job:
    """The same, and the job has FAILED since."""
    job = dead(pipeline)
    failure = Failure(code="attempts_used_up", message="It was cut off every time.")
    now = pipeline.clock()
    return pipeline.ports.jobs.update(job.id, lambda job: job.failed(None, failure, now=now, due_at=None))


def test_a_dead_letter_tells_the_job_s_reason(pipeline: Pipeline) -> None:
    """What the job failed with, what its last attempt ended with, or else what the queue says."""
    job = dead(pipeline)
    [case] = morgue(pipeline).cases().items
    assert case.job == job
    assert case.reason == case.letter.reason
    failure = Failure(code=RenderCrashed.code, message="It crashed.")
    now = pipeline.clock()
    pipeline.ports.jobs.update(job.id, lambda job: job.failed(None, failure, now=now, due_at=None))
    found = morgue(pipeline).case(job.id)
    assert found is not None
    assert found.reason == "It crashed."
    assert morgue(pipeline).case("nobody") is None


def test_redriving_wakes_a_worker(pipeline: Pipeline) -> None:
    """A job that waits gets its message back, and is completed; the second time there is nothing to do."""
    job = dead(pipeline)
    assert morgue(pipeline).redrive([job.id]) == {job.id: Redriven.SENT}
    assert morgue(pipeline).redrive([job.id]) == {}
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED


def test_redriving_retries_a_failed_job(pipeline: Pipeline) -> None:
    """Its message alone would be forgotten: so the job starts again, with all its attempts."""
    job = failed(pipeline)
    assert morgue(pipeline).redrive() == {job.id: Redriven.RETRIED}
    assert morgue(pipeline).cases().items == ()
    assert (pipeline.now(job).state, pipeline.now(job).attempt) == (JobState.PENDING, 0)
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED


def test_what_has_ended_is_not_woken(pipeline: Pipeline) -> None:
    """The letters of jobs that were canceled, erased or completed meanwhile are removed, and nothing is done twice."""
    canceled, erased, completed = dead(pipeline), dead(pipeline), dead(pipeline)
    pipeline.service.cancel(ME, canceled.id)
    pipeline.service.delete(ME, erased.id)
    pipeline.clock.advance(WAKE_AGAIN_AFTER)
    pipeline.sweeper.sweep()
    pipeline.work()
    before = pipeline.now(completed)
    assert before.state is JobState.COMPLETED
    assert set(morgue(pipeline).redrive().values()) == {Redriven.OVER}
    assert pipeline.work() == 0
    assert pipeline.now(completed) == before


def test_only_the_named_ones_are_redriven(pipeline: Pipeline) -> None:
    """The others stay."""
    first, second = dead(pipeline), dead(pipeline)
    morgue(pipeline).redrive({first.id})
    assert [case.letter.wake.job_id for case in morgue(pipeline).cases().items] == [second.id]


def test_what_is_no_message_stays(pipeline: Pipeline) -> None:
    """Somebody has to look at it."""
    pipeline.ports.queue.send(Wake(job_id="4b1d-of-the-queue", key="", group=""))
    give_up(pipeline)
    assert morgue(pipeline).redrive() == {"4b1d-of-the-queue": Redriven.KEPT}
    assert morgue(pipeline).purge() == 1
    assert morgue(pipeline).purge() == 0


def test_purging_touches_no_job(pipeline: Pipeline) -> None:
    """One that waits is woken by the next sweep."""
    job = dead(pipeline)
    assert morgue(pipeline).purge() == 1
    pipeline.clock.advance(WAKE_AGAIN_AFTER)
    pipeline.sweeper.sweep()
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED


def test_a_poison_job_delays_each_other_once() -> None:
    """A job that takes all the time it may, twice, holds up whoever waits behind it for one of these times only."""
    pipeline = Pipeline()
    limit = pipeline.settings.render_seconds
    poison = pipeline.send(pipeline.request())
    others = [pipeline.send(pipeline.request()) for _ in range(20)]
    render = pipeline.ports.renderer.render

    class Slow:
        """Takes as long as it may for the poison, and no time at all for the others."""

        def render(self, file, source, recipe):  # type: ignore[no-untyped-def]
            if source.key == poison.upload.key:
                pipeline.clock.advance(limit)
                raise RenderTimedOut
            return render(file, source, recipe)

        def close(self) -> None:
            """Nothing."""

    import msgspec

    from safelight.recipes import Book
    from safelight.service import Service

    ports = msgspec.structs.replace(pipeline.ports, renderer=Slow())
    pipeline.service = Service(pipeline.settings, ports, Book(pipeline.settings))
    begun = pipeline.clock()
    later: list[Job] = []
    while pipeline.work() or not pipeline.now(poison).state.terminal:
        if not later:
            later = [pipeline.send(pipeline.request()) for _ in range(5)]
        pipeline.clock.advance(1)
    assert pipeline.now(poison).state is JobState.FAILED
    for job in map(pipeline.now, others):
        assert job.state is JobState.COMPLETED
        assert job.updated_at - begun <= limit
    for job in map(pipeline.now, later):
        assert job.updated_at - job.created_at <= limit
