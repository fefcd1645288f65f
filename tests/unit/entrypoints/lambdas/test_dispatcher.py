"""S3's events: what they mean, and what they must not do."""

import pytest
from tests.unit.entrypoints.lambdas.functions import Context, OnAws, created, pipeline

from safelight.entrypoints.lambdas import dispatcher
from safelight.errors import StorageUnavailable
from safelight.model import Job, Stage

__all__ = ["pipeline"]


def dispatch(*records: dict[str, object]) -> None:
    """Hand in one event."""
    dispatcher.handler({"Records": list(records)}, Context())


@pytest.mark.parametrize(
    "filename", ["a.jpg", "two words.jpg", "a+b (1).jpg", "Ünïcode 写真.jpg", "100%.jpg"]
)
def test_an_upload_is_queued_whatever_its_name(pipeline: OnAws, filename: str) -> None:
    """The key is decoded, its version pinned, and a worker woken."""
    job = pipeline.request(filename=filename)
    stored = pipeline.store(job)
    dispatch(created(stored))
    now = pipeline.now(job)
    assert (now.stage, now.source and now.source.version) == (Stage.QUEUED, stored.version)
    assert pipeline.work() == 1


def test_keys_are_decoded_as_forms_are(pipeline: OnAws) -> None:
    """A plus is a space; a plus of the name's own comes as %2B."""
    job = pipeline.request(filename="a+b c.jpg")
    stored = pipeline.store(job)
    dispatch(created(stored, raw_key=f"uploads/{job.id}/a%2Bb+c.jpg"))
    assert pipeline.now(job).stage is Stage.QUEUED


def test_every_record_is_carried_out(pipeline: OnAws) -> None:
    """One event may tell of many uploads."""
    jobs = [pipeline.request() for _ in range(3)]
    dispatch(*(created(pipeline.store(job)) for job in jobs))
    assert [pipeline.now(job).stage for job in jobs] == [Stage.QUEUED] * 3


def test_a_repeated_event_changes_nothing(pipeline: OnAws) -> None:
    """S3 tells at least once; the job is worked on once."""
    job = pipeline.request()
    event = created(pipeline.store(job))
    dispatch(event, event)
    pipeline.work()
    done = pipeline.now(job)
    dispatch(event)
    pipeline.work()
    assert pipeline.now(job) == done


def test_the_first_version_told_of_is_the_one_that_counts(pipeline: OnAws) -> None:
    """Events of two uploads to one URL may come in any order; the second one told of is dropped."""
    job = pipeline.request()
    first, second = pipeline.store(job, b"first"), pipeline.store(job, b"second")
    dispatch(created(second), created(first))
    source = pipeline.now(job).source
    assert source
    assert (source.version, source.bytes) == (second.version, 6)
    assert pipeline.ports.blobs.head(first.key, first.version) is None


def test_foreign_events_are_harmless(pipeline: OnAws) -> None:
    """Other buckets, other folders, removals, unknown jobs and nonsense are passed over."""
    job = pipeline.request()
    stored = pipeline.store(job)
    dispatch(
        created(stored, bucket="another-bucket"),
        created(stored, name="ObjectRemoved:Delete"),
        created(stored, key="processed/uploads/x/y/main.jpg"),
        created(stored, key=f"uploads/{job.id}"),
        created(stored, key="uploads/nobody/a.jpg"),
        {"eventName": "ObjectCreated:Put"},
        {"s3": {"bucket": 1}},
        {},
    )
    dispatcher.handler({"Service": "Amazon S3", "Event": "s3:TestEvent"}, Context())
    assert pipeline.now(job).stage is Stage.AWAITING_UPLOAD
    assert pipeline.ports.queue.depth() == 0


def test_one_bad_record_does_not_stop_the_others(pipeline: OnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is dispatched, and then the event is failed so that it comes again."""
    bad, good = pipeline.request(), pipeline.request()
    event = [created(pipeline.store(bad)), created(pipeline.store(good))]
    real = pipeline.service.dispatch

    def failing(key: str, version: str, size: int) -> Job | None:
        if bad.id in key:
            raise StorageUnavailable
        return real(key, version, size)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.service, "dispatch", failing)
        with pytest.raises(dispatcher.NotAllDispatched):
            dispatch(*event)
    assert pipeline.now(good).stage is Stage.QUEUED
    dispatch(*event)
    assert pipeline.now(bad).stage is Stage.QUEUED
