"""Sending a file in parts: several at once, each checked on the way, and only those that have not arrived yet."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from safelight.client.answers import PartLink, Parts
from safelight.client.errors import AnotherFile, Refused
from safelight.client.http import ATTEMPTS, LOOK, Http
from safelight.threads import side_by_side

Progress = Callable[[int, int], None]
"""Told how many bytes have been sent, and of how many."""

AT_ONCE: Final = 4
"""So many parts are on their way at once: one connection seldom fills a line."""

PAGE: Final = 16
"""So many URLs are asked for at once: they have to be used before they run out."""

_PIECE: Final = 2**16


def send_parts(http: Http, job_id: str, path: Path, progress: Progress | None = None) -> None:
    """Send what is missing of a file, and complete it. Raise Refused, Unreachable, AnotherFile."""
    size = path.stat().st_size
    counter = Counter(size, progress)
    base = _address(job_id)
    etags: dict[int, str] = {}
    start: int | None = 1
    while start is not None:
        start = _send_page(http, base, path, start, etags, counter)
    if sum(counter.counted.values()) != size:
        raise _another(path)
    named = [{"partNumber": number, "etag": etag} for number, etag in sorted(etags.items())]
    http.call("POST", f"{base}/complete", partial(dict, json={"parts": named}))


def keep_open(http: Http, job_id: str) -> None:
    """Show that the file of a job will still be sent, and send none of it. Raise Refused, Unreachable, TookTooLong."""
    http.call("GET", f"{_address(job_id)}/parts?from=1&limit=1", within=LOOK)


class Counter:
    """How much has arrived, part by part or file by file: what is sent again is not counted twice."""

    def __init__(self, size: int, progress: Progress | None) -> None:
        self._size = size
        self._progress = progress
        self._lock = threading.Lock()
        self.counted: dict[int, int] = {}

    def at(self, number: int, sent: int) -> None:
        """So much of the part or file of this number has been sent."""
        with self._lock:
            self.counted[number] = sent
            if self._progress is not None:
                self._progress(sum(self.counted.values()), self._size)


def _another(path: Path) -> AnotherFile:
    return AnotherFile(
        f"{path.name} is not the file that was announced, by its size; go on with that one, "
        "or send this one as a job of its own."
    )


def _address(job_id: str) -> str:
    return f"/uploads/{quote(job_id, safe='')}"


def _send_page(
    http: Http, base: str, path: Path, start: int, etags: dict[int, str], counter: Counter
) -> int | None:
    """Send one page of parts; where the next begins. URLs that ran out on the way are asked for again."""
    for attempt in range(1, ATTEMPTS + 1):
        page = http.ask(Parts, "GET", f"{base}/parts?from={start}&limit={PAGE}")
        there = {part.part_number: part for part in page.uploaded}
        todo = []
        for link in page.parts:
            known, place = there.get(link.part_number), _Place(path, page.part_size, link)
            if known is not None and known.etag.strip('"') == place.md5().hex():
                etags[link.part_number] = known.etag
                counter.at(link.part_number, known.size)
            else:
                todo.append(place)
        try:
            etags.update(side_by_side(partial(_send, http, counter), todo, AT_ONCE))
        except Refused as error:
            if error.status != httpx.codes.FORBIDDEN or attempt == ATTEMPTS:
                raise
        else:
            return page.next
    raise AssertionError("the last attempt returns or raises")


class _Place:
    """Where a part lies in the file."""

    def __init__(self, path: Path, part_size: int, link: PartLink) -> None:
        self.link = link
        self._path = path
        self._offset = (link.part_number - 1) * part_size
        self.size = min(part_size, path.stat().st_size - self._offset)
        if str(self.size) != link.headers.get("Content-Length", str(self.size)):
            raise _another(path)

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, piece by piece."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            left = self.size
            while left and (piece := file.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece

    def md5(self) -> bytes:
        """The MD5 of its bytes, by which storage checks what arrives."""
        digest = hashlib.md5(usedforsecurity=False)
        for piece in self.pieces():
            digest.update(piece)
        return digest.digest()


def _send(http: Http, counter: Counter, place: _Place) -> tuple[int, str]:
    """Send one part; its number and its ETag."""
    number = place.link.part_number
    headers = {
        **place.link.headers,
        "Content-Length": str(place.size),
        "Content-MD5": base64.b64encode(place.md5()).decode(),
    }

    def body() -> Iterator[bytes]:
        sent = 0
        for piece in place.pieces():
            yield piece
            sent += len(piece)
            counter.at(number, sent)

    def request() -> dict[str, Any]:
        return {"content": body(), "headers": headers}

    answer = http.call("PUT", place.link.url, request)
    return number, answer.headers["etag"]
