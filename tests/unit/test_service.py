"""The promises of the use cases, on in-memory ports."""

from collections.abc import Callable
from typing import IO, Any

import msgspec
import pytest
from tests.unit.pipeline import ME, Pipeline

from safelight.errors import (
    ConflictingFields,
    EmptyFile,
    InvalidRequest,
    JobNotFound,
    NotAllowedNow,
    Overloaded,
    PublicOutputsOff,
    RecipeInvalid,
    RenderCrashed,
    RendererUnavailable,
    RenderTimedOut,
    SourceGone,
    StorageUnavailable,
    TooLarge,
    UnknownRecipe,
    Unprocessable,
)
from safelight.heartbeat import Worker
from safelight.model import DAY, HOUR, Job, JobState, Source, Stage, Wake
from safelight.ports import BlobInfo, Rendering
from safelight.service import LOOK_AT_QUEUE_EVERY, retry_delay

SMALL = {"version": 1, "steps": {}, "outputs": {"small": {"format": "webp"}, "large": {"primary": True}}}


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


# --- the way of an upload ---


def test_the_way_of_an_upload(pipeline: Pipeline) -> None:
    """Requested, sent, processed: the job is COMPLETED and its output is stored under the key that it names."""
    job = pipeline.request()
    assert (job.state, job.stage) == (JobState.PENDING, Stage.AWAITING_UPLOAD)
    job = pipeline.send(job, b"picture")
    assert (job.state, job.stage) == (JobState.PENDING, Stage.QUEUED)
    assert pipeline.work() == 1
    job = pipeline.now(job)
    assert (job.state, job.stage, job.attempt) == (JobState.COMPLETED, Stage.DONE, 1)
    (output,) = job.outputs
    with pipeline.ports.blobs.open(output.key) as file:
        assert file.read() == b"picture"
    assert pipeline.receive() is None


def test_a_file_without_a_name_gets_one(pipeline: Pipeline) -> None:
    """A client that names nothing can still upload."""
    names = {pipeline.request(filename=name).upload.filename for name in (None, "")}
    assert len(names) == 2
    assert all(name.endswith(".jpg") for name in names)


def test_the_key_is_safe_and_the_name_is_kept(pipeline: Pipeline) -> None:
    """Of the client's filename only a safe base name gets into the key; the job keeps it as given."""
    job = pipeline.request(filename="../../etc/pa\0sswd")
    assert job.upload.key == f"uploads/{job.id}/passwd"
    assert job.upload.filename == "../../etc/pa\0sswd"


def test_what_was_declared_is_signed(pipeline: Pipeline) -> None:
    """The upload URL is bound to the declared type, size and checksum, and to no more than that."""
    declared = pipeline.request(content_type="image/png", size=7, sha256="AB" * 32, overwrite=False)
    bare = pipeline.request()
    pipeline.service.upload_link(declared)
    pipeline.service.upload_link(bare)
    strict, loose = pipeline.ports.links.uploads.values()  # type: ignore[attr-defined]
    assert (strict.content_type, strict.size, strict.sha256, strict.overwrite) == (
        "image/png",
        7,
        "ab" * 32,
        False,
    )
    assert (loose.content_type, loose.size, loose.sha256, loose.overwrite) == (None, None, None, True)


def test_a_form_can_not_promise_not_to_overwrite(pipeline: Pipeline) -> None:
    """`overwrite: false` with method POST is refused before there is a job: storage could not keep that promise."""
    with pytest.raises(ConflictingFields, match="PUT"):
        pipeline.request(method="POST", overwrite=False)
    assert pipeline.service.list_jobs(ME).items == ()


@pytest.mark.parametrize(("size", "error"), [(0, EmptyFile), (11, TooLarge)])
def test_a_declared_size_that_can_not_be_is_refused(size: int, error: type[Exception]) -> None:
    """No job is made for a file that is declared empty or too large."""
    pipeline = Pipeline(max_bytes=10)
    with pytest.raises(error):
        pipeline.request(size=size)
    assert pipeline.service.list_jobs(ME).items == ()


