"""Batches as their sender sees them: many files asked for in one call, sent side by side, and followed together."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx

from safelight.client.answers import BatchGrant, BatchStatus, Grant
from safelight.client.errors import AnotherFile, ClientError, Refused, TookTooLong
from safelight.client.http import ATTEMPTS, LONGEST_PAUSE, Http, end_of, remaining, retry_after
from safelight.client.jobs import Job
from safelight.client.parts import Counter, Progress, keep_open
from safelight.model import JobState
from safelight.threads import side_by_side

if TYPE_CHECKING:
    from safelight.client.pipeline import Client

AT_ONCE: Final = 4
"""So many files are on their way at once, and each of them in as many parts."""

SIGN_WITHIN: Final = 1200.0
"""Seconds within which the job of every file in parts that waits for its turn gives a sign of life. One that gives none
for an hour is EXPIRED."""

Transfer = Callable[[Grant, Path, Progress | None], None]
"""Sends one file as its grant wants it."""


class Batch:
    """Files that were asked for together, and what becomes of them. `status` is what the last answer said."""

    def __init__(self, client: "Client", batch_id: str) -> None:
        self.id = batch_id
        """What `Client.batch` takes."""
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
        try:
            yield from self._watch(timeout)
        except TookTooLong:  # which knows of jobs alone
            raise TookTooLong("The batch goes on, but the time to wait for it is over.") from None

    def _watch(self, timeout: float | None) -> Iterator[BatchStatus]:
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
        for item in self._http.items(self._path):
            yield Job(self._client, item["jobId"], document=item)

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
    in_parts = {number: grants[number].job_id for number in todo if grants[number].multipart is not None}
    with _Waiting(client._http, in_parts) as waiting:  # noqa: SLF001 (see above)
        sending = _Sending(client, transfer, files, grants, counter, waiting)
        for _ in side_by_side(sending, todo, AT_ONCE):
            pass
    if sending.expired:
        names = ", ".join(str(files[number]) for number in sorted(sending.expired))
        raise Refused(
            f"{names}: EXPIRED, as the time for parts is over. All other files of batch {batch.id} are sent; "
            "send what is named here by `upload`, or the batch under another key.",
            status=httpx.codes.CONFLICT,
            code="not_allowed_now",
        )
    return batch


class _Sending:
    """What is done with each file, by its number. Files whose jobs are EXPIRED and take no parts are left aside."""

    def __init__(
        self,
        client: "Client",
        transfer: Transfer,
        files: Sequence[Path],
        grants: "_Grants",
        counter: Counter,
        waiting: "_Waiting",
    ) -> None:
        self._client = client
        self._transfer = transfer
        self._files = files
        self._grants = grants
        self._counter = counter
        self._waiting = waiting
        self.expired: list[int] = []

    def __call__(self, number: int) -> None:
        self._waiting.no_more(number)
        try:
            self._send(number)
        except (AnotherFile, Refused) as error:
            if self._too_late(number, error):
                self.expired.append(number)
                return
            error.message = f"{self._files[number]}: {error.message}"
            error.args = (error.message,)
            raise

    def _send(self, number: int) -> None:
        """Send one file. A URL that has run out by its turn is asked for again; what sends parts does so by itself."""
        for attempt in range(1, ATTEMPTS + 1):
            grant = self._grants[number]
            try:
                self._transfer(grant, self._files[number], lambda sent, _size: self._counter.at(number, sent))
            except Refused as error:
                ran_out = error.status == httpx.codes.FORBIDDEN and grant.multipart is None
                if not ran_out or attempt == ATTEMPTS:
                    raise
                self._grants.renew(number, grant)
            else:
                return

    def _too_late(self, number: int, error: ClientError) -> bool:
        """Whether nothing will ever come of the file's job: one in parts, unlike others, takes nothing once EXPIRED."""
        grant = self._grants[number]
        if grant.multipart is None or error.code != "not_allowed_now":
            return False
        return self._client.job(grant.job_id).status.status is JobState.EXPIRED


class _Waiting:
    """Keeps the jobs open, each of them for a day at most, whose files go in parts and wait for their turn."""

    def __init__(self, http: Http, jobs: dict[int, str]) -> None:
        self._http = http
        self._jobs = jobs
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_open, name="signs of life", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def no_more(self, number: int) -> None:
        """It is the turn of the file of this number: what sends it shows that it is alive."""
        with self._lock:
            self._jobs.pop(number, None)

    def _keep_open(self) -> None:
        # One after the other, evenly: many at once would use up what a caller may ask for in a minute.
        while (waiting := len(self._jobs)) and not self._over.wait(SIGN_WITHIN / waiting):
            with self._lock:
                if not self._jobs:
                    return
                number = next(iter(self._jobs))
                job_id = self._jobs[number] = self._jobs.pop(number)  # the last in line now
            with suppress(ClientError):  # what is wrong with a job is told when it is its file's turn
                keep_open(self._http, job_id)


class _Grants:
    """Where each file of a batch goes. Asking again under the same key gives the same jobs, with URLs signed anew."""

    def __init__(self, http: Http, declared: dict[str, Any], key: str) -> None:
        self._http = http
        self._asking = {"json": declared, "headers": {"Idempotency-Key": key}}
        self._lock = threading.Lock()
        made, self.asked_before = self._ask()
        self.batch_id = made.batch_id
        if len(made.jobs) != len(declared["files"]):
            raise _key_is_of_another(
                f"A job of batch {made.batch_id} was erased meanwhile, so which file is whose can not be told; "
                "send the files under another key."
            )
        self._grants = made.jobs

    def __getitem__(self, number: int) -> Grant:
        return self._grants[number]

    def renew(self, number: int, old: Grant) -> None:
        """Have all URLs signed anew, unless another file has had that done since `old` was taken. Raise Refused if the
        key stands for another batch by now, or if the job of this file was erased."""
        with self._lock:
            if self._grants[number] is not old:
                return
            made, _ = self._ask()
            if made.batch_id != self.batch_id:
                raise _key_is_of_another(
                    f"The URLs of batch {self.batch_id} can not be signed anew: its key was for a day, and is that of "
                    f"a new batch now, {made.batch_id}. Send what has not arrived under another key."
                )
            anew = {grant.job_id: grant for grant in made.jobs}
            self._grants = tuple(anew.get(grant.job_id, grant) for grant in self._grants)
            if old.job_id not in anew:
                raise Refused(
                    f"Its job {old.job_id} was erased meanwhile; send the file on its own.",
                    status=httpx.codes.NOT_FOUND,
                    code="job_not_found",
                )

    def _ask(self) -> tuple[BatchGrant, bool]:
        """What was granted, and whether it was granted before under this key."""
        response = self._http.call("POST", "/batches", lambda: self._asking)
        return self._http.decode(BatchGrant, response), "idempotent-replayed" in response.headers


def _key_is_of_another(message: str) -> Refused:
    """The error for an answer, good as such, that is not about the batch that was asked for."""
    return Refused(message, status=httpx.codes.OK, code="idempotency_key_reused")
