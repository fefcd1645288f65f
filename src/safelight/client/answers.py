"""The API's answers as the client reads them. Fields that it does not know are ignored: servers may grow."""

from typing import Any

import msgspec

from safelight.model import JobState


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an answer: `camelCase` in JSON, `snake_case` here."""


class Multipart(Answer, frozen=True):
    """Into how many parts of which size a file is to be cut."""

    part_size: int
    parts: int


class Grant(Answer, frozen=True):
    """The right to upload one file: where to, and which headers or form fields have to come with it."""

    job_id: str
    upload_url: str | None
    """Nothing needs to be sent if it is None: the job is one of the same bytes, and COMPLETED."""
    expires_in: int = 300
    upload_method: str = "PUT"
    upload_headers: dict[str, str] = {}
    upload_fields: dict[str, str] = {}
    multipart: Multipart | None = None


class BatchGrant(Answer, frozen=True):
    """The right to upload the files of a batch, in their order."""

    batch_id: str
    jobs: tuple[Grant, ...]


class PartLink(Answer, frozen=True):
    """Where one part goes."""

    part_number: int
    url: str
    headers: dict[str, str] = {}


class UploadedPart(Answer, frozen=True):
    """A part that has arrived."""

    part_number: int
    size: int
    etag: str


class Parts(Answer, frozen=True):
    """A page of the parts of a file."""

    part_size: int
    parts: tuple[PartLink, ...]
    uploaded: tuple[UploadedPart, ...] = ()
    next: int | None = None


class Output(Answer, frozen=True):
    """One finished rendition."""

    name: str
    url: str
    content_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    placeholder: str | None = None
    public_url: str | None = None
    """Where everybody gets it, if the recipe has made it public."""


class Source(Answer, frozen=True):
    """What is known of the original."""

    filename: str | None = None
    content_type: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    sha256: str | None = None


class Failure(Answer, frozen=True):
    """Why a job failed."""

    code: str
    message: str


class Status(Answer, frozen=True):
    """A job as the API tells it."""

    job_id: str
    status: JobState
    created_at: str | None = None
    updated_at: str | None = None
    download_url: str | None = None
    error_message: str | None = None
    stage: str | None = None
    progress: float = 0.0
    attempt: int = 0
    recipe: Any = None
    error: Failure | None = None
    source: Source | None = None
    outputs: tuple[Output, ...] = ()

    @property
    def awaits_file(self) -> bool:
        """Whether the job may still get its file. One that came too late brings an EXPIRED job back."""
        return self.stage == "awaiting_upload" or self.status is JobState.EXPIRED

    @property
    def complaint(self) -> str:
        """One sentence on why there are no outputs."""
        if self.error is not None:
            return self.error.message
        return self.error_message or f"The job is {self.status}."


class BatchStatus(Answer, frozen=True):
    """How a batch stands."""

    batch_id: str
    total: int
    done: bool
    """Whether every job has ended."""
    counts: dict[str, int] = {}
    """How many jobs are in each state."""
    deleted: int = 0
    """How many jobs were erased; they count as ended."""
    created_at: str | None = None
