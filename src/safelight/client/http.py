"""One exchange over HTTP: patient with what passes by itself, exact about what does not.

Connection errors and 429, 500, 502, 503 and 504 are tried again with growing, jittered pauses, or after the time
that Retry-After asks for. A server that has answered before is waited for until a restart would be over. One that
never has is not: most likely it was not started.
"""

import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from html import unescape
from typing import Any, Final, TypeVar

import httpx
import msgspec

from safelight import __version__
from safelight.client.errors import ClientClosed, ClientError, Refused, TookTooLong, Unreachable
from safelight.decoding import from_json
from safelight.errors import ConfigurationError

ATTEMPTS: Final = 5
PATIENCE: Final = 90.0
"""Seconds for which a server that has answered before is asked again: an update and its restart take a minute."""
ASK_EVERY: Final = 5.0
"""The longest pause of our own between two tries, in seconds: who waits for a restart wants to notice its end."""
PASSING: Final = frozenset({429, 500, 502, 503, 504})
AWAY: Final = frozenset({502, 503, 504})
"""What a proxy says instead of a server that is being restarted; from the server itself they are refusals."""
STRANGE: Final = frozenset({404, 405, 501})
"""What a server says that does not know the paths of the API. Others may be said by a gateway before a Safelight."""
PROBLEM: Final = "urn:safelight:problem:"
"""What the type of a problem document begins with that is a Safelight's."""
LONGEST_PAUSE: Final = 30.0
LONGEST_WAIT: Final = 120.0
"""Who is told to come back later than that, in seconds, as with a day's quota used up, is not kept waiting here."""
PAGE: Final = 100
"""So many items of a list are asked for at once: the most that there may be."""
LOOK: Final = 10.0
"""Seconds that the one look may take where nothing is to be waited for: it, too, needs an answer."""
# Many files at once each hold a connection open while they wait; none of them may starve an upload.
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=32)
LOOPBACK: Final = ("all://127.0.0.1", "all://localhost", "all://[::1]")

Request = Callable[[], dict[str, Any]]
"""Makes the arguments of one request anew for each try: a body that was sent can not be sent again."""

Answer = TypeVar("Answer")


