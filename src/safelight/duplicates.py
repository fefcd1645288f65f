"""Files that were processed before: the same bytes by the same recipe for the same owner, which need no second job.

A job whose upload asked for `dedupe` is remembered by what it worked on, just before it is completed: so one that
completes is always remembered, and one that is remembered may not have completed. Whoever finds it looks: only a job
that still stands, with every output there and its links good for a while, is an answer. So nothing has to be forgotten
when a job is deleted, fails or expires, and a crash anywhere costs no more than a duplicate that is not found.
"""

from hashlib import sha256
from typing import Final

from safelight.config import Settings
from safelight.errors import JobNotFound
from safelight.model import Job, JobState, RecipeRef
from safelight.ports import Ports

PARTITION: Final = "duplicates"
"""The partition of the records: ids of jobs, by owner, content and recipe."""


class Duplicates:
    """Knows which job made what of which bytes."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports

    def remember(self, job: Job, content: str) -> None:
        """The job, which is about to be completed, works on bytes of this SHA-256."""
        expires = self._ports.clock() + self._settings.retention_seconds
        key = _key(job.owner, content, job.recipe)
        self._ports.records.put(PARTITION, key, job.id.encode(), expires_at=expires)

    def find(self, owner: str, content: str, recipe: RecipeRef) -> Job | None:
        """The owner's COMPLETED job on bytes of this SHA-256 by this recipe, if all that it made is still there."""
        record = self._ports.records.get(PARTITION, _key(owner, content, recipe))
        if record is None:
            return None
        try:
            job = self._ports.jobs.get(record.value.decode())
        except JobNotFound:
            return None
        return job if self._stands(job, owner, content) else None

    def _stands(self, job: Job, owner: str, content: str) -> bool:
        ends = job.updated_at + self._settings.retention_seconds - self._settings.download_seconds
        return (
            job.owner == owner
            and job.state is JobState.COMPLETED
            and job.source is not None
            and job.source.sha256 == content
            and self._ports.clock() < ends
            and all(self._ports.blobs.head(output.key) for output in job.outputs)
        )


def _key(owner: str, content: str, recipe: RecipeRef) -> str:
    return sha256(f"{owner}\0{content.lower()}\0{recipe.digest}".encode()).hexdigest()
