"""What the pipeline is about: a job and its life. Frozen values and pure functions; no I/O.

Times are Unix seconds (UTC), as `time.time()` gives them. Sizes are bytes, lengths are pixels.

A job's life:

    PENDING ──claimed──▶ PROCESSING ──completed──▶ COMPLETED
       │                   │  └──failed──▶ FAILED
       │                   └──claim ran out or released──▶ claimed again, attempt + 1
       ├──expired──▶ EXPIRED ──received──▶ PENDING
       └──canceled (also from PROCESSING)──▶ CANCELED          retried: FAILED, CANCELED ──▶ PENDING

Every transition is a method of `Job` that returns the next `Job`. A transition that finds its work already done
returns the job itself, so that a second run changes nothing; one that may not happen raises.
"""

import re
import unicodedata
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from urllib.parse import quote

import msgspec

from safelight.errors import ClaimLost, NotAllowedNow

SECOND: Final = 1.0
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0


class JobState(StrEnum):
    """Where a job stands, as its client sees it."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (JobState.PENDING, JobState.PROCESSING)


class Stage(StrEnum):
    """The same, finer: what the job waits for or what is being done."""

    AWAITING_UPLOAD = "awaiting_upload"
    QUEUED = "queued"
    FETCHING = "fetching"
    RENDERING = "rendering"
    STORING = "storing"
    DONE = "done"

    @property
    def progress(self) -> float:
        """How far the job is, from 0 to 1: an estimate by stage."""
        return _PROGRESS[self]


_PROGRESS: Final = {
    Stage.AWAITING_UPLOAD: 0.0,
    Stage.QUEUED: 0.1,
    Stage.FETCHING: 0.2,
    Stage.RENDERING: 0.4,
    Stage.STORING: 0.9,
    Stage.DONE: 1.0,
}

TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.PENDING: frozenset({JobState.PROCESSING, JobState.EXPIRED, JobState.CANCELED, JobState.FAILED}),
    JobState.PROCESSING: frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED}),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset({JobState.PENDING}),
    JobState.EXPIRED: frozenset({JobState.PENDING}),
    JobState.CANCELED: frozenset({JobState.PENDING}),
}
"""The legal changes of state. PENDING → FAILED happens when the attempts are used up before anyone could claim."""


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen record, equal by its fields."""


class Multipart(Value, frozen=True):
    """How a file comes in parts: all of `part_size` bytes but the last one, numbered from 1."""

    part_size: int
    id: str | None = None
    """What the storage calls the parts that are under way; None until the client asks for the first."""
    begun_at: float = 0.0


class Upload(Value, frozen=True):
    """What the client declared when it asked for the upload; `None` where it declared nothing."""

    filename: str
    """The name as given: for Content-Disposition only, never part of a path."""
    key: str
    """Where the original is expected: `uploads/{jobId}/{safe name}`."""
    method: Literal["PUT", "POST"] = "PUT"
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    """Lower-case hexadecimal."""
    crc32: str | None = None
    """Lower-case hexadecimal, eight digits."""
    overwrite: bool = True
    multipart: Multipart | None = None
    dedupe: bool = False
    """Whether a job that made the same of the same bytes before may stand for this one."""


class RecipeRef(Value, frozen=True):
    """The recipe a job runs: its name at the time, and the digest that fixes its content."""

    name: str
    digest: str


Text = Annotated[str, msgspec.Meta(max_length=200)]
Colours = Annotated[
    tuple[Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-f]{6}$")], ...], msgspec.Meta(max_length=5)
]


class Camera(Value, frozen=True):
    """What a photo was taken with. The exposure is in seconds, the focal length in millimetres."""

    make: Text | None = None
    model: Text | None = None
    lens: Text | None = None
    exposure_seconds: float | None = None
    aperture: float | None = None
    iso: int | None = None
    focal_length: float | None = None


class Place(Value, frozen=True):
    """Where a photo was taken: degrees, north and east above 0, and metres above the sea."""

    latitude: float
    longitude: float
    altitude: float | None = None