def test_how_much_too_large() -> None:
    """It is said in the units that people choose limits in, exactly where that matters, with what to do about it."""
    pipeline = Pipeline(max_bytes=100_000_000)
    for size, told in (
        (119_382_106, r"119\.4 MB \(119382106 bytes\)"),
        (100_000_001, r"100 MB \(100000001 bytes\)"),
        (10**12, "1000 GB"),
    ):
        with pytest.raises(
            TooLarge, match=rf"upload is 100 MB and {told} were declared; make the file smaller\."
        ):
            pipeline.request(size=size)


def test_a_full_queue_turns_new_work_away() -> None:
    """With too much waiting, new uploads are refused; what was accepted goes on, and then there is room again."""
    pipeline = Pipeline(max_queue=1)
    job = pipeline.send(pipeline.request())
    pipeline.clock.advance(LOOK_AT_QUEUE_EVERY)
    with pytest.raises(Overloaded):
        pipeline.request()
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED
    pipeline.clock.advance(LOOK_AT_QUEUE_EVERY)
    pipeline.request()


def test_recipes_by_name_and_by_content(pipeline: Pipeline) -> None:
    """A recipe inside the request makes the outputs it names, the primary one first in line for downloads."""
    job = pipeline.completed(recipe=SMALL)
    assert {output.name: output.primary for output in job.outputs} == {"small": False, "large": True}
    links = pipeline.service.download_links(job)
    assert "filename=beach.jpg" in links["large"]
    assert "filename=beach-small.jpg" in links["small"]


@pytest.mark.parametrize(
    ("recipe", "error"), [("nosuch", UnknownRecipe), ({"version": 2}, RecipeInvalid), ({}, RecipeInvalid)]
)
def test_a_recipe_that_is_not_right_is_refused(
    pipeline: Pipeline, recipe: object, error: type[Exception]
) -> None:
    """No job is made with a recipe that does not exist or is not valid."""
    with pytest.raises(error):
        pipeline.request(recipe=recipe)
    assert pipeline.service.list_jobs(ME).items == ()


def test_recipes_inside_requests_can_be_turned_off() -> None:
    """Where the operator wants named recipes only, others are refused."""
    with pytest.raises(InvalidRequest, match="turned off"):
        Pipeline(inline_recipes=False).request(recipe=SMALL)


@pytest.mark.parametrize(
    ("filename", "saved"),
    [("a/b/photo", "photo.jpg"), (".jpg", "jpg.jpg"), ("été.final.png", "%C3%A9t%C3%A9.final.jpg")],
)
def test_outputs_are_saved_under_the_original_s_name(pipeline: Pipeline, filename: str, saved: str) -> None:
    """A download is called like the upload, with the extension of what it is."""
    job = pipeline.completed(filename=filename)
    assert f"filename={saved}" in pipeline.service.download_links(job)["main"]


# --- events and messages may come twice, late, or for nothing ---


def test_a_repeated_event_changes_nothing(pipeline: Pipeline) -> None:
    """The storage may tell of one upload any number of times: there is one set of outputs."""
    job = pipeline.request()
    stored = pipeline.store(job)
    for _ in range(3):
        pipeline.service.dispatch(stored.key, stored.version, stored.bytes)
    pipeline.work()
    done = pipeline.now(job)
    pipeline.service.dispatch(stored.key, stored.version, stored.bytes)
    assert pipeline.work() == 0
    assert pipeline.now(job) == done
    assert len(pipeline.ports.blobs.list(f"processed/uploads/{job.id}/").items) == 1


def test_a_repeated_message_changes_nothing(pipeline: Pipeline) -> None:
    """A message for a job that has ended is acknowledged and forgotten."""
    job = pipeline.completed()
    assert job.source is not None
    wake = Wake(job_id=job.id, key=job.source.key, group=job.owner)
    assert pipeline.service.process(wake, Worker(name="late")) is None
    assert pipeline.now(job) == job


def test_a_later_overwrite_is_harmless(pipeline: Pipeline) -> None:
    """The version that arrived first is the one that is processed, and no other takes room, before the end or after."""
    job = pipeline.send(pipeline.request(), b"first")
    pipeline.send(job, b"second")
    assert job.source is not None
    assert pipeline.ports.blobs.head(job.upload.key) == pipeline.ports.blobs.head(
        job.upload.key, job.source.version
    )
    pipeline.work()
    (output,) = pipeline.now(job).outputs
    with pipeline.ports.blobs.open(output.key) as file:
        assert file.read() == b"first"
    pipeline.send(job, b"third")
    with pipeline.ports.blobs.open(job.upload.key) as file:
        assert file.read() == b"first"


