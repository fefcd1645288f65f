"""A POST to an address that a caller gave (`addresses` says which those may be), by httpcore.

Resolved, judged and connected in one go; TLS is verified against the name; no redirect is followed and no proxy of the
environment is used, since httpcore knows of neither; of an answer a little is read. A time limit is for all of it
together, however slowly the other side lets bytes trickle; only the resolver keeps its own time.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import httpcore

from safelight.addresses import Place, Resolve, addresses_of, place_of
from safelight.errors import NotConnected, NotHttp, TimedOut, TlsNotTrusted

SECONDS: Final = 15.0
"""How long a request may take."""

CONNECT_SECONDS: Final = 5.0
"""How long one address of several may take to answer."""

READ_AT_MOST: Final = 16_384
"""So much of an answer's body is read; nothing is made of it."""


class Answered(NamedTuple):
    """What came back: the status, and how many seconds Retry-After asks to wait."""

    status: int
    retry_after: float = 0.0


class Outgoing:
    """Sends. Any number of threads may use it.

    `loopback` is for development: this machine may be reached too, and by plain http.
    """

    def __init__(
        self,
        *,
        loopback: bool = False,
        seconds: float = SECONDS,
        resolve: Resolve | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._loopback = loopback
        self._seconds = seconds
        self._resolve = resolve
        self._context = context
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Send the body. Raise OutgoingError if no answer comes; whatever the answer is, it is returned."""
        place = place_of(url, loopback=self._loopback)
        end = time.monotonic() + self._seconds
        try:
            with httpcore.ConnectionPool(
                ssl_context=self._tls(), network_backend=_Backend(self, place, end), http2=False
            ) as pool:
                # Made of what was judged, so that nobody reads the URL in another way.
                whole = httpcore.URL(
                    scheme=place.scheme, host=place.host, port=place.port, target=place.target
                )
                lines: dict[bytes | str, bytes | str] = {"Content-Length": str(len(body))}
                lines.update(headers.items())
                with pool.stream("POST", whole, headers=lines, content=body) as response:
                    read = 0
                    for piece in response.iter_stream():
                        read += len(piece)
                        if read >= READ_AT_MOST:
                            break
                return Answered(response.status, _retry_after(response))
        except httpcore.TimeoutException:
            raise TimedOut from None
        except (httpcore.ProtocolError, ValueError):
            raise NotHttp from None
        except (httpcore.NetworkError, OSError) as error:
            if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
                raise TlsNotTrusted from None
            if time.monotonic() >= end:
                raise TimedOut from None
            raise NotConnected from None

    def close(self) -> None:
        """Break off what is under way, in whatever thread; what is sent later raises NotConnected."""
        with self._lock:
            self._closed = True
            for opened in self._open:
                with contextlib.suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

    def connect(self, place: Place, end: float) -> socket.socket:
        """A connection to one of the host's addresses, all of them judged just now. Raise OSError, OutgoingError."""
        error: OSError = ConnectionRefusedError()
        for address in addresses_of(place, loopback=self._loopback, resolve=self._resolve):
            left = end - time.monotonic()
            if left <= 0:
                raise TimedOut
            try:
                opened = socket.create_connection((address, place.port), timeout=min(left, CONNECT_SECONDS))
            except OSError as failed:
                error = failed
                continue
            self.keep(opened)
            return opened
        raise error

    def keep(self, opened: socket.socket | None, *, instead_of: socket.socket | None = None) -> None:
        """Know a connection, to break it off at the end. Raise NotConnected if the end has come, and close it."""
        with self._lock:
            if instead_of is not None:
                self._open.discard(instead_of)
            if opened is None:
                return
            if not self._closed:
                self._open.add(opened)
                return
        opened.close()
        raise NotConnected

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = ssl.create_default_context()
            return self._context


class _Backend(httpcore.NetworkBackend):
    """Connects one request."""

    def __init__(self, outgoing: Outgoing, place: Place, end: float) -> None:
        self._outgoing = outgoing
        self._place = place
        self._end = end

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the same as in the place
        port: int,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002 - the end counts
        local_address: str | None = None,  # noqa: ARG002 - httpcore's protocol
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect to where the place leads now."""
        with _as_httpcore(httpcore.ConnectError, httpcore.ConnectTimeout):
            opened = self._outgoing.connect(self._place, self._end)
        return _Stream(self._outgoing, opened, self._end)


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at the end of the request."""

    def __init__(self, outgoing: Outgoing, opened: socket.socket, end: float) -> None:
        self._outgoing = outgoing
        self._socket = opened
        self._end = end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the end counts
        """Some bytes; none at the end."""
        with _as_httpcore(httpcore.ReadError, httpcore.ReadTimeout):
            self._in_time()
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the end counts
        """Send all of it."""
        with _as_httpcore(httpcore.WriteError, httpcore.WriteTimeout):
            while buffer:
                self._in_time()
                buffer = buffer[self._socket.send(buffer) :]

    def close(self) -> None:
        """Close the connection."""
        self._outgoing.keep(None, instead_of=self._socket)
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the end counts
    ) -> httpcore.NetworkStream:
        """Speak TLS from here on, with whom the certificate names."""
        try:
            with _as_httpcore(httpcore.ConnectError, httpcore.ConnectTimeout):
                self._in_time()
                # The handshake is a step of its own, so that it can be broken off like every other.
                wrapped = ssl_context.wrap_socket(
                    self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
                )
                self._outgoing.keep(wrapped, instead_of=self._socket)
                self._socket = wrapped
                wrapped.do_handshake()
        except BaseException:
            self.close()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """The socket; httpcore needs nothing else."""
        return self._socket if info == "socket" else None

    def _in_time(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


@contextlib.contextmanager
def _as_httpcore(error: type[Exception], timeout: type[Exception]) -> Iterator[None]:
    """Raise what httpcore expects of a connection."""
    try:
        yield
    except TimeoutError as late:
        raise timeout from late
    except OSError as failed:
        raise error from failed


def _retry_after(response: httpcore.Response) -> float:
    """The seconds that Retry-After asks for; dates are not understood."""
    for name, value in response.headers:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) < 10:
            return float(value)
    return 0.0
