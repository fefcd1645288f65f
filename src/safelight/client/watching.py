"""Watching a job: Server-Sent Events where the server has them, otherwise asking again when it says to."""

import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import httpx
import msgspec

from safelight.client.answers import Status
from safelight.client.errors import Refused, TookTooLong
from safelight.client.http import LONGEST_PAUSE, Http, end_of, remaining, retry_after, timeouts
from safelight.decoding import from_json

SILENCE: Final = 60.0
"""Seconds without a sign of life after which a stream of events is taken to be dead, and opened anew."""


class Watch:
    """Iterate over the states of a job, each once, to the last. Raise TookTooLong when `timeout` is over; if it is 0 or
    less, after one look at a job that goes on."""

    def __init__(self, http: Http, job_id: str, timeout: float | None = None) -> None:
        self._http = http
        self._path = f"/jobs/{quote(job_id, safe='')}"
        self._end = end_of(timeout)
        self._once = timeout is not None and timeout <= 0
        self._pause = 1.0
        self._listening = not self._once
        self._etag = ""

    def __iter__(self) -> Iterator[Status]:
        last: Status | None = None
        while True:
            for status in self._listen() if self._listening else self._look():
                if status != last:
                    yield status
                if status.status.terminal:
                    return
                last = status
            if self._once:
                raise TookTooLong
            time.sleep(min(self._pause, self._left()))

    def _listen(self) -> Iterator[Status]:
        headers = {"Accept": "text/event-stream"}
        silence = timeouts(self._left(), SILENCE)
        try:
            with self._http.stream(f"{self._path}/events", headers=headers, timeout=silence) as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    self._http.checked(f"{self._path}/events", response)
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    yield from self._events(response.iter_lines())
                    return
                # 204: the job has ended. Anything else: no events here, so ask.
                self._listening = False
        except httpx.TransportError:
            pass  # cut off or silent: a look tells whether the server is there, and where the job stands
        yield from self._look()

    def _events(self, lines: Iterator[str]) -> Iterator[Status]:
        data: list[str] = []
        for line in lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "retry" and value.isdecimal():
                self._pause = min(int(value) / 1000, LONGEST_PAUSE)
            elif not line and data:
                yield self._status("\n".join(data))
                data.clear()
            self._left()

    def _status(self, text: str) -> Status:
        try:
            return from_json(text, Status)
        except msgspec.DecodeError as error:
            raise Refused(f"An event is not a job ({error}).", status=200, code="not_safelight") from error

    def _look(self) -> Iterator[Status]:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        response = self._http.call("GET", self._path, lambda: {"headers": headers}, within=self._left())
        self._etag = response.headers.get("etag", "")
        self._pause = min(retry_after(response) or 1.0, LONGEST_PAUSE)
        if response.status_code != httpx.codes.NOT_MODIFIED:
            yield self._http.decode(Status, response)

    def _left(self) -> float:
        return remaining(self._end)