@pytest.mark.parametrize("key", ["uploads/x/a.jpg", "uploads/a.jpg", "processed/uploads/x/t/main.jpg"])
def test_an_object_of_no_job_is_left_alone(pipeline: Pipeline, key: str) -> None:
    """An event for something that is no job's upload is ignored."""
    assert pipeline.service.dispatch(key, "1", 7) is None
    assert pipeline.work() == 0


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("said", "content", "code"),
    [
        ({}, b"", "empty_file"),
        ({}, b"x" * 101, "too_large"),
        ({"size": 5}, b"four", "truncated"),
        ({"sha256": "0" * 64}, b"picture", "checksum_mismatch"),
    ],
)
def test_a_file_at_fault_fails_at_once(said: dict[str, Any], content: bytes, code: str) -> None:
    """A file that is proven to be at fault costs one attempt and leaves nothing behind."""
    pipeline = Pipeline(max_bytes=100)
    job = pipeline.send(pipeline.request(**said), content)
    pipeline.work()
    job = pipeline.now(job)
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert job.failure is not None
    assert job.failure.code == code
    assert pipeline.ports.queue.depth() == 0


def test_the_decoder_s_refusal_is_final(pipeline: Pipeline) -> None:
    """What the renderer says of the file is what the client reads."""
    pipeline.failing(Unprocessable("The image ends early."))
    job = pipeline.completed()
    assert job.failure is not None
    assert (job.failure.code, job.failure.message) == ("unprocessable", "The image ends early.")


def test_a_passing_fault_is_tried_again(pipeline: Pipeline) -> None:
    """An attempt that fails for a reason of ours is repeated after a delay, and the job is COMPLETED."""
    pipeline.failing(RendererUnavailable(), StorageUnavailable())
    job = pipeline.completed()
    assert (job.state, job.stage, job.attempt) == (JobState.PROCESSING, Stage.QUEUED, 1)
    for _ in range(2):
        pipeline.clock.advance(retry_delay(2) * 2)
        pipeline.work()
    job = pipeline.now(job)
    assert (job.state, job.attempt) == (JobState.COMPLETED, 3)


def test_attempts_are_limited() -> None:
    """A job that always fails ends FAILED after its attempts, with the reason of the last one."""
    pipeline = Pipeline(max_attempts=3)
    pipeline.failing(*[RendererUnavailable()] * 3)
    job = pipeline.completed()
    for _ in range(5):
        pipeline.clock.advance(1000)
        pipeline.work()
    job = pipeline.now(job)
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert job.failure is not None
    assert job.failure.code == "renderer_unavailable"


def test_a_suspicious_file_gets_one_more_try(pipeline: Pipeline) -> None:
    """A job that kills or stalls its renderer twice is FAILED; it does not get all attempts."""
    pipeline.failing(RenderCrashed(), RenderTimedOut())
    job = pipeline.completed()
    pipeline.clock.advance(1000)
    pipeline.work()
    job = pipeline.now(job)
    assert (job.state, job.attempt) == (JobState.FAILED, 2)


def test_an_unforeseen_error_tells_the_client_nothing(pipeline: Pipeline) -> None:
    """An exception's text stays in the log, whatever it says."""
    pipeline = Pipeline(max_attempts=1)
    pipeline.failing(KeyError("/secret/path"))
    job = pipeline.completed()
    assert job.failure is not None
    assert "secret" not in job.failure.message


def test_a_worker_that_stops_gives_the_job_back(pipeline: Pipeline) -> None:
    """A worker that was asked to stop costs the job no attempt, and the next one takes it at once."""
    pipeline.failing(RendererUnavailable())
    job = pipeline.send(pipeline.request())
    delivery = pipeline.receive()
    assert delivery is not None
    stopping = Worker(name="stopping", stopping=lambda: True)
    assert pipeline.service.process(delivery.wake, stopping) == 0.0
    assert pipeline.now(job).attempt == 0
    assert pipeline.service.process(delivery.wake, Worker(name="next")) is None
    assert pipeline.now(job).state is JobState.COMPLETED


