"""What a client may ask for before it uploads a file: what is refused at once, and the job that comes of it."""

from typing import Any, Final, Literal

from safelight.errors import ConflictingFields, EmptyFile, MultipartNeedsSize, TooLarge
from safelight.model import (
    MINUTE,
    InBatch,
    Job,
    JobState,
    Moment,
    Multipart,
    RecipeRef,
    Stage,
    Upload,
    Value,
    new_id,
    upload_key,
)

LOOK_FOR_UPLOAD_EVERY: Final = 10 * MINUTE
"""How often the sweeper looks whether an upload came whose event was lost."""

MULTIPART_FROM: Final = 16_000_000
"""A file that is larger than this, in bytes, may come in parts."""

PART_SIZE: Final = 8 * 2**20
"""How large its parts are: with the largest upload that can be set, there are 597 of them."""

RecipeChoice = str | dict[str, Any] | None
"""A recipe's name, a recipe itself, or None for the default."""


class UploadRequest(Value, frozen=True):
    """What a client may say about the upload it asks for."""

    filename: str | None = None
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    crc32: str | None = None
    recipe: RecipeChoice = None
    metadata: dict[str, str] = {}
    method: Literal["PUT", "POST"] = "PUT"
    overwrite: bool = True
    multipart: bool = False
    dedupe: bool = False


def refuse(request: UploadRequest, max_bytes: int) -> None:
    """Raise TooLarge, EmptyFile, MultipartNeedsSize or ConflictingFields for what can not be promised."""
    if request.size is not None and request.size > max_bytes:
        raise TooLarge(
            f"The largest upload is {in_words(max_bytes)} and {in_words(request.size)} were declared; "
            "make the file smaller."
        )
    if request.size == 0:
        raise EmptyFile(
            "An empty file can not be processed; choose another, or declare the size that it really has."
        )
    if request.method == "POST" and not request.overwrite:
        raise ConflictingFields("overwrite: false goes with method PUT; forms can not promise it everywhere.")
    if request.sha256 and request.crc32:
        raise ConflictingFields("Declare sha256 or crc32: storage checks one of them.")
    if not request.multipart:
        return
    if request.method == "POST":
        raise ConflictingFields("multipart: true goes with method PUT; a form holds one whole file.")
    if request.size is None:
        raise MultipartNeedsSize
    if request.size <= MULTIPART_FROM:
        raise MultipartNeedsSize(
            f"Only a file of more than {MULTIPART_FROM} bytes may come in parts and {request.size} were declared; "
            "send it in one piece."
        )


def in_words(count: int) -> str:
    """A number of bytes as people say it, with the exact one where that leaves something out."""
    if count < 1_000_000:
        return f"{count} bytes"
    unit, name = (1_000_000, "MB") if count < 1_000_000_000 else (1_000_000_000, "GB")
    shown = f"{count / unit:.1f}".removesuffix(".0")
    exact = "" if round(float(shown) * unit) == count else f" ({count} bytes)"
    return f"{shown} {name}{exact}"


def new_job(
    job_id: str,
    owner: str,
    request: UploadRequest,
    recipe: RecipeRef,
    now: float,
    batch: InBatch | None = None,
) -> Job:
    """The job of an upload that was asked for."""
    filename = request.filename or f"{new_id()}.jpg"
    return Job(
        id=job_id,
        owner=owner,
        state=JobState.PENDING,
        stage=Stage.AWAITING_UPLOAD,
        created_at=now,
        updated_at=now,
        due_at=now + LOOK_FOR_UPLOAD_EVERY,
        upload=Upload(
            filename=filename,
            key=upload_key(job_id, filename),
            method=request.method,
            content_type=request.content_type,
            size=request.size,
            sha256=request.sha256.lower() if request.sha256 else None,
            crc32=request.crc32.lower() if request.crc32 else None,
            overwrite=request.overwrite,
            multipart=Multipart(part_size=PART_SIZE) if request.multipart else None,
            dedupe=request.dedupe,
        ),
        recipe=recipe,
        metadata=request.metadata,
        batch=batch,
        timeline=(Moment(at=now, state=JobState.PENDING),),
    )
