"""A job as its sender sees it: `Job` follows one file to its outputs, and saves them."""

import hashlib
import mimetypes
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from safelight.client.answers import Output, Status
from safelight.client.errors import DamagedDownload, NotCompleted, Refused
from safelight.client.http import ATTEMPTS, backoff, checked
from safelight.client.recipes import for_request
from safelight.client.saving import settle, unfinished
from safelight.decoding import converted
from safelight.model import JobState

if TYPE_CHECKING:
    from safelight.client.pipeline import Client


class Job:
    """One file and what becomes of it. `status` is what the last answer said."""

    def __init__(
        self, client: "Client", job_id: str, *, name: str = "", document: dict[str, Any] | None = None
    ) -> None:
        self.id = job_id
        """What `Client.job` and `safelight jobs` take."""
        self._client = client
        self._http = client._http  # noqa: SLF001 (a job is a part of its client)
        self._name = name
        self._status: Status | None = None
        self._document = document or {}

    @property
    def document(self) -> dict[str, Any]:
        """The API's last answer, whole. It is asked for where watching has told of a later state than it knows: within
        the client's block, that is. Raise what `refresh` raises; after the block, ClientClosed."""
        if not self._document:
            self.refresh()
        return self._document

    @property
    def status(self) -> Status:
        """The job as the last answer told it."""
        if self._status is None:
            self._status = _status(self.document)
        return self._status

    @property
    def _path(self) -> str:
        return f"/jobs/{quote(self.id, safe='')}"

    def refresh(self) -> Self:
        """Ask how the job stands."""
        return self._took(self._http.ask(dict[str, Any], "GET", self._path))

    def watch(self, timeout: float | None = None) -> Iterator[Status]:
        """Each state of the job from now to its end, as it comes. Raise TookTooLong."""
        for status in self._client.watch(self.id, timeout):
            self._document, self._status = {}, status
            yield status

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the job's end, whichever it is. Raise TookTooLong after `timeout` seconds; 0 looks once."""
        for _ in self.watch(timeout):
            pass
        return self

    def cancel(self) -> Self:
        """Tell that no result is wanted any more."""
        return self._took(self._http.ask(dict[str, Any], "POST", f"{self._path}/cancel", _keyed()))

    def retry(self) -> Self:
        """Start a failed or canceled job again."""
        return self._took(self._http.ask(dict[str, Any], "POST", f"{self._path}/retry", _keyed()))

    def delete(self) -> None:
        """Erase the job, its original and its outputs."""
        self._http.call("DELETE", self._path)

    def render_again(self, recipe: str | Path | dict[str, Any]) -> "Job":
        """A new job on the original of this one. `recipe` is as for `upload`."""
        body = {"from": self.id, "recipe": for_request(recipe)}
        document = self._http.ask(dict[str, Any], "POST", "/jobs", _keyed(json=body))
        return Job(self._client, document["jobId"], name=self._name, document=document)

    # --- outputs ---

    def save(self, folder: str | Path = ".") -> list[Path]:
        """Download the outputs into a folder, as `{file}-{output}.{type}`, and return where they are.

        Files appear whole and checked by their SHA-256, and no file that is there already is replaced. Raise
        NotCompleted if there is nothing to save.
        """
        status = self.status
        if status.status is not JobState.COMPLETED:
            code = status.error.code if status.error else status.status.lower()
            raise NotCompleted(status.complaint, state=status.status, code=code)
        return [self._save(number, Path(folder)) for number in range(len(status.outputs))]

    def _save(self, number: int, folder: Path) -> Path:
        for attempt in range(1, ATTEMPTS + 1):
            output = self.status.outputs[number]
            with unfinished(folder) as file:
                try:
                    self._fetch(output, file)
                    return settle(file, folder / self._file_name(output), output.sha256)
                except httpx.TransportError as error:
                    if attempt == ATTEMPTS:
                        raise self._http.lost(output.url, error) from error
                except (Refused, DamagedDownload):
                    if attempt == ATTEMPTS:
                        raise
            time.sleep(backoff(attempt))
            self.refresh()  # with URLs that were signed anew
        raise AssertionError("the last attempt returns or raises")

    def _fetch(self, output: Output, file: IO[bytes]) -> None:
        checksum = hashlib.sha256()
        with self._http.stream(output.url) as response:
            for piece in checked(response).iter_bytes(2**16):
                file.write(piece)
                checksum.update(piece)
        if checksum.hexdigest() != output.sha256:
            raise DamagedDownload

    def _file_name(self, output: Output) -> str:
        source = self.status.source
        name = self._name or (source and source.filename) or self.id
        stem = PurePosixPath(name.replace("\\", "/")).stem or "image"
        extension = PurePosixPath(urlsplit(output.url).path).suffix
        return f"{stem}-{output.name}{extension or mimetypes.guess_extension(output.content_type) or ''}"

    def _took(self, document: dict[str, Any]) -> Self:
        self._document, self._status = document, None
        return self


def _keyed(**request: Any) -> Callable[[], dict[str, Any]]:
    return partial(dict, **request, headers={"Idempotency-Key": str(uuid.uuid4())})


def _status(document: dict[str, Any]) -> Status:
    try:
        return converted(document, Status)
    except msgspec.ValidationError as error:
        raise Refused(f"The answer is not a job ({error}).", status=200, code="not_safelight") from error