@pytest.mark.parametrize("error", [None, StorageUnavailable])
def test_a_completion_whose_answer_is_lost_counts(pipeline: Pipeline, error: type[Exception] | None) -> None:
    """The store has taken it and the network lost the answer: whether the write is repeated, as a library may, or
    given up, the job stays COMPLETED and its outputs stay."""
    job = pipeline.send(pipeline.request())
    real = pipeline.ports.jobs.update

    def update(job_id: str, change: Callable[[Job], Job], *, known: Job | None = None) -> Job:
        done = real(job_id, change, known=known)
        if done.state is not JobState.COMPLETED:
            return done
        pipeline.ports.jobs.update = real  # type: ignore[method-assign]
        if error is not None:
            raise error
        return real(job_id, change)

    pipeline.ports.jobs.update = update  # type: ignore[method-assign]
    pipeline.work()
    done = pipeline.now(job)
    assert (done.state, done.attempt) == (JobState.COMPLETED, 1)
    kept = [blob.key for blob in pipeline.ports.blobs.list("processed/").items]
    assert kept == [output.key for output in done.outputs]


def test_an_attempt_that_lost_its_claim_removes_its_files(pipeline: Pipeline) -> None:
    """A job canceled while it is rendered stays CANCELED, and the outputs of the attempt go."""
    job = pipeline.send(pipeline.request())
    renderer = pipeline.ports.renderer
    real = renderer.render

    def render(*args: object) -> object:
        pipeline.service.cancel(ME, job.id)
        return real(*args)  # type: ignore[arg-type]

    renderer.render = render  # type: ignore[method-assign, assignment]
    pipeline.work()
    assert pipeline.now(job).state is JobState.CANCELED
    assert pipeline.ports.blobs.list(f"processed/uploads/{job.id}/").items == ()


def test_retries_spread_out() -> None:
    """Delays grow fourfold, and two jobs that failed together do not come back together."""
    assert 4.0 <= retry_delay(1) <= 6.0
    assert 256.0 <= retry_delay(4) <= 384.0
    assert len({retry_delay(1) for _ in range(10)}) > 1


# --- what else a client may do ---


def test_nobody_sees_another_s_job(pipeline: Pipeline) -> None:
    """To everyone but its owner a job does not exist."""
    job = pipeline.completed()
    service = pipeline.service
    for act in (service.describe, service.cancel, service.retry, service.delete, service.render_again):
        with pytest.raises(JobNotFound):
            act("somebody else", job.id)
    assert service.list_jobs("somebody else").items == ()
    assert pipeline.now(job) == job


def test_a_kept_original_is_rendered_again(pipeline: Pipeline) -> None:
    """A new job on an earlier one's original gives outputs of its own and says where it came from."""
    first = pipeline.completed(metadata={"album": "7"})
    again = pipeline.service.render_again(ME, first.id, SMALL)
    pipeline.work()
    again = pipeline.now(again)
    assert again.state is JobState.COMPLETED
    assert again.rendered_from == first.id
    assert again.metadata == {"album": "7"}
    assert {output.name for output in again.outputs} == {"small", "large"}
    assert pipeline.now(first) == first


def test_what_is_not_kept_is_not_rendered_again(pipeline: Pipeline) -> None:
    """Without an original, before the upload or after its removal, there is nothing to render."""
    waiting, done = pipeline.request(), pipeline.completed()
    pipeline.ports.blobs.delete(f"uploads/{done.id}/")
    for job in (waiting, done):
        with pytest.raises(SourceGone):
            pipeline.service.render_again(ME, job.id)


def test_cancel_and_retry(pipeline: Pipeline) -> None:
    """A canceled job is not processed; retried, it is. Both may be asked for twice."""
    job = pipeline.send(pipeline.request())
    canceled = pipeline.service.cancel(ME, job.id)
    assert pipeline.service.cancel(ME, job.id) == canceled
    pipeline.work()
    assert pipeline.now(job).state is JobState.CANCELED
    pipeline.service.retry(ME, job.id)
    pipeline.service.retry(ME, job.id)
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED
    with pytest.raises(NotAllowedNow):
        pipeline.service.cancel(ME, job.id)
    with pytest.raises(NotAllowedNow):
        pipeline.service.retry(ME, job.id)


