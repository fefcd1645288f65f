"""Notices on AWS: a notice needs no outbox, because the jobs table's stream carries every write, old and new item both.

So the write that ends a job is also the one that tells of it; the stream keeps it for 24 hours, delivers it at least
once and in the order of each job's writes, and the same write always gives the same notice id.
"""

from typing import Any

from safelight.backends.aws.jobs import job_of
from safelight.model import Notice, notice_of


def notice_in(record: dict[str, Any]) -> Notice | None:
    """The notice that a record of the stream carries, or None: most writes need not be told.

    A record is what Lambda hands to a function, or what `GetRecords` returns: they have the same form.
    """
    images = record.get("dynamodb", {})
    if "doc" not in images.get("OldImage", {}) or "doc" not in images.get("NewImage", {}):
        return None  # made or removed, and neither is an end that a job came to
    return notice_of(job_of(images["OldImage"]), job_of(images["NewImage"]))


class StreamedNotices:
    """`ports.Notices` where the stream carries the notices: for a sweeper, nothing is ever pending."""

    def pending(self, now: float, *, limit: int = 100) -> list[Notice]:  # noqa: ARG002 - the port has them
        """Nothing: the notifier function reads the stream."""
        return []

    def settle(self, notice_id: str) -> None:
        """Nothing: the stream counts what was read."""

    def postpone(self, notice_id: str, until: float) -> None:
        """Nothing: a batch that fails is delivered again by the stream."""