class Http:
    """HTTP with one Safelight, and with the storage that its URLs point to."""

    def __init__(
        self,
        api: str,
        transport: httpx.BaseTransport | None = None,
        *,
        key: str | None = None,
        patience: float | None = None,
    ) -> None:
        if not (api or "").startswith(
            ("http://", "https://")
        ):  # None is what a variable gives that is not set
            meant = f"; did you mean http://{api}?" if api and "://" not in api else "."
            raise ConfigurationError(
                f"The address of Safelight begins with http:// or https://, received {api!r}{meant}"
            )
        if key and not re.fullmatch(r"[\x21-\x7e]+", key):
            raise ConfigurationError(
                "The key is not one: it has no spaces, and nothing but ASCII characters."
            )
        self.api = api.rstrip("/")
        self._key = key or None
        self._patience = PATIENCE if patience is None else patience
        self._client = httpx.Client(
            timeout=timeouts(),
            limits=LIMITS,
            transport=transport,
            headers={"User-Agent": f"safelight/{__version__}"},
            # A proxy that the environment names can not reach this machine's own loopback.
            mounts=None if transport else dict.fromkeys(LOOPBACK),
        )
        self._met: set[bytes] = set()
        """The hosts that have answered: the API's, and that of the storage."""
        self._gone: set[bytes] = set()
        """Those that did, and were waited for in vain."""

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def call(
        self, method: str, url: str, request: Request = dict, *, within: float = float("inf")
    ) -> httpx.Response:
        """Send a request, again if need be, and return a good answer (2xx or 304).

        Raise Unreachable, Refused or ClientClosed, and TookTooLong when `within`, in seconds, is over before there is
        an answer. `url` may be a path of the API.
        """
        start = time.monotonic()
        end = start + within
        host = httpx.URL(self.url(url)).netloc
        attempt = 0
        while True:
            attempt += 1
            timeout = timeouts(remaining(end))
            pause = backoff(attempt)
            try:
                response = self._open().request(
                    method, self.url(url), timeout=timeout, **self._keyed(url, request())
                )
            except httpx.TransportError as error:
                # Waiting would only hide that nobody listens, or that who does will never answer.
                nobody = isinstance(error, httpx.ConnectError | httpx.TimeoutException)
                absent = nobody and attempt == 1 and not self._met
                if absent or self._given_up(host, attempt, start, end):
                    raise self.lost(url, error) from error
            else:
                if not passes(response):
                    self._met.add(host)
                    return self.checked(url, response)
                own = is_problem(response)
                if own:
                    self._met.add(host)
                # Who says itself that it can not is there, and need not be waited for as if it were not.
                here = own or response.status_code not in AWAY
                asked = retry_after(response)
                if here and (attempt >= ATTEMPTS or asked > LONGEST_WAIT):
                    return self.checked(url, response)
                if self._given_up(host, attempt, start, end):
                    return self.checked(url, response)
                pause = max(pause, min(asked, LONGEST_PAUSE))
            time.sleep(min(pause, remaining(end)))

    def checked(self, url: str, response: httpx.Response) -> httpx.Response:
        """The response if it is good. Raise Refused; of a path of the API also for what no Safelight would say."""
        if url.startswith("/") and response.has_redirect_location:
            raise Refused(
                f"What answers at {self.api} is not a Safelight: it sends on to {response.headers['location']}. "
                "Give the address of the Safelight itself.",
                status=response.status_code,
                code="not_safelight",
            )
        if url.startswith("/") and response.status_code in STRANGE and not _may_be_ours(response):
            answered = f"{response.status_code} {response.reason_phrase}"
            raise Refused(
                f"What answers at {self.api} is not a Safelight: it answered {answered} "
                f"to {response.request.method} {url.partition('?')[0]}.",
                status=response.status_code,
                code="not_safelight",
            )
        return checked(response)

    def _given_up(self, host: bytes, attempt: int, start: float, end: float) -> bool:
        """Whether enough tries were made, and a server that was there has been waited for long enough.

        Raise TookTooLong after `end`, however many tries there were.
        """
        remaining(end)
        waited = time.monotonic() - start
        if attempt < ATTEMPTS:
            return False
        if waited >= self._patience:
            # It is gone: what is asked next, about other files, does not wait as long.
            self._met.discard(host)
            self._gone.add(host)
        return host not in self._met

    def ask(self, answer: type[Answer], method: str, path: str, request: Request = dict) -> Answer:
        """Call the API and decode its answer."""
        return self.decode(answer, self.call(method, path, request))

    def items(self, path: str, *, limit: int | None = None, **params: Any) -> Iterator[dict[str, Any]]:
        """What a list of the API holds, in its order and asked for page by page; at most `limit` of it."""
        left = sys.maxsize if limit is None else limit
        query = {name: value for name, value in params.items() if value is not None}
        while left > 0:
            query["limit"] = min(left, PAGE)
            page = self.ask(dict[str, Any], "GET", path, partial(dict, params=query))
            yield from page["items"][:left]
            left -= len(page["items"])
            if not page.get("nextCursor"):
                return
            query = query | {"cursor": page["nextCursor"]}

    def decode(self, answer: type[Answer], response: httpx.Response) -> Answer:
        """The body of an answer. Raise Refused if that is not what a Safelight says."""
        try:
            return from_json(response.content, answer)
        except msgspec.DecodeError as error:
            raise Refused(
                f"What answers at {self.api} is not a Safelight ({error}).",
                status=response.status_code,
                code="not_safelight",
            ) from error

    @contextmanager
    def stream(self, url: str, **request: Any) -> Iterator[httpx.Response]:
        """GET an answer piece by piece, once; whatever its status. Raise ClientClosed; httpx.TransportError passes."""
        with self._open().stream("GET", self.url(url), **self._keyed(url, request)) as response:
            if not passes(response):
                self._met.add(response.url.netloc)
            yield response

    def check_open(self) -> None:
        """Raise ClientClosed if it is."""
        if self._client.is_closed:
            raise ClientClosed

    def _open(self) -> httpx.Client:
        """What sends requests. Raise ClientClosed."""
        self.check_open()
        return self._client

    def url(self, url: str) -> str:
        """The whole URL of a path of the API; other URLs stay as they are."""
        return f"{self.api}{url}" if url.startswith("/") else url

    def _keyed(self, url: str, request: dict[str, Any]) -> dict[str, Any]:
        """The request with the key, if it goes to the API: a signed URL needs none, and its host must not get it."""
        if self._key is None or not url.startswith("/"):
            return request
        return request | {"headers": {"Authorization": f"Bearer {self._key}", **request.get("headers", {})}}

    def lost(self, url: str, error: httpx.TransportError) -> ClientError:
        """The error for a connection that could not be made or kept."""
        whole = httpx.URL(self.url(url))
        origin = f"{whole.scheme}://{whole.netloc.decode()}"
        why = _tls_fails(origin, error)
        if isinstance(error, httpx.ReadTimeout):
            why = f"Who listens at {origin} does not answer; is it a Safelight?"
        if not why and self.api.startswith(origin) and whole.netloc in self._gone:
            why = f"The Safelight at {self.api} does not answer any more; start it again."
        if self.api.startswith(origin):
            return Unreachable(self.api, why)
        return Refused(
            why or f"The storage at {origin} does not answer.", status=0, code="storage_unreachable"
        )