def test_an_upload_that_landed_while_canceled_is_found_by_the_retry(pipeline: Pipeline) -> None:
    """Its event came when nobody wanted it; the retry goes on with it at once."""
    job = pipeline.request()
    pipeline.service.cancel(ME, job.id)
    assert pipeline.send(job, b"first").state is JobState.CANCELED
    pipeline.send(job, b"second")  # takes no room either
    with pipeline.ports.blobs.open(job.upload.key) as file:
        assert file.read() == b"first"
    assert pipeline.service.retry(ME, job.id).stage is Stage.QUEUED
    pipeline.work()
    assert pipeline.now(job).state is JobState.COMPLETED


def test_an_upload_that_landed_while_canceled_is_found_without_its_event(pipeline: Pipeline) -> None:
    """The retry looks for it: an event that was lost will not come again."""
    job = pipeline.request()
    pipeline.service.cancel(ME, job.id)
    pipeline.store(job)
    assert pipeline.service.retry(ME, job.id).stage is Stage.QUEUED


def test_deleting_leaves_nothing(pipeline: Pipeline) -> None:
    """Record, original and outputs go; deleting again is the same; others still get "not found"."""
    job = pipeline.completed()
    pipeline.service.delete(ME, job.id)
    pipeline.service.delete(ME, job.id)
    with pytest.raises(JobNotFound):
        pipeline.service.describe(ME, job.id)
    with pytest.raises(JobNotFound):
        pipeline.service.delete("somebody else", job.id)
    assert pipeline.ports.blobs.list("uploads/").items == ()
    assert pipeline.ports.blobs.list("processed/").items == ()


@pytest.mark.parametrize("cut_off_at", range(4))
def test_a_deletion_that_was_cut_off_can_be_repeated(pipeline: Pipeline, cut_off_at: int) -> None:
    """Wherever the first DELETE ended, the second leaves nothing: no file outlives its job unseen."""
    job = pipeline.completed()
    real, calls = pipeline.ports.blobs.delete, iter(range(100))

    def delete(*prefixes: str) -> int:
        for prefix in prefixes:
            if next(calls) == cut_off_at:
                raise StorageUnavailable
            real(prefix)
        return len(prefixes)

    pipeline.ports.blobs.delete = delete  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        pipeline.service.delete(ME, job.id)
    pipeline.service.delete(ME, job.id)
    with pytest.raises(JobNotFound):
        pipeline.service.describe(ME, job.id)
    assert pipeline.ports.blobs.list("uploads/").items == ()
    assert pipeline.ports.blobs.list("processed/").items == ()


def test_an_attempt_whose_job_is_deleted_leaves_nothing(pipeline: Pipeline) -> None:
    """Storage fails for the second output, and the job is gone meanwhile: the first one does not stay behind."""
    job = pipeline.send(pipeline.request(recipe=SMALL))
    real = pipeline.ports.blobs.put

    def put(key: str, file: IO[bytes], *, content_type: str) -> BlobInfo:
        if pipeline.ports.blobs.list("processed/").items:
            raise StorageUnavailable
        pipeline.service.delete(ME, job.id)
        return real(key, file, content_type=content_type)

    pipeline.ports.blobs.put = put  # type: ignore[method-assign]
    pipeline.work()
    assert pipeline.ports.blobs.list("processed/").items == ()


def test_an_upload_after_the_deletion_goes_too(pipeline: Pipeline) -> None:
    """A file that lands when its job is deleted already does not stay."""
    job = pipeline.request()
    pipeline.service.delete(ME, job.id)
    stored = pipeline.store(job)
    assert pipeline.service.dispatch(stored.key, stored.version, stored.bytes) is None
    assert pipeline.ports.blobs.list("uploads/").items == ()