class Facts(Value, frozen=True):
    """What a recipe asked to be read of an original. What was not asked for, or is not there, is None."""

    orientation: Annotated[int, msgspec.Meta(ge=1, le=8)] | None = None
    taken_at: Annotated[str, msgspec.Meta(max_length=25)] | None = None
    """The camera's clock, ISO 8601; with its offset from UTC if it told that."""
    camera: Camera | None = None
    artist: Text | None = None
    copyright: Text | None = None
    gps: Place | None = None
    colors: Colours | None = None
    """The commonest first, as CSS writes them."""
    placeholder: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    """A BlurHash."""
    phash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")] | None = None
    """64 bits of which few differ between pictures that look alike."""
    sharpness: float | None = None
    """How much light changes from pixel to pixel: below about 5, a photo looks blurred."""

    def chosen(self, names: Sequence[str]) -> Self:
        """Of what a file said, the parts that have these names in recipes."""
        fields = {
            "exif": ("orientation", "taken_at", "camera"),
            "copyright": ("artist", "copyright"),
            "gps": ("gps",),
        }
        chosen = {field for name in names for field in fields.get(name, ())}
        return type(self)(**{field: getattr(self, field) for field in chosen})


class Source(Value, frozen=True):
    """The original that a job works on: one version of one object, and what was read of it."""

    key: str
    version: str
    bytes: int
    content_type: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    sha256: str | None = None
    facts: Facts | None = None


class Output(Value, frozen=True):
    """One finished rendition. Width and height are as displayed."""

    name: str
    key: str
    content_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    frames: int = 1
    primary: bool = False
    placeholder: str | None = None
    public: bool = False
    """Whether everybody may have it who knows its address."""


class Failure(Value, frozen=True):
    """Why a job failed: a stable code and a sentence for a person."""

    code: str
    message: str


class InBatch(Value, frozen=True):
    """Which batch a job belongs to, and as which of how many. `number` counts from 0."""

    id: str
    number: int
    size: int


class Claim(Value, frozen=True):
    """The right of one worker to write to a job until a moment. The token fences every write of the attempt."""

    token: str
    worker: str
    until: float


class Moment(Value, frozen=True):
    """An entry of a job's timeline."""

    at: float
    state: JobState
    attempt: int = 0
    code: str | None = None


