"""What clients get: a job and its upload as JSON. The six fields of the first contract are always there."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from safelight.dead_letters import Case, Redriven
from safelight.decoding import converted
from safelight.model import Job, JobState, Stage, timestamp
from safelight.multipart import Parts, count_of
from safelight.ports import LINKS_SIGNED_EVERY, Page, UploadLink
from safelight.service import Service

Time = Annotated[
    str,
    Meta(
        description="UTC, with microseconds.",
        extra_json_schema={"format": "date-time", "examples": ["2026-01-31T12:00:00.000000Z"]},
    ),
]


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an answer."""


class RecipeRefView(View, frozen=True):
    """The recipe of a job: its name at the time, and the digest that fixes its content."""

    name: str
    digest: str


class ErrorView(View, frozen=True):
    """Why a job failed: a stable code and a sentence for a person."""

    code: str
    message: str


class SourceView(View, frozen=True):
    """The original. What was not read of it yet is null."""

    filename: str
    content_type: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    bytes: int | None = None
    sha256: str | None = None


class CameraView(View, frozen=True):
    """What a photo was taken with."""

    make: str | None
    model: str | None
    lens: str | None
    exposure_seconds: float | None
    aperture: Annotated[float | None, Meta(description="The f-number.")]
    iso: int | None
    focal_length: Annotated[float | None, Meta(description="In millimetres.")]


class PlaceView(View, frozen=True):
    """Where a photo was taken: degrees, north and east above 0."""

    latitude: float
    longitude: float
    altitude: Annotated[float | None, Meta(description="Metres above the sea.")]


class OriginalView(View, frozen=True):
    """What the recipe had read of the original (`metadata.read`). What it did not ask for, or is not there, is null."""

    orientation: Annotated[int | None, Meta(description="How it was stored, as EXIF numbers it: 1 to 8.")]
    taken_at: Annotated[
        str | None, Meta(description="The camera's clock, with its offset from UTC if it told that.")
    ]
    camera: CameraView | None
    artist: str | None
    copyright: str | None
    gps: PlaceView | None
    colors: Annotated[tuple[str, ...] | None, Meta(description="The commonest first, such as #204080.")]
    placeholder: Annotated[str | None, Meta(description="A BlurHash.")]
    phash: Annotated[
        str | None, Meta(description="64 bits in hexadecimal: few differ between pictures that look alike.")
    ]
    sharpness: Annotated[float | None, Meta(description="Below about 5, a photo looks blurred.")]


class OutputView(View, frozen=True):
    """One finished rendition, with a signed URL to download it from for at least an hour."""

    name: str
    url: str
    content_type: str
    width: int
    height: int
    frames: int
    bytes: int
    sha256: str
    primary: Annotated[bool, Meta(description="Whether `downloadUrl` is this one.")]
    placeholder: Annotated[
        str | None, Meta(description="A BlurHash of the original, to show while the picture loads.")
    ]
    public_url: Annotated[
        str | None,
        Meta(
            description="Where everybody gets it, without a signature and for as long as the job is kept; null unless "
            "the recipe says `delivery: public`."
        ),
    ]


class MomentView(View, frozen=True):
    """An entry of a job's timeline."""

    at: Time
    status: JobState
    attempt: int
    code: Annotated[str | None, Meta(description="What the attempt failed with.")]


class JobView(View, frozen=True):
    """A job: one upload and what becomes of it."""

    job_id: Annotated[str, Meta(examples=["0d5c0b52-6f5e-4d0e-9d3e-3f2f0b5a7c11"])]
    status: JobState
    created_at: Time
    updated_at: Time
    download_url: Annotated[str | None, Meta(description="Where the primary output is, once COMPLETED.")]
    error_message: Annotated[str | None, Meta(description="Why the job FAILED.")]
    stage: Annotated[Stage, Meta(description="The status, finer.")]
    progress: Annotated[float, Meta(description="How far the job is: an estimate by stage.", ge=0, le=1)]
    attempt: Annotated[int, Meta(description="How often the job was tried.", ge=0)]
    recipe: RecipeRefView
    error: ErrorView | None
    source: SourceView
    original: Annotated[OriginalView | None, Meta(description="What the recipe had read of the original.")]
    outputs: tuple[OutputView, ...]
    metadata: dict[str, str]
    timeline: Annotated[tuple[MomentView, ...], Meta(description="The newest 50 changes, oldest first.")]
    rendered_from: Annotated[str | None, Meta(description="The job whose original this one renders again.")]
    expires_at: Annotated[
        Time | UnsetType, Meta(description="When an ended job and its files will be erased.")
    ] = UNSET
    batch_id: Annotated[str | UnsetType, Meta(description="The batch that it was asked for with.")] = UNSET