def test_a_deletion_is_remembered_for_as_long_as_a_url_holds() -> None:
    """An upload that was begun in time, days later, does not stay either."""
    pipeline = Pipeline(upload_seconds=3 * DAY, upload_grace_seconds=HOUR)
    job = pipeline.request()
    pipeline.service.delete(ME, job.id)
    pipeline.clock.advance(3 * DAY + HOUR - 1)
    stored = pipeline.store(job)
    pipeline.service.dispatch(stored.key, stored.version, stored.bytes)
    assert pipeline.ports.blobs.list("uploads/").items == ()


def test_health_names_what_does_not_answer(pipeline: Pipeline) -> None:
    """Every part is asked; one that is away does not hide the others."""
    assert pipeline.service.health() == {"jobs": True, "records": True, "queue": True, "storage": True}

    def away() -> int:
        raise StorageUnavailable

    pipeline.ports.queue.depth = away  # type: ignore[method-assign]
    assert pipeline.service.health() == {"jobs": True, "records": True, "queue": False, "storage": True}


def test_a_recipe_without_a_name_is_not_kept_for_ever() -> None:
    """A recipe inside a request is kept as long as jobs may need it; using it again keeps it longer."""
    pipeline = Pipeline(retention_days=1.0)
    inline: dict[str, object] = {"version": 1, "steps": {}, "outputs": {"main": {"format": "webp"}}}
    first = pipeline.request(recipe=inline)
    records = pipeline.ports.records

    def kept() -> bool:
        return records.get("recipes", first.recipe.digest) is not None

    pipeline.clock.advance(2 * DAY)
    assert kept()
    pipeline.request(recipe=inline)
    pipeline.clock.advance(2 * DAY)
    assert kept()
    pipeline.clock.advance(2 * DAY)
    assert not kept()


PUBLIC = {"version": 1, "steps": {}, "outputs": {"main": {}, "thumb": {"delivery": "public"}}}


def test_public_outputs_lie_apart(pipeline: Pipeline) -> None:
    """By the key alone storage knows what everybody may have; it is erased with the rest of the job."""
    job = pipeline.completed(recipe=PUBLIC)
    main, thumb = job.outputs
    assert (main.public, thumb.public) == (False, True)
    assert "/public/" not in main.key
    assert "/public/thumb." in thumb.key
    assert pipeline.ports.links.public(main.key) is None
    assert pipeline.ports.links.public(thumb.key)
    pipeline.service.delete(ME, job.id)
    assert pipeline.ports.blobs.list("processed/").items == ()


def test_public_outputs_where_nothing_is_given_to_everybody(pipeline: Pipeline) -> None:
    """The request is refused: an output without the address that was asked for would be noticed much later."""
    pipeline.ports.links.publishes = False  # type: ignore[misc] # it is in memory
    with pytest.raises(PublicOutputsOff):
        pipeline.request(recipe=PUBLIC)
    job = pipeline.completed()
    with pytest.raises(PublicOutputsOff):
        pipeline.service.render_again(ME, job.id, PUBLIC)


@pytest.mark.parametrize(
    ("declared", "found", "state"),
    [
        ("image/jpg", "jpeg", JobState.COMPLETED),
        ("image/pjpeg", "jpeg", JobState.COMPLETED),
        ("Image/JPEG; charset=binary", "jpeg", JobState.COMPLETED),
        ("image/heif", "heic", JobState.COMPLETED),
        ("image/heif", "jpeg", JobState.FAILED),
        ("image/png", "jpeg", JobState.FAILED),
        ("application/octet-stream", "jpeg", JobState.COMPLETED),
    ],
)
def test_what_was_declared_is_what_the_file_is(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, declared: str, found: str, state: JobState
) -> None:
    """Other names of the same type count; another type is a file that the client did not mean."""
    renderer = pipeline.ports.renderer
    draw = renderer.render

    def render(file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        made = draw(file, source, recipe)
        return msgspec.structs.replace(
            made, source=msgspec.structs.replace(made.source, content_type=f"image/{found}")
        )

    monkeypatch.setattr(renderer, "render", render)
    job = pipeline.send(pipeline.request(content_type=declared))
    pipeline.work()
    job = pipeline.now(job)
    assert job.state is state
    assert job.failure is None or job.failure.code == "type_mismatch"
