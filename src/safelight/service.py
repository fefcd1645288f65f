"""The use cases, in the order of a job's life. Everything the pipeline does, it does through here.

    request_upload → dispatch → process → describe        the way of an upload
    list_jobs, render_again, cancel, retry, delete        what a client may do besides

The job record is the truth; the queue only wakes workers. So every method may run twice, at once, or be cut off
anywhere: the second run changes nothing, and what was cut off becomes due and is swept up (`sweeper`).
"""

import logging
import random
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Final

import msgspec

from safelight import faults
from safelight.catalogue import RECIPES, Catalogue
from safelight.config import Settings
from safelight.decoding import from_json
from safelight.duplicates import Duplicates
from safelight.errors import (
    AttemptError,
    AttemptsUsedUp,
    BatchNotFound,
    BlobNotFound,
    ChecksumMismatch,
    ClaimLost,
    EmptyFile,
    FileError,
    JobNotFound,
    Overloaded,
    RenderCrashed,
    RenderTimedOut,
    SafelightError,
    SourceGone,
    StorageUnavailable,
    TooLarge,
    Truncated,
    TypeMismatch,
)
from safelight.heartbeat import Heartbeat, Worker
from safelight.limits import Quotas
from safelight.model import (
    DAY,
    MINUTE,
    Claim,
    Failure,
    InBatch,
    Job,
    JobState,
    Moment,
    Output,
    Source,
    Stage,
    Upload,
    Value,
    Wake,
    job_id_of,
    new_id,
    output_key,
)
from safelight.ports import Page, Ports, Rendered, UploadGrant, UploadLink
from safelight.recipes import Book
from safelight.shelf import Shelf
from safelight.uploads import RecipeChoice, UploadRequest, in_words, new_job, refuse

log = logging.getLogger(__name__)

WAKE_AGAIN_AFTER: Final = 10 * MINUTE
"""How long a queued job may wait before the sweeper takes its message for lost and sends another."""

TIDY_AFTER: Final = 10 * MINUTE
"""How long after its end a job's losing attempts are removed: by then none of them still runs."""

DELETED_KEPT: Final = 24 * 60 * MINUTE
"""How long it is remembered at least that a job was deleted, so that deleting it twice gives the same answer, and what
is still uploaded for it goes, too."""

SUSPICIOUS: Final = frozenset({RenderTimedOut.code, RenderCrashed.code})
"""Ends of an attempt that the file may well have caused: two of them in a row fail the job."""


DELETED: Final = "deleted"
"""The partition of the records that holds which jobs were deleted by whom."""

BATCHES: Final = "batches"
"""The partition of the records that holds which jobs are in which batch."""

BATCH_KEPT: Final = 8 * DAY
"""How much longer than a job that ends at once a batch is remembered: no job is open for longer."""

LOOK_AT_QUEUE_EVERY: Final = 2.0
"""How old, in seconds, the queue's length may be when a request is judged by it."""


class Batch(Value, frozen=True):
    """Jobs that were asked for together, in the order of their files."""

    id: str
    owner: str
    created_at: float
    job_ids: tuple[str, ...]


ALIASES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/heif": "image/heic"}
"""What browsers and clients also call the types that are found in files."""