class Job(Value, frozen=True):
    """One upload and what becomes of it.

    `revision` grows by one with every write and is the condition of the next. `due_at` is when the sweeper has to
    look at the job again: an upload that never came, a queue message that was lost, a claim that ran out, the end
    of retention. `retry_at` holds the next attempt back after a failed one.
    """

    id: str
    owner: str
    state: JobState
    stage: Stage
    created_at: float
    updated_at: float
    upload: Upload
    recipe: RecipeRef
    revision: int = 1
    due_at: float | None = None
    source: Source | None = None
    attempt: int = 0
    retry_at: float = 0.0
    claim: Claim | None = None
    outputs: tuple[Output, ...] = ()
    failure: Failure | None = None
    last_failure: Failure | None = None
    metadata: dict[str, str] = {}
    rendered_from: str | None = None
    batch: InBatch | None = None
    timeline: tuple[Moment, ...] = ()

    # --- questions ---

    def held_by(self, token: str) -> bool:
        """Whether the claim with this token is the live one."""
        return self.state is JobState.PROCESSING and self.claim is not None and self.claim.token == token

    def claimable(self, now: float) -> bool:
        """Whether a worker may start an attempt now."""
        if self.state is JobState.PENDING:
            return self.stage is Stage.QUEUED and self.retry_at <= now
        if self.state is JobState.PROCESSING:
            return self.claim.until <= now if self.claim else self.retry_at <= now
        return False

    # --- transitions, in the order of a job's life ---

    def received(self, source: Source, *, now: float, due_at: float) -> Self:
        """The upload arrived. Only the first version counts: a later overwrite finds that the job has its file. That of
        a job canceled before is kept for a retry, and the job stays as it is."""
        if self.state is JobState.EXPIRED or (
            self.state is JobState.PENDING and self.stage is Stage.AWAITING_UPLOAD
        ):
            return self._next(JobState.PENDING, Stage.QUEUED, now, due_at=due_at, source=source)
        if self.state is JobState.CANCELED and self.source is None:
            return msgspec.structs.replace(self, revision=self.revision + 1, source=source)
        return self

    def parts_asked(self, upload_id: str, *, instead_of: str | None, now: float) -> Self:
        """The client sends parts, which the storage knows by this name. If another name than `instead_of` is there by
        now, that one counts and the job is returned as it is. Raise NotAllowedNow if no file is waited for."""
        multipart = self.upload.multipart
        assert multipart is not None, "the upload is one in parts"
        if self.stage is not Stage.AWAITING_UPLOAD:
            raise NotAllowedNow(waits_for_no_file(self.state))
        if multipart.id not in (instead_of, upload_id):
            return self
        begun_at = multipart.begun_at if multipart.id == upload_id else now
        multipart = msgspec.structs.replace(multipart, id=upload_id, begun_at=begun_at)
        upload = msgspec.structs.replace(self.upload, multipart=multipart)
        return self._next(JobState.PENDING, Stage.AWAITING_UPLOAD, now, upload=upload)

    def parts_dropped(self, upload_id: str, *, now: float) -> Self:
        """The parts that the storage knows by this name are gone: the next that is asked for is the first."""
        multipart = self.upload.multipart
        if multipart is None or multipart.id != upload_id or self.stage is not Stage.AWAITING_UPLOAD:
            return self
        multipart = msgspec.structs.replace(multipart, id=None, begun_at=0.0)
        upload = msgspec.structs.replace(self.upload, multipart=multipart)
        return self._next(self.state, self.stage, now, upload=upload)

    def claimed(self, claim: Claim, *, now: float) -> Self:
        """A worker starts an attempt. If the job can not be claimed now, it is returned as it is."""
        if not self.claimable(now):
            return self
        return self._next(
            JobState.PROCESSING,
            Stage.FETCHING,
            now,
            due_at=claim.until,
            claim=claim,
            attempt=self.attempt + 1,
        )

    def extended(self, token: str, stage: Stage, *, now: float, until: float) -> Self:
        """The worker is alive and at this stage: its claim holds until then. Raise ClaimLost if it holds no more."""
        claim = self._held(token)
        return self._next(
            JobState.PROCESSING, stage, now, due_at=until, claim=msgspec.structs.replace(claim, until=until)
        )

    def released(self, token: str, *, now: float, retry_at: float, failure: Failure | None = None) -> Self:
        """The worker gives the job back, to be claimed again from `retry_at`.

        With a failure the attempt counts; without one it does not: the worker was asked to stop.
        """
        self._held(token)
        return self._next(
            JobState.PROCESSING,
            Stage.QUEUED,
            now,
            due_at=retry_at + MINUTE,
            claim=None,
            retry_at=retry_at,
            attempt=self.attempt if failure else self.attempt - 1,
            last_failure=failure or self.last_failure,
            code=failure.code if failure else None,
        )

    def completed(
        self, token: str, source: Source, outputs: tuple[Output, ...], *, now: float, due_at: float | None
    ) -> Self:
        """Every output is stored. Only this write names the winning keys. If it was written before and its answer
        lost, nothing changes. Raise ClaimLost if a newer claim exists."""
        if self.state is JobState.COMPLETED and self.outputs == outputs:  # keys are an attempt's own
            return self
        self._held(token)
        return self._next(
            JobState.COMPLETED,
            Stage.DONE,
            now,
            due_at=due_at,
            claim=None,
            source=source,
            outputs=outputs,
            last_failure=None,
        )

    def failed(self, token: str | None, failure: Failure, *, now: float, due_at: float | None) -> Self:
        """The end without outputs. Without a token (nobody holds the job) only a claimable job can fail."""
        if token is not None:
            self._held(token)
        elif not self.claimable(now):
            return self
        return self._next(
            JobState.FAILED, Stage.DONE, now, due_at=due_at, claim=None, failure=failure, code=failure.code
        )

    def looked_at(self, *, due_at: float | None) -> Self:
        """The sweeper did what there was to do; it looks again then. Nothing that a client sees has changed."""
        return msgspec.structs.replace(self, revision=self.revision + 1, due_at=due_at)

    def expired(self, *, now: float, due_at: float | None) -> Self:
        """The upload never came."""
        if self.state is not JobState.PENDING or self.stage is not Stage.AWAITING_UPLOAD:
            return self
        return self._next(JobState.EXPIRED, Stage.DONE, now, due_at=due_at)

    def canceled(self, *, now: float, due_at: float | None) -> Self:
        """The client wants no result. Raise NotAllowedNow if the job has ended in another way."""
        if self.state is JobState.CANCELED:
            return self
        if self.state.terminal:
            raise NotAllowedNow(f"The job is {self.state} and can not be canceled any more.")
        return self._next(JobState.CANCELED, Stage.DONE, now, due_at=due_at, claim=None)

    def retried(self, *, now: float, due_at: float) -> Self:
        """Start again from the original, or from waiting for it. Raise NotAllowedNow if there is nothing to retry."""
        if not self.state.terminal:
            return self
        if self.state not in (JobState.FAILED, JobState.CANCELED):
            raise NotAllowedNow(f"The job is {self.state}; only FAILED and CANCELED jobs can be retried.")
        stage = Stage.QUEUED if self.source else Stage.AWAITING_UPLOAD
        return self._next(
            JobState.PENDING,
            stage,
            now,
            due_at=due_at,
            attempt=0,
            retry_at=0.0,
            failure=None,
            last_failure=None,
            outputs=(),
        )

    def _held(self, token: str) -> Claim:
        if self.claim is None or not self.held_by(token):
            raise ClaimLost
        return self.claim

    def _next(
        self, state: JobState, stage: Stage, now: float, code: str | None = None, **changes: object
    ) -> Self:
        if state is not self.state and state not in TRANSITIONS[self.state]:
            raise NotAllowedNow(f"A job can not go from {self.state} to {state}.")
        # Clocks of several machines differ a little; a job's own time must not run backwards.
        now = max(now, self.updated_at)
        timeline = self.timeline
        if state is not self.state or code or changes.get("attempt", self.attempt) != self.attempt:
            attempt = changes.get("attempt", self.attempt)
            assert isinstance(attempt, int)
            timeline = (*timeline, Moment(at=now, state=state, attempt=attempt, code=code))[-MOMENTS_KEPT:]
        return msgspec.structs.replace(
            self,
            state=state,
            stage=stage,
            updated_at=now,
            revision=self.revision + 1,
            timeline=timeline,
            **changes,
        )