class JobsView(View, frozen=True):
    """A part of the caller's jobs, newest first."""

    items: tuple[JobView, ...]
    next_cursor: Annotated[
        str | None, Meta(description="Asks for the next part as `cursor`; null at the end.")
    ]


class MultipartView(View, frozen=True):
    """How to cut the file: into `parts` parts of `partSize` bytes, the last one of what is left."""

    part_size: int
    parts: int


class PartLinkView(View, frozen=True):
    """Where to PUT one part."""

    part_number: int
    url: Annotated[str, Meta(description="Signed: for exactly the bytes of this part.")]
    headers: Annotated[
        dict[str, str], Meta(description="Headers to send exactly so, because they are signed.")
    ]


class UploadedPartView(View, frozen=True):
    """A part that has arrived."""

    part_number: int
    size: int
    etag: str


class PartsView(View, frozen=True):
    """A page of the parts of a file: where each goes, and which of them have arrived."""

    part_size: int
    parts: tuple[PartLinkView, ...]
    uploaded: Annotated[
        tuple[UploadedPartView, ...], Meta(description="Those of this page that have arrived.")
    ]
    next: Annotated[int | None, Meta(description="Asks for the next page as `from`; null at the end.")]
    expires_in: Annotated[int, Meta(description="How many seconds the URLs are good for.", examples=[300])]


class UploadView(View, frozen=True):
    """Where and how to send the file, and where to look for the job."""

    job_id: Annotated[str, Meta(examples=["0d5c0b52-6f5e-4d0e-9d3e-3f2f0b5a7c11"])]
    upload_url: Annotated[
        str | None,
        Meta(
            description="Signed: whoever has it may upload. Null if nothing needs to be sent: `dedupe` was asked "
            "for, and the job, which has been COMPLETED, is of the same bytes."
        ),
    ]
    expires_in: Annotated[int, Meta(description="How many seconds `uploadUrl` is good for.", examples=[300])]
    upload_method: Annotated[str, Meta(description="PUT, or POST for a form.", examples=["PUT"])]
    upload_headers: Annotated[
        dict[str, str], Meta(description="PUT: headers to send exactly so, because they are signed.")
    ]
    upload_fields: Annotated[
        dict[str, str], Meta(description="POST: form fields to send before the field `file`.")
    ]
    status_url: Annotated[str, Meta(description="GET it for the job.")]
    multipart: Annotated[
        MultipartView | UnsetType,
        Meta(description="With `multipart: true`: GET /uploads/{jobId}/parts says where each part goes."),
    ] = UNSET


class BatchMadeView(View, frozen=True):
    """A new batch: where to send each of its files, in their order."""

    batch_id: Annotated[str, Meta(examples=["0d5c0b52-6f5e-4d0e-9d3e-3f2f0b5a7c11"])]
    status_url: Annotated[str, Meta(description="GET it for the batch.")]
    jobs: tuple[UploadView, ...]


class BatchView(View, frozen=True):
    """How a batch stands, and a part of its jobs in the order of their files."""

    batch_id: Annotated[str, Meta(examples=["0d5c0b52-6f5e-4d0e-9d3e-3f2f0b5a7c11"])]
    created_at: Time
    total: Annotated[int, Meta(description="How many files it was made for.")]
    counts: Annotated[dict[JobState, int], Meta(description="How many jobs are in each state.")]
    deleted: Annotated[int, Meta(description="How many jobs were erased; they count as ended.")]
    done: Annotated[bool, Meta(description="Whether every job has ended.")]
    items: tuple[JobView, ...]
    next_cursor: Annotated[
        str | None, Meta(description="Asks for the next part as `cursor`; null at the end.")
    ]


class RecipeView(View, frozen=True):
    """A recipe that requests may name."""

    name: str
    digest: Annotated[str, Meta(description="Fixes the content: equal digests are equal recipes.")]
    recipe: Annotated[dict[str, Any], Meta(description="The recipe, with every default written out.")]
    own: Annotated[bool, Meta(description="Whether it is the caller's own, and not the operator's.")]


class RecipesView(View, frozen=True):
    """All recipes that requests may name."""

    items: tuple[RecipeView, ...]
    default: Annotated[str, Meta(description="The recipe of requests that name none.")]