def _tls_fails(origin: str, error: httpx.TransportError) -> str:
    """What is wrong, if somebody answers there and TLS is what fails; else nothing."""
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"The certificate of {origin} is not trusted: {said.partition('failed: ')[2] or said}."
    # Nothing else shows that nobody speaks TLS there: whoever is in between can send an alert.
    if "WRONG_VERSION_NUMBER" in said or "HTTP_REQUEST" in said:
        return f"Who answers at {origin} speaks no TLS; does its address begin with http://?"
    return f"TLS with {origin} fails: {said}." if "[SSL" in said else ""


def remaining(end: float) -> float:
    """The seconds until `end`, a moment of the monotonic clock. Raise TookTooLong if there are none."""
    left = end - time.monotonic()
    if left <= 0:
        raise TookTooLong
    return left


def end_of(timeout: float | None) -> float:
    """The moment of the monotonic clock at which waiting is over. A timeout that is over already leaves one look."""
    if timeout is None:
        return float("inf")
    return time.monotonic() + (timeout if timeout > 0 else LOOK)


def timeouts(left: float = float("inf"), read: float = 30.0) -> httpx.Timeout:
    """The timeouts of a request: none is longer than the time that is left for it, in seconds."""
    return httpx.Timeout(min(read, left), connect=min(10.0, left))


def passes(response: httpx.Response) -> bool:
    """Whether the same request may well be answered otherwise in a moment."""
    # A conflict that says when to come back: the first try of this very request is still being answered.
    conflict = response.status_code == httpx.codes.CONFLICT and "retry-after" in response.headers
    return response.status_code in PASSING or conflict


def is_problem(response: httpx.Response) -> bool:
    """Whether it is a Safelight itself that refuses: its problems name their kind by a URN of its own."""
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return False
    try:
        return from_json(response.content, _Problem).type.startswith(PROBLEM)
    except msgspec.DecodeError:
        return False


class _Problem(msgspec.Struct):
    type: str


def checked(response: httpx.Response) -> httpx.Response:
    """The response if it is good. Raise Refused with what the API's JSON or the storage's XML says."""
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    response.read()
    code, message = _problem(response) or _storage_error(response) or ("refused", "")
    host = response.request.url.netloc.decode()
    message = message or f"{host} answered {response.status_code} {response.reason_phrase}."
    raise Refused(message, status=response.status_code, code=code)


def _may_be_ours(response: httpx.Response) -> bool:
    """Whether a Safelight may have refused so: it says a `code`, and the gateway before it on AWS a `message`."""
    try:
        body = msgspec.json.decode(response.read())
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(body, dict) and bool(body.keys() & {"code", "message"})


def backoff(attempt: int) -> float:
    """Seconds before the next try: 0.25, 0.5, 1, 2 … to 5, each ± 20 %."""
    return min(0.25 * 2.0 ** min(attempt - 1, 10), ASK_EVERY) * random.uniform(0.8, 1.2)


def retry_after(response: httpx.Response) -> float:
    """The seconds that Retry-After asks for, or 0."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


def _problem(response: httpx.Response) -> tuple[str, str] | None:
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return None
    if not isinstance(body, dict):
        return None
    message = body.get("detail") or body.get("message") or body.get("error") or body.get("title") or ""
    return str(body.get("code") or "refused"), str(message)


def _storage_error(response: httpx.Response) -> tuple[str, str] | None:
    code = re.search(r"<Code>(.*?)</Code>", response.text)
    message = re.search(r"<Message>(.*?)</Message>", response.text, re.DOTALL)
    if code is None:
        return None
    return unescape(code[1]), f"Storage refused: {unescape(message[1] if message else code[1]).strip()}"