class Service:
    """The pipeline, on whatever `ports` it is given."""

    def __init__(self, settings: Settings, ports: Ports, book: Book) -> None:
        self.settings = settings
        self.ports = ports
        self.book = book
        self._duplicates = Duplicates(settings, ports)
        self.shelf = Shelf(settings, ports.records, book)
        self._quotas = Quotas(settings, ports)
        self.catalogue = Catalogue(settings, ports, book, self.shelf)
        self._queue_looked_at = float("-inf")
        self._queue_full = False

    # --- 1. the client asks ---------------------------------------------------------------------------

    def request_batch(self, owner: str, requests: Sequence[UploadRequest]) -> Batch:
        """Create the jobs of many uploads, all with one recipe and in one go.

        Raise what `request_upload` raises, naming the file.
        """
        self._refuse_overload()
        for number, request in enumerate(requests):
            try:
                refuse(request, self.settings.max_bytes)
            except SafelightError as error:
                raise type(error)(f"files[{number}]: {error.message}") from None
        recipe = self.catalogue.publish(owner, requests[0].recipe)
        now = self.ports.clock()
        batch = Batch(id=new_id(), owner=owner, created_at=now, job_ids=tuple(new_id() for _ in requests))
        sizes = [self.settings.max_bytes if request.size is None else request.size for request in requests]
        self._quotas.take(owner, batch.job_ids, sum(sizes))
        jobs = [
            new_job(
                job_id, owner, request, recipe, now, InBatch(id=batch.id, number=number, size=len(requests))
            )
            for number, (job_id, request) in enumerate(zip(batch.job_ids, requests, strict=True))
        ]
        # The batch last: whoever can name it finds it whole. What a crash leaves of it nobody knows, and it expires.
        self.ports.jobs.create_all(jobs)
        faults.reached("batch.jobs")
        keep = now + self.settings.retention_seconds + BATCH_KEPT
        self.ports.records.put(BATCHES, batch.id, msgspec.json.encode(batch), expires_at=keep)
        return batch

    def describe_batch(self, owner: str | None, batch_id: str) -> Batch:
        """The batch. Raise BatchNotFound, also for another's batch; None is an owner who may see all."""
        record = self.ports.records.get(BATCHES, batch_id)
        if record is None:
            raise BatchNotFound
        batch = from_json(record.value, Batch)
        if owner not in (None, batch.owner):
            raise BatchNotFound
        return batch

    def request_upload(self, owner: str, request: UploadRequest) -> Job:
        """Create the job of an upload; `upload_link` gives its URL.

        With `dedupe` and a SHA-256, a COMPLETED job of the owner that made the same of the same bytes is returned
        instead, if there is one: then nothing has to be sent.
        Raise Overloaded, QuotaUsedUp, TooLarge for a declared size over the limit, UnknownRecipe, RecipeInvalid,
        MultipartNeedsSize, ConflictingFields, InvalidRequest.
        """
        self._refuse_overload()
        refuse(request, self.settings.max_bytes)
        recipe = self.catalogue.publish(owner, request.recipe)
        if request.dedupe and request.sha256:
            earlier = self._duplicates.find(owner, request.sha256.lower(), recipe)
            if earlier is not None and not self.was_deleted(earlier):
                return earlier
        now = self.ports.clock()
        job_id = new_id()
        self._quotas.take(owner, (job_id,), self.settings.max_bytes if request.size is None else request.size)
        job = new_job(job_id, owner, request, recipe, now)
        self.ports.jobs.create(job)
        faults.reached("upload.requested")
        return job

    def upload_link(self, job: Job) -> UploadLink:
        """A newly signed URL for the job's upload, bound to whatever the client declared."""
        upload = job.upload
        return self.ports.links.upload(
            UploadGrant(
                key=upload.key,
                expires_in=self.settings.upload_seconds,
                max_bytes=self.settings.max_bytes,
                method=upload.method,
                content_type=upload.content_type,
                size=upload.size,
                sha256=upload.sha256,
                crc32=upload.crc32,
                overwrite=upload.overwrite,
            )
        )

    # --- 2. storage says that the file is there -------------------------------------------------------

    def dispatch(self, key: str, version: str, size: int) -> Job | None:
        """An object was created: pin its version on the job, then wake a worker. None if it is no job's upload.

        A repeated or late event finds the work done. If the wake-up is lost, the sweeper sends another. The first
        version that is told of is the job's; others are dropped, or a URL could fill the storage while it holds.
        """
        job_id = job_id_of(key)
        if job_id is None:
            return None
        now = self.ports.clock()

        def received(job: Job) -> Job:
            if job.upload.key != key:
                return job
            source = Source(key=key, version=version, bytes=size)
            return job.received(source, now=now, due_at=now + WAKE_AGAIN_AFTER)

        try:
            with self.ports.together():
                job = self.ports.jobs.update(job_id, received)
                faults.reached("dispatch.received")
                if job.state is JobState.PENDING and job.source and job.source.version == version:
                    self.wake(job)
        except JobNotFound:
            self._drop_upload_of_deleted(job_id)
            return None
        faults.reached("dispatch.sent")
        if job.upload.key == key and job.source is not None and job.source.version != version:
            self.ports.blobs.drop(key, version)
        return job

    # --- 3. a worker takes it -------------------------------------------------------------------------

    def process(self, wake: Wake, worker: Worker) -> float | None:
        """Carry a job from its claim to its end: claim, fetch, render, store, complete.

        Return None if the message is done with, or the seconds after which it has to be delivered again.
        """
        now = self.ports.clock()
        token = new_id()
        claim = Claim(token=token, worker=worker.name, until=now + self.settings.lease_seconds)
        try:
            job = self.ports.jobs.update(wake.job_id, lambda job: job.claimed(claim, now=now))
        except JobNotFound:
            return None
        if not job.held_by(token):
            return None  # it has ended, somebody works on it, or its next attempt has a message of its own
        faults.reached("job.claimed")
        with Heartbeat(self.ports, self.settings.lease_seconds, job, token, worker) as heartbeat:
            try:
                self._attempt(job, token, heartbeat, worker)
            except (ClaimLost, JobNotFound):
                log.info("claim lost", extra={"job": job.id})
                self._remove_attempt(job.id, token)
            except (FileError, SourceGone) as error:
                self._fail(job, token, error)
            except Exception as error:
                return self._release_or_fail(job, token, error, worker)
        return None

    def _attempt(self, job: Job, token: str, heartbeat: Heartbeat, worker: Worker) -> None:
        if job.attempt > self.settings.max_attempts:
            raise AttemptsUsedUp
        assert job.source is not None, "a claimable job has a source"
        self._refuse_by_size(job, job.source)
        recipe, public = self.catalogue.content(job.recipe)
        try:
            original = self.ports.blobs.open(job.source.key, job.source.version)
        except BlobNotFound:
            raise SourceGone from None
        with original:
            faults.reached("job.fetched")
            _refuse_by_crc32(job.upload, original)
            heartbeat.stage = Stage.RENDERING
            rendering = self.ports.renderer.render(original, job.source, recipe)
        worker.rendered()
        faults.reached("job.rendered")
        try:
            self._refuse_by_promise(job.upload, rendering.source)
            heartbeat.stage = Stage.STORING
            outputs = tuple(
                self._store(job, token, rendered, public=rendered.name in public)
                for rendered in rendering.outputs
            )
        finally:
            rendering.close()
        if job.upload.dedupe and rendering.source.sha256:
            self._duplicates.remember(job, rendering.source.sha256)
        faults.reached("job.stored")
        now = self.ports.clock()
        # What earlier attempts left is tidied soon; everything goes at the end of retention.
        keep = TIDY_AFTER if job.attempt > 1 else self.settings.retention_seconds
        self.ports.jobs.update(
            job.id,
            lambda job: job.completed(token, rendering.source, outputs, now=now, due_at=now + keep),
            known=heartbeat.job,
        )
        faults.reached("job.completed")
        log.info("completed", extra={"job": job.id, "seconds": round(now - job.updated_at, 3)})

    def _refuse_by_size(self, job: Job, source: Source) -> None:
        if source.bytes == 0:
            raise EmptyFile
        if source.bytes > self.settings.max_bytes:
            raise TooLarge(
                f"The file has {in_words(source.bytes)} and {in_words(self.settings.max_bytes)} are allowed; "
                "make it smaller and upload it again."
            )
        if job.upload.size is not None and source.bytes != job.upload.size:
            raise Truncated(
                f"{job.upload.size} bytes were declared and {source.bytes} arrived; upload it again."
            )

    def _refuse_by_promise(self, upload: Upload, found: Source) -> None:
        """What the client declared binds it: a file that turns out to be another is not the one it meant."""
        if upload.sha256 and found.sha256 not in (None, upload.sha256):
            raise ChecksumMismatch
        declared = (upload.content_type or "").partition(";")[0].strip().lower()
        declared = ALIASES.get(declared, declared)
        if declared.startswith("image/") and found.content_type not in (None, declared):
            raise TypeMismatch(
                f"{declared} was declared and the file is {found.content_type}; declare the type it really has."
            )

    def _store(self, job: Job, token: str, rendered: Rendered, *, public: bool) -> Output:
        key = output_key(job.id, token, rendered.name, rendered.extension, public=public)
        self.ports.blobs.put(key, rendered.file, content_type=rendered.content_type)
        faults.reached("job.output")
        return Output(
            name=rendered.name,
            key=key,
            content_type=rendered.content_type,
            width=rendered.width,
            height=rendered.height,
            bytes=rendered.bytes,
            sha256=rendered.sha256,
            frames=rendered.frames,
            primary=rendered.primary,
            placeholder=rendered.placeholder,
            public=public,
        )

    def _fail(self, job: Job, token: str, error: SafelightError) -> None:
        """The end without outputs, unless the claim is lost: then it is not ours to say."""
        now = self.ports.clock()
        failure = Failure(code=error.code, message=error.message)
        try:
            self.ports.jobs.update(
                job.id, lambda job: job.failed(token, failure, now=now, due_at=now + TIDY_AFTER)
            )
            faults.reached("job.failed")
            log.info("failed", extra={"job": job.id, "code": error.code})
        except (ClaimLost, JobNotFound):
            log.info("claim lost", extra={"job": job.id})
            self._remove_attempt(job.id, token)

    def _release_or_fail(self, job: Job, token: str, error: Exception, worker: Worker) -> float | None:
        """Nothing proves the file guilty: give the job back for another attempt, unless they are used up."""
        if worker.stopping():
            return self._release(job, token, None, 0.0)
        if not isinstance(error, AttemptError):
            log.error("unexpected error", extra={"job": job.id}, exc_info=error)
            error = AttemptError("Processing failed for a reason inside; the operator finds it in the logs.")
        log.warning("attempt failed", extra={"job": job.id, "attempt": job.attempt, "code": error.code})
        twice = (
            error.code in SUSPICIOUS and job.last_failure is not None and job.last_failure.code in SUSPICIOUS
        )
        if twice or job.attempt >= self.settings.max_attempts:
            self._fail(job, token, error)
            return None
        delay = retry_delay(job.attempt)
        return self._release(job, token, Failure(code=error.code, message=error.message), delay)

    def _release(self, job: Job, token: str, failure: Failure | None, delay: float) -> float | None:
        now = self.ports.clock()
        try:
            self.ports.jobs.update(
                job.id, lambda job: job.released(token, now=now, retry_at=now + delay, failure=failure)
            )
        except (ClaimLost, JobNotFound):
            self._remove_attempt(job.id, token)
            return None
        faults.reached("job.released")
        self._remove_attempt(job.id, token)
        return delay

    def _remove_attempt(self, job_id: str, token: str) -> None:
        """Remove what an attempt stored, unless it has won after all: a write whose answer was lost may count."""
        prefix = attempt_prefix(job_id, token)
        with suppress(JobNotFound):
            if any(output.key.startswith(prefix) for output in self.ports.jobs.get(job_id).outputs):
                return
        self.ports.blobs.delete(prefix)

    # --- 4. the client looks --------------------------------------------------------------------------

    def describe(self, owner: str, job_id: str) -> Job:
        """The job. Raise JobNotFound, also for another's job."""
        job = self.ports.jobs.get(job_id)
        if job.owner != owner:
            raise JobNotFound
        return job

    def download_links(self, job: Job) -> dict[str, str]:
        """A signed URL for each output of a COMPLETED job, by the output's name."""
        name = job.upload.filename.rpartition("/")[2]
        stem = (name.rpartition(".")[0] or name).strip(".") or "image"
        return {
            output.name: self.ports.links.download(
                output.key,
                filename=f"{stem}{'' if output.primary else '-' + output.name}.{output.key.rpartition('.')[2]}",
                content_type=output.content_type,
            )
            for output in job.outputs
        }

    def list_jobs(
        self, owner: str, *, state: JobState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Job]:
        """The owner's jobs, newest first. Raise InvalidRequest for a cursor that is not one of ours."""
        return self.ports.jobs.list(owner, state=state, cursor=cursor, limit=limit)

    # --- 5. what else a client may do -----------------------------------------------------------------

    def render_again(self, owner: str, job_id: str, recipe: RecipeChoice = None) -> Job:
        """A new job on the kept original of an earlier one. Raise SourceGone if it is not kept any more."""
        self._refuse_overload()
        earlier = self.describe(owner, job_id)
        reference = self.catalogue.publish(owner, recipe)
        source = earlier.source
        if source is None or self.ports.blobs.head(source.key, source.version) is None:
            raise SourceGone
        now = self.ports.clock()
        new = new_id()
        self._quotas.take(owner, (new,), 0)
        job = Job(
            id=new,
            owner=owner,
            state=JobState.PENDING,
            stage=Stage.QUEUED,
            created_at=now,
            updated_at=now,
            due_at=now + WAKE_AGAIN_AFTER,
            upload=earlier.upload,
            source=source,
            recipe=reference,
            metadata=earlier.metadata,
            rendered_from=earlier.id,
            timeline=(Moment(at=now, state=JobState.PENDING),),
        )
        self.ports.jobs.create(job)
        self.wake(job)
        return job

    def cancel(self, owner: str, job_id: str) -> Job:
        """No result is wanted any more. Canceling twice is the same; raise NotAllowedNow after another end."""
        self.describe(owner, job_id)
        now = self.ports.clock()
        return self.ports.jobs.update(job_id, lambda job: job.canceled(now=now, due_at=now + TIDY_AFTER))

    def retry(self, owner: str, job_id: str) -> Job:
        """Start a FAILED or CANCELED job again. A job on its way stays so; raise NotAllowedNow otherwise."""
        self.describe(owner, job_id)
        now = self.ports.clock()
        job = self.ports.jobs.update(job_id, lambda job: job.retried(now=now, due_at=now + WAKE_AGAIN_AFTER))
        if job.stage is Stage.QUEUED:
            self.wake(job)
        elif job.stage is Stage.AWAITING_UPLOAD and (found := self.ports.blobs.head(job.upload.key)):
            # It landed while the job was canceled, and its event will not come again.
            return self.dispatch(found.key, found.version, found.bytes) or job
        return job

    def delete(self, owner: str, job_id: str) -> None:
        """Erase the record, the original and all outputs, every version. Deleting twice is the same."""
        try:
            job = self.describe(owner, job_id)
        except JobNotFound:
            gone = self.ports.records.get(DELETED, job_id)
            if gone is not None and gone.value == owner.encode():
                self._erase_files(job_id)  # the first time may have been cut off before it came to them
                return
            raise
        now = self.ports.clock()
        window = self.settings.upload_seconds + self.settings.upload_grace_seconds
        known_until = now + max(DELETED_KEPT, window)
        self.ports.records.put(DELETED, job_id, owner.encode(), expires_at=known_until)
        with suppress(JobNotFound):
            # Whatever is cut off from here on, the sweeper finishes.
            job = self.ports.jobs.update(job_id, lambda job: job.looked_at(due_at=now))
        self.erase(job)

    def was_deleted(self, job: Job) -> bool:
        """Whether the owner has deleted this job, though its record is still there."""
        return self.ports.records.get(DELETED, job.id) is not None

    def erase(self, *jobs: Job) -> None:
        """Remove jobs and all that belongs to them. A worker that still has one finds its claim lost."""
        for job in jobs:
            if not job.state.terminal:
                self._end_before_erasing(job)
        # While the record is there, whoever is cut off can begin again: so the files go before it. They go once more
        # after it, when no worker can complete the job and name what was stored meanwhile.
        ids = [job.id for job in jobs]
        self._erase_files(*ids)
        faults.reached("erase.files")
        with self.ports.together():
            for job_id in ids:
                self.ports.jobs.delete(job_id)
        faults.reached("erase.record")
        self._erase_files(*ids)

    def _end_before_erasing(self, job: Job) -> None:
        """Somebody may wait for its end, a batch above all: it comes to one before it is gone."""
        now = self.ports.clock()
        with suppress(JobNotFound):
            self.ports.jobs.update(
                job.id, lambda job: job if job.state.terminal else job.canceled(now=now, due_at=now)
            )
        faults.reached("erase.ended")

    def _erase_files(self, *job_ids: str) -> None:
        folders = (f"processed/uploads/{job_id}/" for job_id in job_ids)
        self.ports.blobs.delete(*folders, *(f"uploads/{job_id}/" for job_id in job_ids))

    def health(self) -> dict[str, bool]:
        """Which parts answer."""
        nobody = "00000000-0000-0000-0000-000000000000"
        return {
            "jobs": _answers(lambda: self.ports.jobs.get(nobody)),
            "records": _answers(lambda: self.ports.records.get(RECIPES, nobody)),
            "queue": _answers(self.ports.queue.depth),
            "storage": _answers(lambda: self.ports.blobs.head(f"uploads/{nobody}/nothing")),
        }

    # --- shared -------------------------------------------------------------------------------------------

    def wake(self, job: Job) -> None:
        """Send the message that makes a worker look at the job."""
        assert job.source is not None
        self.ports.queue.send(Wake(job_id=job.id, key=job.source.key, group=job.owner))

    def _refuse_overload(self) -> None:
        now = self.ports.clock()
        if now - self._queue_looked_at >= LOOK_AT_QUEUE_EVERY:
            self._queue_looked_at = now
            self._queue_full = self.ports.queue.depth() >= self.settings.max_queue
        if self._queue_full:
            raise Overloaded

    def _drop_upload_of_deleted(self, job_id: str) -> None:
        # An upload that lands after its job was deleted must go too. Anything else that is no job's is not ours.
        if self.ports.records.get(DELETED, job_id) is not None:
            self.ports.blobs.delete(f"uploads/{job_id}/")


def _refuse_by_crc32(upload: Upload, original: IO[bytes]) -> None:
    """A SHA-256 is worked out with the rendering anyway. What came in parts no storage has checked as a whole."""
    if upload.crc32 is None:
        return
    found = 0
    while piece := original.read(CHECKED_AT_ONCE):
        found = zlib.crc32(piece, found)
    original.seek(0)
    if found != int(upload.crc32, 16):
        raise ChecksumMismatch


CHECKED_AT_ONCE: Final = 2**20


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except JobNotFound:
        return True
    except StorageUnavailable as error:
        log.warning("a part does not answer: %s", error)
        return False
    return True


def attempt_prefix(job_id: str, token: str) -> str:
    """Where one attempt keeps its outputs."""
    return f"processed/uploads/{job_id}/{token}/"


def retry_delay(attempt: int) -> float:
    """Seconds until the next attempt: 5, 20, 80, 320, each ± 20 % so that jobs that fell together rise apart."""
    return 5.0 * 4.0 ** (attempt - 1) * random.uniform(0.8, 1.2)