def waits_for_no_file(state: JobState) -> str:
    """Why parts are refused, and what to do."""
    if state is JobState.EXPIRED:
        return "The job is EXPIRED: its time for parts is over, and what was sent is dropped; ask for a new upload."
    return f"The job is {state} and waits for no file."


MOMENTS_KEPT: Final = 50
"""The newest entries that a timeline keeps, so that a job retried for ever stays small."""


class Notice(Value, frozen=True):
    """That a job reached a terminal state. Stored by the same write; one id per transition.

    Or that the last job of a batch did (`whole_batch`): then `job_id` is that job, and the id is the batch's own.
    """

    id: str
    job_id: str
    owner: str
    state: JobState
    at: float
    batch: InBatch | None = None
    whole_batch: bool = False

    @property
    def kind(self) -> str:
        """What happened, as receivers know it: `job.completed`, `job.failed`, `job.expired`, `job.canceled` or
        `batch.completed`."""
        return "batch.completed" if self.whole_batch else f"job.{self.state.lower()}"

    @property
    def message_id(self) -> str:
        """Its id as receivers know it. It is signed between dots, so it holds none."""
        return self.id.replace(".", "_")


def notice_of(before: Job, after: Job) -> Notice | None:
    """The notice that the write from `before` to `after` must carry, or None if nobody needs to be told."""
    if after.state is before.state or not after.state.terminal:
        return None
    return Notice(
        id=f"{after.id}.{after.revision}",
        job_id=after.id,
        owner=after.owner,
        state=after.state,
        at=after.updated_at,
        batch=after.batch,
    )


