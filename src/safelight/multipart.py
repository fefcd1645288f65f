"""Uploads in parts: what a client does between asking for one and having sent it whole.

    page → (the client sends parts to their URLs) → … → complete
                                                    abort: what was sent is dropped, and a page begins anew

All parts have the size that was answered to the request, but the last, and their URLs are signed for exactly that
many bytes: so an upload can not grow past what was declared. What the client declared of the whole file is checked by
whoever works on it. While the client asks for parts its job stays open, for at most a day.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from safelight import faults
from safelight.errors import (
    BlobExists,
    InvalidPart,
    InvalidPartOrder,
    NotAllowedNow,
    NotMultipart,
    PartsGone,
    PartsMissing,
)
from safelight.model import MINUTE, Job, Multipart, Stage, Value, waits_for_no_file
from safelight.ports import BlobInfo, Part, PartGrant, UploadLink
from safelight.service import Service

ASKED_EVERY: Final = MINUTE
"""How often it is written down that the client still sends parts."""

LISTED_AT_ONCE: Final = 1000


class Parts(Value, frozen=True):
    """A page of the parts of an upload: a URL for each, those that are there, and where the next page begins."""

    part_size: int
    links: dict[int, UploadLink]
    uploaded: tuple[Part, ...]
    next: int | None


def count_of(job: Job) -> int:
    """How many parts the job's file comes in. Raise NotMultipart."""
    return -(-_size_of(job) // _multipart_of(job).part_size)


class MultipartUploads:
    """The use cases, on the ports of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ports = service.ports

    def page(self, owner: str, job_id: str, *, start: int, limit: int) -> Parts:
        """The parts numbered from `start`, at most `limit`, with newly signed URLs.

        Raise JobNotFound, NotMultipart, and NotAllowedNow if no file is waited for.
        """
        job = self._waiting(owner, job_id)
        job, uploaded = self._under_way(job, start - 1, limit)
        end = min(start + limit, count_of(job) + 1)
        return Parts(
            part_size=_multipart_of(job).part_size,
            links={number: self._link(job, number) for number in range(start, end)},
            uploaded=tuple(part for part in uploaded if part.number < end),
            next=end if end <= count_of(job) else None,
        )

    def complete(self, owner: str, job_id: str, parts: Sequence[Part]) -> Job:
        """Make the file of its parts and queue the job. What is complete already stays as it is.

        Raise JobNotFound, NotMultipart, NotAllowedNow, InvalidPart, InvalidPartOrder, EntityTooSmall, PartsMissing,
        PartsGone.
        """
        job = self._service.describe(owner, job_id)
        _multipart_of(job)
        if job.source is not None:
            return job
        _refuse_waiting(job)
        if not parts:
            raise PartsMissing
        if any(second.number <= first.number for first, second in pairwise(parts)):
            raise InvalidPartOrder
        info = self._completed(job, parts)
        faults.reached("multipart.completed")
        return self._service.dispatch(info.key, info.version, info.bytes) or job

    def abort(self, owner: str, job_id: str) -> None:
        """Drop what was sent. The job goes on waiting for its file. Raise JobNotFound, NotMultipart, and NotAllowedNow
        if the file is complete already."""
        job = self._service.describe(owner, job_id)
        upload_id = _multipart_of(job).id
        if job.source is not None:
            raise NotAllowedNow("The file is complete; DELETE the job to erase it.")
        if upload_id is not None:
            self._ports.multiparts.abort(job.upload.key, upload_id)
            now = self._ports.clock()
            self._ports.jobs.update(job.id, lambda job: job.parts_dropped(upload_id, now=now))

    def _waiting(self, owner: str, job_id: str) -> Job:
        job = self._service.describe(owner, job_id)
        _multipart_of(job)
        _refuse_waiting(job)
        return job

    def _under_way(self, job: Job, after: int, limit: int) -> tuple[Job, tuple[Part, ...]]:
        """The job with an upload under way, begun if need be, and the parts of it that are there."""
        known = _multipart_of(job).id
        if known is not None:
            try:
                uploaded = self._ports.multiparts.parts(job.upload.key, known, after=after, limit=limit)
            except PartsGone:
                pass  # swept up, or dropped by an abort that was cut off: begin anew
            else:
                if self._ports.clock() - job.updated_at >= ASKED_EVERY:
                    job = self._asked(job, known, instead_of=known)
                return job, uploaded
        begun = self._ports.multiparts.begin(job.upload.key, content_type=job.upload.content_type)
        faults.reached("multipart.begun")
        job = self._asked(job, begun, instead_of=known)
        if _multipart_of(job).id != begun:
            # Somebody asked at the same moment: one upload is enough.
            self._ports.multiparts.abort(job.upload.key, begun)
        return job, ()

    def _asked(self, job: Job, upload_id: str, *, instead_of: str | None) -> Job:
        now = self._ports.clock()
        return self._ports.jobs.update(
            job.id, lambda job: job.parts_asked(upload_id, instead_of=instead_of, now=now)
        )

    def _link(self, job: Job, number: int) -> UploadLink:
        multipart = _multipart_of(job)
        assert multipart.id is not None, "the upload is under way"
        return self._ports.multiparts.link(
            PartGrant(
                key=job.upload.key,
                upload=multipart.id,
                number=number,
                bytes=min(multipart.part_size, _size_of(job) - (number - 1) * multipart.part_size),
                expires_in=self._service.settings.upload_seconds,
            )
        )

    def _completed(self, job: Job, parts: Sequence[Part]) -> BlobInfo:
        """The object, made of its parts now or by somebody who was cut off right after."""
        upload_id = _multipart_of(job).id
        try:
            if upload_id is None:
                raise PartsGone
            self._refuse_parts(job, upload_id, parts)
            return self._ports.multiparts.complete(
                job.upload.key, upload_id, parts, overwrite=job.upload.overwrite
            )
        except (PartsGone, BlobExists) as error:
            found = self._ports.blobs.head(job.upload.key)
            if found is None:
                raise PartsGone from error
            return found

    def _refuse_parts(self, job: Job, upload_id: str, parts: Sequence[Part]) -> None:
        uploaded: dict[int, Part] = {}
        page = self._ports.multiparts.parts(job.upload.key, upload_id, limit=LISTED_AT_ONCE)
        while page:
            uploaded.update((part.number, part) for part in page)
            page = self._ports.multiparts.parts(
                job.upload.key, upload_id, after=page[-1].number, limit=LISTED_AT_ONCE
            )
        for part in parts:
            if part.number not in uploaded:
                raise InvalidPart(
                    f"Part {part.number} has not arrived; GET the parts for its URL and send it."
                )
            if part.etag != uploaded[part.number].etag:
                raise InvalidPart(f"Part {part.number} has another ETag; GET the parts for what has arrived.")
        total = sum(uploaded[part.number].bytes for part in parts)
        if total != job.upload.size:
            raise PartsMissing(
                f"The parts that were named have {total} bytes and {job.upload.size} were declared; "
                "GET the parts for those that are missing, and send them."
            )


def _multipart_of(job: Job) -> Multipart:
    if job.upload.multipart is None:
        raise NotMultipart
    return job.upload.multipart


def _size_of(job: Job) -> int:
    assert job.upload.size is not None, "an upload in parts declares its size"
    return job.upload.size


def _refuse_waiting(job: Job) -> None:
    if job.stage is not Stage.AWAITING_UPLOAD:
        raise NotAllowedNow(waits_for_no_file(job.state))
