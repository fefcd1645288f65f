"""Files that were processed before: found, when and only when the earlier job is as good as a new one."""

import hashlib
from typing import Any

import pytest
from tests.unit.pipeline import ME, Pipeline

from safelight.model import DAY, Job, JobState

CONTENT = b"picture"
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def again(pipeline: Pipeline, owner: str = ME, **said: Any) -> Job:
    """The same bytes are declared once more."""
    return pipeline.request(owner, **{"dedupe": True, "sha256": HASH.upper()} | said)


def test_the_earlier_job_is_the_answer(pipeline: Pipeline) -> None:
    """Whether the first upload declared its hash or not, the second gets its job, and nothing is made."""
    first = pipeline.completed(dedupe=True)
    assert first.state is JobState.COMPLETED
    assert again(pipeline) == first
    assert again(pipeline, metadata={"another": "word"}) == first
    assert len(pipeline.service.list_jobs(ME).items) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"dedupe": False},
        {"sha256": None},
        {"sha256": "0" * 64},
        {"recipe": {"version": 1, "outputs": {"other": {}}}},
        {"owner": "somebody else"},
    ],
)
def test_another_request_is_another_job(pipeline: Pipeline, said: dict[str, Any]) -> None:
    """Bytes, recipe and owner all have to be the same, and it has to be asked for."""
    first = pipeline.completed(dedupe=True)
    made = again(pipeline, **said)
    assert made.id != first.id
    assert made.state is JobState.PENDING


def test_a_job_that_did_not_ask_is_not_remembered(pipeline: Pipeline) -> None:
    """It is nobody's answer but its own client's."""
    first = pipeline.completed()
    assert again(pipeline).id != first.id


def test_a_deleted_job_is_no_answer(pipeline: Pipeline) -> None:
    """The file is asked for again, and its job is the next answer."""
    first = pipeline.completed(dedupe=True)
    pipeline.service.delete(ME, first.id)
    second = again(pipeline)
    assert second.state is JobState.PENDING
    pipeline.send(second, CONTENT)
    pipeline.work()
    assert again(pipeline) == pipeline.now(second)


def test_a_job_whose_outputs_are_gone_is_no_answer(pipeline: Pipeline) -> None:
    """However that came about."""
    first = pipeline.completed(dedupe=True)
    pipeline.ports.blobs.delete(first.outputs[0].key)
    assert again(pipeline).id != first.id


def test_a_job_that_is_about_to_go_is_no_answer(pipeline: Pipeline) -> None:
    """Its links have to be good for as long as links are."""
    first = pipeline.completed(dedupe=True)
    pipeline.clock.advance(pipeline.settings.retention_seconds - pipeline.settings.download_seconds - 60)
    assert again(pipeline) == first
    pipeline.clock.advance(120)
    assert again(pipeline).id != first.id
    pipeline.clock.advance(DAY)
    assert again(pipeline).id != first.id


def test_a_job_under_way_is_no_answer(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is remembered just before it is completed: a crash between the two leaves nothing wrong."""

    class Killed(BaseException):
        pass

    def killed(place: str) -> None:
        if place == "job.stored":
            raise Killed

    monkeypatch.setattr("safelight.faults.reached", killed)
    with pytest.raises(Killed):
        pipeline.completed(dedupe=True)
    monkeypatch.undo()
    (first,) = pipeline.service.list_jobs(ME).items
    assert first.state is JobState.PROCESSING
    assert again(pipeline).id != first.id
    pipeline.clock.advance(120)
    pipeline.sweeper.sweep()
    pipeline.clock.advance(60)
    pipeline.work()
    assert again(pipeline) == pipeline.now(first)
    assert pipeline.now(first).state is JobState.COMPLETED
