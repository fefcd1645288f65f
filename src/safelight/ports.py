"""The contracts with the world. The rules that every backend keeps stand in the docstrings.

Every port raises `StorageUnavailable` when the world does not answer; vendor errors never pass it. All calls are
synchronous, may come from several threads at once, and may be repeated: the second call changes nothing more.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import IO, Final, Generic, Protocol, TypeVar

from safelight.model import Job, JobState, Notice, Source, Value, Wake

Clock = Callable[[], float]
"""Gives the time: Unix seconds, UTC."""

T = TypeVar("T")


class Page(Value, Generic[T], frozen=True):
    """A part of a listing. `cursor` asks for the next part; None at the end."""

    items: tuple[T, ...]
    cursor: str | None = None


# --- files ------------------------------------------------------------------------------------------------


class BlobInfo(Value, frozen=True):
    """One version of one object. `modified_at` is by the storage's own clock, which may count whole seconds only."""

    key: str
    version: str
    bytes: int
    modified_at: float


class Blobs(Protocol):
    """Objects by key. Keys begin with `uploads/` (versioned: every put makes a version) or `processed/` (written
    once, never replaced)."""

    def head(self, key: str, version: str | None = None) -> BlobInfo | None:
        """The newest version, or the one asked for. None if there is none, or can be none: no key is an error."""

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """A readable, seekable file with a descriptor of its own; the caller closes it. Raise BlobNotFound."""

    def put(self, key: str, file: IO[bytes], *, content_type: str) -> BlobInfo:
        """Store `file` from its beginning to its end. When this returns, the object is whole, visible and durable;
        before, nobody can see any of it. Raise BlobExists for a `processed/` key that was written before,
        InvalidRequest for what can not be a key, StorageUnavailable if `delete` erased the prefix meanwhile."""

    def delete(self, *prefixes: str) -> int:
        """Erase every version of every object below each prefix, which ends with `/`, and unfinished uploads there; or
        of the one object whose whole key it is. Return how many objects went. Nothing there is not an error. Many at
        once may cost much less than one by one."""

    def drop(self, key: str, version: str) -> None:
        """Erase one version of an upload; the newest of the others is the newest then. Nothing there is not an
        error."""

    def list(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[BlobInfo]:
        """The newest versions of the objects below `prefix`, ordered by key."""

    def folders(self, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """The names directly below `prefix` that have something below them, each without its `/`, in the order of their
        keys. However many there are, no more than a page of them is held at once. One that was emptied a moment ago may
        still be among them."""


class UploadGrant(Value, frozen=True):
    """What a signed upload allows. Whatever is not None is signed: the upload must match it.

    Not every storage has a form that refuses to overwrite: `links.upload` may raise InvalidRequest for POST with
    `overwrite=False`.
    """

    key: str
    expires_in: int
    max_bytes: int
    method: str = "PUT"
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    crc32: str | None = None
    overwrite: bool = True


class UploadLink(Value, frozen=True):
    """How to upload: for PUT send exactly `headers`; for POST send `fields` and then `file` as a form."""

    method: str
    url: str
    headers: dict[str, str] = {}
    fields: dict[str, str] = {}


LINKS_SIGNED_EVERY: Final = 1800
"""Seconds. Download URLs signed between two multiples of this are the same."""


class Links(Protocol):
    """Signed URLs, with S3's answers to wrong use: status and XML error code."""

    def upload(self, grant: UploadGrant) -> UploadLink:
        """A URL that takes one upload of this kind."""

    def download(self, key: str, *, filename: str, content_type: str, inline: bool = False) -> str:
        """A URL that gives the object as `content_type`, to be saved as `filename`. Signed as of the last
        multiple of `LINKS_SIGNED_EVERY`, so that it stays the same for a while, and good for at least an hour."""

    @property
    def publishes(self) -> bool:
        """Whether there are addresses for everybody: `public` gives one for every public output."""

    def public(self, key: str) -> str | None:
        """The address at which everybody gets the object of this key, shown and not saved, for as long as the object is
        there. Always the same. None unless `model.public_path` knows the key and this Safelight publishes."""


class PartGrant(Value, frozen=True):
    """What the signed URL of a part allows: exactly `bytes` bytes as this part of this upload."""

    key: str
    upload: str
    number: int
    bytes: int
    expires_in: int


class Part(Value, frozen=True):
    """A part of an object. `etag` is without quotes, and changes with the content."""

    number: int
    etag: str
    bytes: int = 0


LEAST_PART: Final = 5 * 2**20
MOST_PARTS: Final = 10_000
"""What S3 takes: how many bytes every part but the last has at least, and how many parts there are at most."""


class Multiparts(Protocol):
    """Objects that arrive in parts, below `uploads/`, by S3's rules. Nobody sees any of one before it is complete."""

    def begin(self, key: str, *, content_type: str | None = None) -> str:
        """Begin an object; return the name of the upload. Several of one key may be under way."""

    def link(self, grant: PartGrant) -> UploadLink:
        """A URL that takes one part. A part that comes again replaces the one before."""

    def parts(self, key: str, upload: str, *, after: int = 0, limit: int = 1000) -> tuple[Part, ...]:
        """The parts that are there, whole and durable, with numbers above `after`, in order, at most `limit` (1,000 at
        once). Raise PartsGone for an upload that is complete, aborted or was swept up."""

    def complete(self, key: str, upload: str, parts: Sequence[Part], *, overwrite: bool = True) -> BlobInfo:
        """Make one object of these parts. When this returns it is whole, visible and durable, and the upload is gone.

        Raise InvalidPart for a part that is not there or has another ETag, InvalidPartOrder, EntityTooSmall, PartsGone,
        and BlobExists if there is an object and `overwrite` is False; the parts are then as they were.
        """

    def abort(self, key: str, upload: str) -> None:
        """Forget the upload and its parts. What is not there is not an error."""


# --- the truth about jobs ---------------------------------------------------------------------------------


class Jobs(Protocol):
    """The job records: the truth. Every write is atomic, durable when it returns, and conditional on nobody having
    written in between."""

    def create(self, job: Job) -> None:
        """Store a new job. Its id is random, so it can not exist; a repeat of the very same job is harmless."""

    def create_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs, as `create` does each. A crash may leave some of them only, where the backend can not do
        better."""

    def read(self, job_ids: Sequence[str]) -> tuple[Job, ...]:
        """Those of these jobs that there are, as last written, in the same order."""

    def get(self, job_id: str) -> Job:
        """The job as last written, never an older state. Raise JobNotFound."""

    def update(self, job_id: str, change: Callable[[Job], Job], *, known: Job | None = None) -> Job:
        """Apply a transition: read, change and write as one atomic step. Return the job as it is afterwards.

        `change` is pure and may be called again when somebody else wrote in between. If it returns the very job it
        was given, nothing is written; if it raises, nothing is written and the error passes through. If the write
        needs a notice (`model.notice_of`), the notice is stored by the same write. `known` is the caller's newest
        copy: a backend may try it first and save the read. Raise JobNotFound.
        """

    def delete(self, job_id: str) -> None:
        """Erase the record. Deleting what is not there is not an error."""

    def due(self, now: float, *, limit: int = 100) -> list[Job]:
        """Jobs whose `due_at` has passed, the longest overdue first."""

    def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Which of these jobs there are."""

    def list(
        self, owner: str, *, state: JobState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Job]:
        """The owner's jobs, newest first. Raise InvalidRequest for a cursor that is not one of ours."""


class Notices(Protocol):
    """The outbox: notices stored with the writes that caused them, until they are delivered."""

    def pending(self, now: float, *, limit: int = 100) -> list[Notice]:
        """Notices to deliver now, those due longest first. The same notice may be handed out again: receivers know
        its id."""

    def settle(self, notice_id: str) -> None:
        """The notice is delivered, or nobody wants it."""

    def postpone(self, notice_id: str, until: float) -> None:
        """Delivery failed; hand the notice out again from then."""


# --- the queue --------------------------------------------------------------------------------------------


class Queue(Protocol):
    """Wakes workers. Delivers at least once and in any order, and may lose nothing that `send` returned for."""

    def send(self, wake: Wake, *, delay: float = 0.0) -> None:
        """Wake a worker for this job, not before `delay` seconds. A second wake for a waiting job may merge: the
        earlier time counts. One for a job whose message is in flight is delivered after that one is done with."""

    def depth(self) -> int:
        """About how many messages wait or are in flight."""


class Delivery(Value, frozen=True):
    """A message in the hands of one worker. `receipt` names this delivery, `received` counts from 1."""

    wake: Wake
    receipt: str
    received: int


class Inbox(Protocol):
    """The worker's side of the queue. Messages are handed out fairly by group: one caller's thousand jobs do not
    starve another's one. How strictly is the backend's: in turn on one machine, about so on SQS."""

    def receive(self, *, wait: float, visibility: float) -> Delivery | None:
        """The next message, hidden from others for `visibility` seconds; None after `wait` seconds without one.
        Sleeps until there is something to do. A message received too often moves to the dead letters."""

    def ack(self, delivery: Delivery) -> None:
        """The message is done with. A stale receipt is not an error."""

    def extend(self, delivery: Delivery, visibility: float) -> None:
        """Keep the message hidden for that long from now. A stale receipt is not an error."""

    def retry(self, delivery: Delivery, delay: float) -> None:
        """Hand the message out again after `delay` seconds. A stale receipt is not an error."""

    def stop(self) -> None:
        """Let every `receive` of this process return None as soon as it can, now and later: the worker is asked to
        stop. Safe in a signal handler."""


class DeadLetter(Value, frozen=True):
    """A message that was handed out too often, and why it was given up. Where the queue does not say when that was,
    `died_at` is when the message was sent, and `received` may count looks at the dead letter too. What is no job's
    message has a name of the queue's in place of the job's id, and no key."""

    wake: Wake
    received: int
    died_at: float
    reason: str


class Fate(StrEnum):
    """What is to become of a dead letter."""

    KEEP = "keep"
    SEND = "send"
    """Its message goes back into the queue, to be counted from 1."""
    DROP = "drop"


class DeadLetters(Protocol):
    """What the queue gave up on. Nothing but people reads it."""

    def dead(self, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """A part of the dead letters."""

    def redrive(self, job_id: str) -> bool:
        """Put the dead letter of this job back into the queue. False if there is none."""

    def settle(self, fate_of: Callable[[DeadLetter], Fate]) -> int:
        """Go through the dead letters and do with each what `fate_of` says; what is no job's message can not be sent.
        Return how many are gone. If `fate_of` raises, that letter stays and the error passes through; if a crash cuts
        a letter off, it is there as well as its message, never neither."""


# --- at a glance ------------------------------------------------------------------------------------------


class Backlog(Value, frozen=True):
    """What waits. `oldest_age` is for how many seconds the longest waiting message could have been taken: 0 if none
    waits, None where the queue does not tell. `dead` counts the dead letters."""

    depth: int
    oldest_age: float | None
    dead: int


class Minute(Value, frozen=True):
    """How many jobs ended in the minute that began at `at`."""

    at: float
    completed: int
    failed: int


class Trouble(Value, frozen=True):
    """A job that FAILED, and why. The job may be gone meanwhile."""

    job_id: str
    at: float
    code: str
    message: str


TROUBLES_KEPT: Final = 100
MINUTES_KEPT: Final = 24 * 60


class Watch(Protocol):
    """What an operator sees at a glance. Each call is cheap however many jobs there are; figures may be a little old,
    and on AWS something that was told twice may count twice."""

    def backlog(self) -> Backlog:
        """What waits in the queue, and what it gave up."""

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state; a state without jobs may be missing. On AWS, of those that have ended: how
        many ever came to that end; and PENDING and PROCESSING are the messages that wait and that are worked on."""

    def working(self, *, limit: int = 100) -> list[Job]:
        """Jobs that a worker has claimed, in no order."""

    def failures(self, *, limit: int = 20) -> list[Trouble]:
        """The newest of the last TROUBLES_KEPT failures, newest first."""

    def minutes(self, since: float) -> list[Minute]:
        """The minutes from this time on in which jobs ended, oldest first; at most the last MINUTES_KEPT."""


# --- everything small -------------------------------------------------------------------------------------


class Record(Value, frozen=True):
    """A small value under a partition and a key. `version` starts at 1 and grows with every write. `expires_at` may be
    kept in whole seconds, rounded up."""

    partition: str
    key: str
    value: bytes
    version: int
    expires_at: float | None = None


class Records(Protocol):
    """A small store with conditional writes: idempotency answers, API keys, quotas, endpoints, recipes. What has
    expired is not there, whether it was removed already or not."""

    def get(self, partition: str, key: str) -> Record | None:
        """The record as last written."""

    def put(
        self,
        partition: str,
        key: str,
        value: bytes,
        *,
        expected: int | None = None,
        expires_at: float | None = None,
    ) -> Record:
        """Write if the record's version is `expected`: 0 for "there is none", None for "whatever it is".
        Raise RecordConflict if it is another."""

    def delete(self, partition: str, key: str) -> None:
        """Remove the record. Deleting what is not there is not an error."""

    def list(
        self, partition: str, *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Record]:
        """The partition's records whose key begins with `prefix`, ordered by key."""


# --- pictures ---------------------------------------------------------------------------------------------


class Rendered(Value, frozen=True):
    """One rendition as it comes from the renderer: `file` is open at its beginning and holds `bytes` bytes."""

    name: str
    extension: str
    content_type: str
    file: IO[bytes]
    bytes: int
    sha256: str
    width: int
    height: int
    frames: int = 1
    primary: bool = False
    placeholder: str | None = None


class Rendering(Value, frozen=True):
    """All that one original became, and what was read of the original. The caller closes the files."""

    source: Source
    outputs: tuple[Rendered, ...]

    def close(self) -> None:
        """Close the files of all outputs."""
        for output in self.outputs:
            output.file.close()


class Renderer(Protocol):
    """Turns an original into its renditions, without trusting it."""

    def render(self, file: IO[bytes], source: Source, recipe: bytes) -> Rendering:
        """Render `file`, which has a descriptor, by the recipe (its canonical JSON).

        Raise FileError if the file is at fault, AttemptError if something else stopped the attempt. Bounded in time
        and memory. `source` comes back with what was read of the picture.
        """

    def close(self) -> None:
        """Stop what the renderer runs. Rendering in progress ends with RendererUnavailable."""


# --- all of them ------------------------------------------------------------------------------------------


def _nobody_sleeps() -> None:
    """Where nobody waits, nobody is to be woken."""


class Ports(Value, frozen=True):
    """The world as one backend gives it. Only `bootstrap` and tests put one together."""

    clock: Clock
    blobs: Blobs
    links: Links
    multiparts: Multiparts
    jobs: Jobs
    notices: Notices
    queue: Queue
    inbox: Inbox
    dead_letters: DeadLetters
    watch: Watch
    records: Records
    renderer: Renderer
    together: Callable[[], AbstractContextManager[None]] = nullcontext
    """What a thread writes to jobs, queue, records and notices inside this block is one commit where the backend can do
    that. Elsewhere each write stands for itself, in the order written: nothing may depend on more."""
    wake_courier: Callable[[], None] = _nobody_sleeps
    """Wake the courier that waits for webhooks to be delivered, where one does: a hint, after the write."""
