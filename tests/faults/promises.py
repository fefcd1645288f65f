"""What clients were told, written down as they were told it: the checker holds the store to it afterwards.

One JSON line an event, in a file that several processes append to. A line is there if the answer was: it is written in
one call, and what was written survives the end of every process.
"""

import json
import os
from pathlib import Path
from typing import Any


class Promises:
    """What was promised about each job, by its id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.requested: set[str] = set()
        self.uploaded: dict[str, tuple[str, float]] = {}
        """The SHA-256 of what was uploaded, and when that was acknowledged."""
        self.sent: set[str] = set()
        """The SHA-256 of everything that was ever sent, acknowledged or not."""
        self.canceled: set[str] = set()
        self.deleting: set[str] = set()
        """Jobs that somebody began to delete: they may be there or not."""
        self.deleted: set[str] = set()
        self.notices: list[tuple[str, str, str]] = []
        """Id, job and state of every notice that was delivered."""
        self.batches: dict[str, set[str]] = {}
        """The batches that were asked for, and the ids of the notices about each that were delivered."""
        self.registered = False
        """Whether a client was told that its webhook is registered."""
        self.hooked: list[tuple[str, str, str]] = []
        """Id, job and type of every message that a webhook took."""
        self.answered: dict[str, set[str]] = {}
        """The terminal states in which a client has seen each job."""
        if path.exists():
            for line in path.read_text().splitlines():
                self._read(json.loads(line))

    def tell(self, event: str, **fields: Any) -> None:
        """Write one event down."""
        fields |= {"event": event}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps(fields).encode() + b"\n")
        finally:
            os.close(descriptor)
        self._read(fields)

    def _read(self, fields: dict[str, Any]) -> None:
        match fields:
            case {"event": "requested", "job": job}:
                self.requested.add(job)
            case {"event": "sending", "sha256": sha256}:
                self.sent.add(sha256)
            case {"event": "uploaded", "job": job, "sha256": sha256, "at": at}:
                self.uploaded[job] = (sha256, at)
            case {"event": "canceled", "job": job}:
                self.canceled.add(job)
            case {"event": "deleting", "job": job}:
                self.deleting.add(job)
            case {"event": "deleted", "job": job}:
                self.deleted.add(job)
            case {"event": "notice", "id": notice, "job": job, "state": state}:
                self.notices.append((notice, job, state))
            case {"event": "batch", "batch": batch}:
                self.batches.setdefault(batch, set())
            case {"event": "batch notice", "id": notice, "batch": batch}:
                self.batches.setdefault(batch, set()).add(notice)
            case {"event": "registered"}:
                self.registered = True
            case {"event": "hooked", "id": message, "job": job, "type": kind}:
                self.hooked.append((message, job, kind))
            case {"event": "answered", "job": job, "state": state}:
                self.answered.setdefault(job, set()).add(state)
            case _:
                raise AssertionError(f"{fields} is no promise")