def notice_of_batch(last: Notice) -> Notice | None:
    """The notice that a batch is over, if `last` tells of the end of its last job. It is the same whenever it is made;
    None if that job was in no batch."""
    if last.batch is None:
        return None
    return msgspec.structs.replace(last, id=f"{last.batch.id}.completed", whole_batch=True)


class Wake(Value, frozen=True):
    """The queue's message: there may be work on this job. `group` is the owner, for fairness."""

    job_id: str
    key: str
    group: str


# --- names and keys ---------------------------------------------------------------------------------------

Metadata = Annotated[dict[str, str], msgspec.Meta(max_length=32)]

MAX_NAME_BYTES: Final = 150
_FORBIDDEN: Final = frozenset("/\\<>:\"|?*%#&{}^`~[]$!'@=;,")


def timestamp(at: float) -> str:
    """A time as clients see it: UTC, ISO 8601 with microseconds and `Z`.

    >>> timestamp(0.5)
    '1970-01-01T00:00:00.500000Z'
    """
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """A Content-Disposition header (RFC 6266) that saves under `filename`, whatever characters it has."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\\\%' else "_" for c in filename)
    kind = "inline" if inline else "attachment"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def new_id() -> str:
    """A random id of 122 bits, as UUID version 4 writes it."""
    return str(uuid.uuid4())


def safe_name(filename: str) -> str:
    """The base name of `filename`, fit for a key on every backend and file system.

    Folders, control characters and characters with a meaning to shells, URLs or file systems are dropped; letters of
    every script, digits, spaces, `+`, `-`, `_`, `(`, `)` and dots inside stay. At most 150 bytes of UTF-8, the
    extension kept. Never empty.
    """
    base = unicodedata.normalize("NFC", filename).replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(
        c for c in base if (c not in _FORBIDDEN and unicodedata.category(c)[0] not in "CZ") or c == " "
    )
    name = " ".join(kept.split()).strip(". ")
    if not name:
        return "upload"
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 10:
        stem, dot, extension = name, "", ""
    room = MAX_NAME_BYTES - len(f"{dot}{extension}".encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return f"{stem or 'upload'}{dot}{extension}"


def upload_key(job_id: str, filename: str) -> str:
    """Where the original of a job is put."""
    return f"uploads/{job_id}/{safe_name(filename)}"


def output_key(job_id: str, token: str, output: str, extension: str, *, public: bool = False) -> str:
    """Where one attempt of a job puts one output. Each attempt has keys of its own: a PUT can not be fenced. What is
    public lies in a folder that says so: by its key alone storage knows what it may give to everybody."""
    folder = "public/" if public else ""
    return f"processed/uploads/{job_id}/{token}/{folder}{output}.{extension}"


_PUBLIC: Final = re.compile(
    r"processed/uploads/(?P<job>[\w-]{1,64})/(?P<token>[\w-]{1,64})/public/(?P<file>[\w-]{1,64}\.\w{1,8})",
    re.ASCII,
)


def public_path(key: str) -> str | None:
    """The path below which everybody gets a public output, or None for every other key. It holds the 244 random bits
    of its job and its attempt: nobody guesses it, and no other output's tells it.

    >>> public_path("processed/uploads/5d1c/9a0b/public/thumb.webp")
    '5d1c/9a0b/public/thumb.webp'
    """
    match = _PUBLIC.fullmatch(key)
    return None if match is None else "{job}/{token}/public/{file}".format(**match.groupdict())


def job_id_of(key: str) -> str | None:
    """The job that an upload's key belongs to, or None if it is not the key of an upload.

    >>> job_id_of("uploads/5d1c/photo.jpg")
    '5d1c'
    """
    parts = key.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "uploads" and parts[1] and parts[2] else None
