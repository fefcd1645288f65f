"""The way of a file as its sender sees it: `Client` sends it; a `Job` (`jobs`) follows it to its outputs."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from os import fstat
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self
from urllib.parse import quote

import httpx

from safelight.client.answers import Grant, Source, Status
from safelight.client.batches import Batch, send_batch
from safelight.client.errors import AnotherFile, EmptyFile
from safelight.client.http import Http
from safelight.client.jobs import Job
from safelight.client.parts import Progress, send_parts
from safelight.client.recipes import for_request, to_put
from safelight.client.saving import digest
from safelight.client.watching import Watch
from safelight.client.webhooks import Webhooks
from safelight.model import JobState

DEFAULT_API: Final = "http://127.0.0.1:8000"

MULTIPART_FROM: Final = 16_000_000
"""A file that is larger than this, in bytes, goes in parts."""


class Client:
    """A Safelight at an address. `key` is the API key, or the token, to send where it asks for one.

    A server that has answered before and does not any more is asked again for `patience` seconds: by default long
    enough for a restart. One that never has is not waited for.
    """

    def __init__(
        self,
        api: str = DEFAULT_API,
        *,
        key: str | None = None,
        patience: float | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = Http(api, transport, key=key, patience=patience)
        self.api: str = self._http.api
        """The address, without a slash at its end."""
        self.webhooks = Webhooks(self._http)
        """Who is told when something has happened."""

    def __enter__(self) -> Self:
        self._http.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # --- sending ---

    def upload(
        self,
        path: str | Path,
        *,
        recipe: str | Path | dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
        method: Literal["PUT", "POST"] = "PUT",
        dedupe: bool = False,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Send a file, from disk piece by piece, and return its job. `recipe` is a name, a recipe itself, or the `Path`
        of a file that holds one: YAML, or JSON as `.json`. `progress` is told how many bytes are sent, of how many.

        With `dedupe`, a job that has made the same of the same bytes stands for this one, and nothing is sent.
        Size and SHA-256 are declared beforehand, so that what arrives damaged is refused. A file of more than 16 MB
        goes in parts, several at once, if the server takes them. The same file, recipe and metadata under the same
        `idempotency_key` are the same job for a day from the first request: what has arrived of it is not sent again. A
        job whose time for parts ran out (EXPIRED) is no such job: another one takes its place.

        Raise EmptyFile, RecipeInvalid, Refused, Unreachable, AnotherFile.
        """
        path = Path(path)
        if not path.stat().st_size:
            raise EmptyFile(f"{path} is empty (0 bytes).")
        said = {
            "method": method,
            "recipe": for_request(recipe),
            "metadata": metadata,
            "dedupe": dedupe or None,
        }
        declared = _declared(path, in_parts=method == "PUT") | _given(said)
        key = idempotency_key
        while True:
            grant, again = self._request_upload(declared, key)
            job = Job(self, grant.job_id, name=path.name)
            if not again:
                break
            status = job.refresh().status
            if not status.awaits_file:
                return job
            if status.status is not JobState.EXPIRED or grant.multipart is None:
                break
            # Its parts are gone, and it takes no more: nothing will ever come of it, and another job stands for it.
            # Each try finds the same one, as the key depends on nothing but the key and what expired.
            key = hashlib.sha256(f"{key}\0{job.id}".encode()).hexdigest()
        self._transfer(grant, path, progress)
        return job

    def upload_batch(
        self,
        paths: Iterable[str | Path],
        *,
        recipe: str | Path | dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Send up to 1,000 files, several at once, and return their batch. `recipe` and `metadata` are for all of them.

        They are asked for in one call, all or none, and each is sent as `upload` sends it; URLs that run out before a
        file's turn are asked for anew. `progress` counts the bytes of all files together. A file that can not be sent
        ends the call, once those that are on their way have come to their end. The same files, recipe and metadata
        under the same `idempotency_key` are the same batch for a day from the first request: what has arrived of it is
        not sent again.

        Jobs of files in parts are kept open meanwhile, for a day at most. One that is EXPIRED, since the day is over or
        a call was cut off an hour before, takes nothing more: all other files are sent, and Refused
        (`not_allowed_now`) names those that are left, to be sent by `upload`, or with the batch under another key.

        Raise EmptyFile, RecipeInvalid, Refused, Unreachable, AnotherFile.
        """
        files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        for file in files:
            if not file.stat().st_size:
                raise EmptyFile(f"{file} is empty (0 bytes).")
        said = {
            "files": [_declared(file) for file in files],
            "recipe": for_request(recipe),
            "metadata": metadata,
        }
        return send_batch(self, self._transfer, files, _given(said), progress, idempotency_key)

    def resume(self, job_id: str, path: str | Path, *, progress: Progress | None = None) -> Job:
        """Go on with an upload in parts that was cut off. If the job has its file, nothing is sent.

        Raise AnotherFile if the file is not the one that was announced, or that the job has: by its size, and by its
        SHA-256 once that is known.
        """
        path = Path(path)
        job = Job(self, job_id, name=path.name).refresh()
        if job.status.awaits_file:
            send_parts(self._http, job_id, path, progress)
        elif job.status.source is not None and not _same(path, job.status.source):
            raise AnotherFile(
                f"Job {job_id} has its file, and {path.name} is another one; name that one, "
                "or send this one as a job of its own."
            )
        return job

    def request_upload(self, declared: dict[str, Any] | None = None) -> Grant:
        """Ask for an upload. The request carries a key, so that repeating it can not make a second job."""
        return self._request_upload(declared or {}, None)[0]

    def _request_upload(self, declared: dict[str, Any], key: str | None) -> tuple[Grant, bool]:
        """What was granted, and whether it was granted before under this key."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        answer = self._http.call("POST", "/uploads", lambda: {"json": declared, "headers": headers})
        return self._http.decode(Grant, answer), key is not None and "idempotent-replayed" in answer.headers

    def _transfer(self, grant: Grant, path: Path, progress: Progress | None) -> None:
        """Send a file as its grant wants it, in parts or in one piece."""
        if grant.multipart is not None and grant.upload_url is not None:
            send_parts(self._http, grant.job_id, path, progress)
        else:
            self.send(grant, path, progress)

    def send(self, grant: Grant, path: str | Path, progress: Progress | None = None) -> None:
        """Send a file to where its grant says, as a body or as a form; to nowhere if nothing needs to be sent.

        Raise Refused, Unreachable, and AnotherFile if it is not as large as was announced.
        """
        url = grant.upload_url
        if url is None:
            return
        size = Path(path).stat().st_size
        announced = grant.upload_headers.get("Content-Length", str(size))
        if announced != str(size):
            raise AnotherFile(
                f"{Path(path).name} has {size} bytes, and {announced} were announced; send it as a job of its own."
            )
        with Path(path).open("rb") as file:

            def request() -> dict[str, Any]:
                file.seek(0)
                body = _Watched(file, progress)
                if grant.upload_method == "POST":
                    return {"data": grant.upload_fields, "files": {"file": (Path(path).name, body)}}
                return {"content": body, "headers": grant.upload_headers}

            self._http.call(grant.upload_method, url, request)

    # --- jobs ---

    def job(self, job_id: str) -> Job:
        """The job of this id, as it is now."""
        return Job(self, job_id).refresh()

    def watch(self, job_id: str, timeout: float | None = None) -> Iterator[Status]:
        """Each state of a job from now to its end, as it comes. Raise TookTooLong."""
        return iter(Watch(self._http, job_id, timeout))

    def jobs(self, *, status: JobState | str | None = None, limit: int = 50) -> Iterator[Job]:
        """The newest jobs, at most `limit`."""
        for item in self._http.items("/jobs", limit=limit, status=status):
            yield Job(self, item["jobId"], document=item)

    def batch(self, batch_id: str) -> Batch:
        """The batch of this id, as it is now."""
        return Batch(self, batch_id).refresh()

    def recipes(self) -> Any:
        """The recipes that this Safelight offers."""
        return self._http.ask(object, "GET", "/recipes")

    def recipe(self, name: str) -> Any:
        """One recipe."""
        return self._http.ask(object, "GET", f"/recipes/{quote(name, safe='')}")

    def put_recipe(self, name: str, recipe: bytes | Path) -> Any:
        """Give a recipe, YAML or JSON or a file of it, a name of one's own, new or in place of what it meant."""
        path = f"/recipes/{quote(name, safe='')}"
        content = to_put(recipe)
        return self._http.ask(object, "PUT", path, lambda: {"content": content})

    def delete_recipe(self, name: str) -> None:
        """Take a name of one's own away."""
        self._http.call("DELETE", f"/recipes/{quote(name, safe='')}")


class _Watched:
    """A file that tells how far it has been read. httpx takes its length from the descriptor."""

    def __init__(self, file: IO[bytes], progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._size = fstat(file.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        if self._progress is not None:
            self._progress(self._file.tell(), self._size)
        return piece

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(2**16), b"")

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _same(path: Path, source: Source) -> bool:
    """Whether this may be the file that a job has, by what is known of that."""
    if source.bytes not in (None, path.stat().st_size):
        return False
    return source.sha256 is None or source.sha256 == digest(path)


def _declared(path: Path, *, in_parts: bool = True) -> dict[str, Any]:
    """What is said of a file beforehand: so what arrives damaged is refused."""
    size = path.stat().st_size
    said: dict[str, Any] = {"filename": path.name, "size": size, "sha256": digest(path)}
    return said | ({"multipart": True} if in_parts and size > MULTIPART_FROM else {})


def _given(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}
