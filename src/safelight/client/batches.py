"""Batches as their sender sees them: many files asked for in one call, sent side by side, and followed together."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx

from safelight.client.answers import BatchGrant, BatchStatus, Grant
from safelight.client.errors import AnotherFile, Refused, TookTooLong
from safelight.client.http import ATTEMPTS, LONGEST_PAUSE, Http, end_of, remaining, retry_after
from safelight.client.jobs import Job
from safelight.client.parts import Counter, Progress
from safelight.threads import side_by_side

if TYPE_CHECKING:
    from safelight.client.pipeline import Client

AT_ONCE: Final = 4
"""So many files are on their way at once, and each of them in as many parts."""

PAGE: Final = 100
"""So many jobs are asked for at once: the most that there may be."""

Transfer = Callable[[Grant, Path, Progress | None], None]
"""Sends one file as its grant wants it."""


class Batch:
    """Files that were asked for together, and what becomes of them. `status` is what the last answer said."""

    def __init__(self, client: "Client", batch_id: str) -> None:
        self.id = batch_id
        self._client = client
        self._http = client._http  # noqa: SLF001 (a batch is a part of its client)
        self._status: BatchStatus | None = None

    @property
    def status(self) -> BatchStatus:
        """How many jobs are in which state, as the last answer told it; it is asked for if there was none yet."""
        if self._status is None:
            self.refresh()
        assert self._status is not None
        return self._status

    def refresh(self) -> Self:
        """Ask how the batch stands."""
        self._look(float("inf"))
        return self

    def watch(self, timeout: float | None = None) -> Iterator[BatchStatus]:
        """Each state of the batch from now until every job has ended, as it comes. Raise TookTooLong."""
        end = end_of(timeout)
        last: BatchStatus | None = None
        while True:
            pause = self._look(end)
            status = self.status
            if status != last:
                yield status
            if status.done:
                return
            if timeout is not None and timeout <= 0:
                raise TookTooLong
            last = status
            time.sleep(min(pause, remaining(end)))

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until every job has ended, whichever way. Raise TookTooLong after `timeout` seconds; 0 looks once."""
        for _ in self.watch(timeout):
            pass
        return self

    def jobs(self) -> Iterator[Job]:
        """Its jobs as they are now, in the order of their files. Those that were erased are left out."""
        cursor: str | None = None
        while True:
            params = {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
            page = self._http.ask(dict[str, Any], "GET", self._path, partial(dict, params=params))
            yield from (Job(self._client, item["jobId"], document=item) for item in page["items"])
            cursor = page.get("nextCursor")
            if not cursor:
                return

    @property
    def _path(self) -> str:
        return f"/batches/{quote(self.id, safe='')}"

    def _look(self, end: float) -> float:
        """Ask how it stands, until `end`, and return the seconds until it is worth asking again."""
        # An answer has jobs of the batch with it: no more than there have to be.
        one = {"params": {"limit": 1}}
        response = self._http.call("GET", self._path, lambda: one, within=remaining(end))
        self._status = self._http.decode(BatchStatus, response)
        return min(retry_after(response) or 1.0, LONGEST_PAUSE)


def send_batch(
    client: "Client",
    transfer: Transfer,
    files: Sequence[Path],
    declared: dict[str, Any],
    progress: Progress | None,
    key: str | None,
) -> Batch:
    """Ask for a batch of files, send what has not arrived yet, and return it. Raise Refused, Unreachable, AnotherFile;
    what is wrong with one file names it."""
    grants = _Grants(client._http, declared, key or str(uuid.uuid4()))  # noqa: SLF001 (a batch is a part of its client)
    batch = Batch(client, grants.batch_id)
    sizes = [file["size"] for file in declared["files"]]
    counter = Counter(sum(sizes), progress)
    todo = list(range(len(files)))
    if key is not None and grants.asked_before:
        awaited = {job.id for job in batch.jobs() if job.status.awaits_file}
        todo = [number for number in todo if grants[number].job_id in awaited]
        for number in set(range(len(files))).difference(todo):
            counter.at(number, sizes[number])

    def send(number: int) -> None:
        def sent(so_far: int, _size: int) -> None:
            counter.at(number, so_far)

        try:
            _send(grants, transfer, number, files[number], sent)
        except (AnotherFile, Refused) as error:
            error.message = f"{files[number]}: {error.message}"
            error.args = (error.message,)
            raise

    for _ in side_by_side(send, todo, AT_ONCE):
        pass
    return batch


def _send(grants: "_Grants", transfer: Transfer, number: int, file: Path, progress: Progress) -> None:
    """Send one file. A URL that has run out by its turn is asked for again."""
    for attempt in range(1, ATTEMPTS + 1):
        grant = grants[number]
        try:
            transfer(grant, file, progress)
        except Refused as error:
            if error.status != httpx.codes.FORBIDDEN or attempt == ATTEMPTS:
                raise
            grants.renew(number, grant)
        else:
            return


class _Grants:
    """Where each file of a batch goes. Asking again under the same key gives the same jobs, with URLs signed anew."""

    def __init__(self, http: Http, declared: dict[str, Any], key: str) -> None:
        self._http = http
        self._asking = {"json": declared, "headers": {"Idempotency-Key": key}}
        self._count = len(declared["files"])
        self._lock = threading.Lock()
        self._grants: tuple[Grant, ...] = ()
        self.batch_id, self.asked_before = self._ask()

    def __getitem__(self, number: int) -> Grant:
        return self._grants[number]

    def renew(self, number: int, old: Grant) -> None:
        """Have all URLs signed anew, unless another file has had that done since `old` was taken."""
        with self._lock:
            if self._grants[number] is old:
                self._ask()

    def _ask(self) -> tuple[str, bool]:
        response = self._http.call("POST", "/batches", lambda: self._asking)
        made = self._http.decode(BatchGrant, response)
        if len(made.jobs) != self._count:
            raise Refused(
                f"A job of batch {made.batch_id} was erased meanwhile, so which file is whose can not be told; "
                "send the files under another key.",
                status=response.status_code,
                code="idempotency_key_reused",
            )
        self._grants = made.jobs
        return made.batch_id, "idempotent-replayed" in response.headers