class QueueView(View, frozen=True):
    """What waits."""

    depth: Annotated[int, Meta(description="About how many messages wait or are in a worker's hands.")]
    oldest_age_seconds: Annotated[
        float | None,
        Meta(
            description="For how long the oldest could have been taken; null where the queue does not tell."
        ),
    ]


class WorkerView(View, frozen=True):
    """A worker that has a job."""

    name: str
    job_id: str
    since: Annotated[Time, Meta(description="When it took the job.")]


class CountView(View, frozen=True):
    """How many there are."""

    count: int


class TroubleView(View, frozen=True):
    """A job that FAILED. It may be gone meanwhile."""

    job_id: str
    at: Time
    code: str
    message: str


class TroublesView(View, frozen=True):
    """Jobs that FAILED."""

    recent: Annotated[tuple[TroubleView, ...], Meta(description="The newest first.")]


class MinuteView(View, frozen=True):
    """How many jobs ended in a minute."""

    minute: Annotated[Time, Meta(description="When the minute began.")]
    completed: int
    failed: int


class OpsView(View, frozen=True):
    """How this Safelight is doing."""

    queue: QueueView
    workers: Annotated[
        tuple[WorkerView, ...], Meta(description="Those that have a job; idle ones say nothing.")
    ]
    jobs: Annotated[
        dict[JobState, int],
        Meta(
            description="How many jobs are in each state. On AWS, the messages that wait and that are worked on, and "
            "how many jobs ever came to each end."
        ),
    ]
    dead_letters: CountView
    failures: TroublesView
    throughput: Annotated[
        tuple[MinuteView, ...],
        Meta(description="The minutes of the last hour in which jobs ended, oldest first."),
    ]


class DeadLetterView(View, frozen=True):
    """A message that the queue gave up on, and the job that it was about."""

    job_id: Annotated[str, Meta(description="The job's id, or a name for what is no job's message.")]
    died_at: Time
    received: Annotated[int, Meta(description="How often it was handed out.")]
    reason: Annotated[str, Meta(description="Why, as well as is known.")]
    status: Annotated[JobState | None, Meta(description="The job's state; null if it is gone.")]
    owner: str | None


class DeadLettersView(View, frozen=True):
    """A part of the dead letters."""

    items: tuple[DeadLetterView, ...]
    next_cursor: Annotated[
        str | None, Meta(description="Asks for the next part as `cursor`; null at the end.")
    ]


class RedrivenView(View, frozen=True):
    """What was done about dead letters."""

    redriven: Annotated[
        dict[str, Redriven],
        Meta(
            description="By job: `sent` again; `retried`, because the job had FAILED; `over`, because the job needs "
            "nothing any more; `kept`, because it is no job's message."
        ),
    ]


class AboutView(View, frozen=True):
    """What answers here, and where to read on."""

    name: Annotated[str, Meta(description="`Safelight`.")]
    version: Annotated[str, Meta(description="The version of Safelight.")]
    about: Annotated[str, Meta(description="What to do first, in a sentence.")]
    openapi: Annotated[str, Meta(description="Where this API is described, for programs.")]
    docs: Annotated[str, Meta(description="Where it is described for people: a page in Safelight's source.")]


class HealthView(View, frozen=True):
    """Which parts answer."""

    status: Annotated[str, Meta(description="`ok`, or `failing` if a part does not answer.")]
    parts: Annotated[dict[str, str], Meta(description="Each part: `ok` or `does not answer`.")]


def view_job(service: Service, job: Job) -> JobView:
    """A job as its owner sees it, with newly signed URLs."""
    urls = service.download_links(job) if job.outputs else {}
    outputs = tuple(
        OutputView(
            name=output.name,
            url=urls[output.name],
            content_type=output.content_type,
            width=output.width,
            height=output.height,
            frames=output.frames,
            bytes=output.bytes,
            sha256=output.sha256,
            primary=output.primary,
            placeholder=output.placeholder,
            public_url=service.ports.links.public(output.key),
        )
        for output in job.outputs
    )
    primary = next((output for output in outputs if output.primary), outputs[0] if outputs else None)
    failure = job.failure
    return JobView(
        job_id=job.id,
        status=job.state,
        created_at=timestamp(job.created_at),
        updated_at=timestamp(job.updated_at),
        download_url=primary.url if primary else None,
        error_message=failure.message if failure else None,
        stage=job.stage,
        progress=job.stage.progress,
        attempt=job.attempt,
        recipe=RecipeRefView(name=job.recipe.name, digest=job.recipe.digest),
        error=ErrorView(code=failure.code, message=failure.message) if failure else None,
        source=_view_source(job),
        original=_view_original(job),
        outputs=outputs,
        metadata=job.metadata,
        timeline=tuple(
            MomentView(at=timestamp(moment.at), status=moment.state, attempt=moment.attempt, code=moment.code)
            for moment in job.timeline
        ),
        batch_id=job.batch.id if job.batch else UNSET,
        rendered_from=job.rendered_from,
        expires_at=timestamp(job.updated_at + service.settings.retention_seconds)
        if job.state.terminal
        else UNSET,
    )


def _view_original(job: Job) -> OriginalView | None:
    facts = job.source.facts if job.source else None
    return None if facts is None else converted(facts, OriginalView, from_attributes=True)


def _view_source(job: Job) -> SourceView:
    source = job.source
    if source is None:
        return SourceView(filename=job.upload.filename)
    return SourceView(
        filename=job.upload.filename,
        content_type=source.content_type,
        format=source.format,
        width=source.width,
        height=source.height,
        frames=source.frames,
        bytes=source.bytes,
        sha256=source.sha256,
    )


def view_upload(service: Service, job: Job, link: UploadLink | None, status_url: str) -> UploadView:
    """How to send the file of a job; without a link, that it needs none."""
    if link is None:
        return UploadView(
            job_id=job.id,
            upload_url=None,
            expires_in=0,
            upload_method=job.upload.method,
            upload_headers={},
            upload_fields={},
            status_url=status_url,
        )
    return UploadView(
        job_id=job.id,
        upload_url=link.url,
        expires_in=service.settings.upload_seconds,
        upload_method=link.method,
        upload_headers=link.headers,
        upload_fields=link.fields,
        status_url=status_url,
        multipart=MultipartView(part_size=job.upload.multipart.part_size, parts=count_of(job))
        if job.upload.multipart
        else UNSET,
    )


def view_parts(service: Service, page: Parts) -> PartsView:
    """A page of parts."""
    return PartsView(
        part_size=page.part_size,
        parts=tuple(
            PartLinkView(part_number=number, url=link.url, headers=link.headers)
            for number, link in page.links.items()
        ),
        uploaded=tuple(
            UploadedPartView(part_number=part.number, size=part.bytes, etag=part.etag)
            for part in page.uploaded
        ),
        next=page.next,
        expires_in=service.settings.upload_seconds,
    )


def etag(job: Job, now: float) -> str:
    """Changes with the job, and for a job with download URLs whenever they are signed anew: so a client that is told
    "not modified" holds URLs that still work. Weak: it stands for what the job is, not for bytes."""
    window = f".{int(now // LINKS_SIGNED_EVERY)}" if job.state is JobState.COMPLETED else ""
    return f'W/"{job.revision}{window}"'


THROUGHPUT_SHOWN: Final = 3600.0
"""Seconds of throughput that an operator is shown."""


def view_ops(service: Service) -> OpsView:
    """How this Safelight is doing."""
    watch = service.ports.watch
    backlog, counts = watch.backlog(), watch.counts()
    return OpsView(
        queue=QueueView(depth=backlog.depth, oldest_age_seconds=backlog.oldest_age),
        workers=tuple(
            WorkerView(name=job.claim.worker, job_id=job.id, since=timestamp(_taken(job)))
            for job in watch.working()
            if job.claim is not None
        ),
        jobs={state: counts.get(state, 0) for state in JobState},
        dead_letters=CountView(count=backlog.dead),
        failures=TroublesView(
            recent=tuple(
                TroubleView(job_id=one.job_id, at=timestamp(one.at), code=one.code, message=one.message)
                for one in watch.failures()
            )
        ),
        throughput=tuple(
            MinuteView(minute=timestamp(one.at), completed=one.completed, failed=one.failed)
            for one in watch.minutes(service.ports.clock() - THROUGHPUT_SHOWN)
        ),
    )


def _taken(job: Job) -> float:
    """When the attempt that is under way began."""
    began = (moment.at for moment in reversed(job.timeline) if moment.state is JobState.PROCESSING)
    return next(began, job.updated_at)


def view_dead_letters(page: Page[Case]) -> DeadLettersView:
    """A part of the dead letters."""
    return DeadLettersView(
        items=tuple(
            DeadLetterView(
                job_id=case.letter.wake.job_id,
                died_at=timestamp(case.letter.died_at),
                received=case.letter.received,
                reason=case.reason,
                status=case.job.state if case.job else None,
                owner=case.job.owner if case.job else None,
            )
            for case in page.items
        ),
        next_cursor=page.cursor,
    )
