"""Requests to addresses of callers, over real sockets on the loopback interface."""

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.receiver import Receiver, receiver

from safelight.errors import (
    AddressRefused,
    HostUnknown,
    NotConnected,
    NotHttp,
    OutgoingError,
    TimedOut,
    TlsNotTrusted,
)
from safelight.outgoing import Outgoing


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def post(url: str, body: bytes = b"{}", **options: object) -> int:
    """One request; the status of its answer."""
    return Outgoing(loopback=True, **options).post(url, body, {"X-A": "b"}).status  # type: ignore[arg-type]


@contextmanager
def raw(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that talks to one connection after the other in its own way; its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # the other side has had enough
                talk(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_what_is_sent(there: Receiver) -> None:
    """The body as it is, the headers, the path with its query."""
    assert post(f"{there.url}?a=b", b"\x00\xff") == 204
    [request] = there.received
    assert (request.path, request.body, request.headers["x-a"]) == ("/hook?a=b", b"\x00\xff", "b")


def test_a_redirect_is_an_answer(there: Receiver) -> None:
    """It is not followed, wherever it leads."""
    there.answer = lambda _request: (307, {"Location": there.url})
    assert post(there.url) == 307
    assert len(there.received) == 1


def test_no_proxy_is_asked(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says: a proxy would resolve the name again, and go where it likes."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert post(there.url) == 204


def test_retry_after_is_told(there: Receiver) -> None:
    """In seconds; what is no number of seconds is none."""
    for said, expected in (("120", 120.0), ("soon", 0.0), ("-5", 0.0)):
        there.answer = lambda _request, said=said: (503, {"Retry-After": said})  # type: ignore[misc]
        assert Outgoing(loopback=True).post(there.url, b"", {}).retry_after == expected


def test_a_name_is_resolved_once_and_the_connection_goes_there(there: Receiver) -> None:
    """A name that leads elsewhere the second time is asked once: what was judged is what is connected to."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    assert post(there.url.replace("127.0.0.1", "hooks.example"), resolve=resolve) == 204
    assert asked == ["hooks.example"]
    assert there.received[0].headers["host"].startswith("hooks.example:")


def test_an_address_that_turned_bad_is_refused(there: Receiver) -> None:
    """Judged at every request, not when it was registered: nothing is connected to."""
    outgoing = Outgoing(resolve=lambda _host, _port: ["127.0.0.1"])
    port = there.url.split(":")[2].split("/")[0]
    with pytest.raises(AddressRefused):
        outgoing.post(f"https://hooks.example:{port}/", b"", {})
    with pytest.raises(AddressRefused):
        outgoing.post(there.url, b"", {})
    with pytest.raises(HostUnknown):
        Outgoing(resolve=lambda _host, _port: []).post("https://hooks.example/", b"", {})
    assert there.received == []


def test_the_next_address_is_tried(there: Receiver) -> None:
    """A host of several addresses is reached though the first does not answer."""
    assert post(there.url.replace("127.0.0.1", "h"), resolve=lambda _h, _p: ["::1", "127.0.0.1"]) == 204


def test_nobody_there() -> None:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with pytest.raises(NotConnected):
        post(url)


def _nothing(connection: socket.socket) -> None:
    connection.recv(65536)


def _noise(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


def _endless_headers(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 8000 + b"\r\n")


@pytest.mark.parametrize(
    ("talk", "error"),
    [(_nothing, NotHttp), (_noise, NotHttp), (_endless_headers, NotHttp)],
    ids=lambda value: value.__name__,
)
def test_what_is_no_answer(talk: Callable[[socket.socket], None], error: type[OutgoingError]) -> None:
    """An end without a word, another protocol, a head without an end."""
    with raw(talk) as url, pytest.raises(error):
        post(url)


def test_an_answer_without_an_end_is_left() -> None:
    """Of a body only the beginning is read, then the connection is closed."""
    sent = 0

    def talk(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            sent += connection.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with raw(talk) as url:
        assert post(url) == 200
    assert sent < 64_000_000


def _drip(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    ended = threading.Event()
    while not ended.wait(0.05):
        connection.sendall(b"X-A: b\r\n")


def _silence(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("talk", [_drip, _silence], ids=lambda value: value.__name__)
def test_the_limit_is_for_all_of_it(talk: Callable[[socket.socket], None]) -> None:
    """Who answers byte by byte has no more time than who says nothing."""
    with raw(talk) as url, pytest.raises(TimedOut):
        post(url, seconds=0.5)


def test_what_is_under_way_can_be_broken_off() -> None:
    """By another thread, at once; and nothing is begun after that."""
    begun = threading.Event()

    def talk(connection: socket.socket) -> None:
        begun.set()
        _silence(connection)

    outgoing = Outgoing(loopback=True, seconds=600.0)
    ended: list[Exception] = []

    def send(url: str) -> None:
        try:
            outgoing.post(url, b"", {})
        except OutgoingError as error:
            ended.append(error)

    with raw(talk) as url:
        thread = threading.Thread(target=send, args=(url,))
        thread.start()
        assert begun.wait(30)
        outgoing.close()
        thread.join(30)
        assert len(ended) == 1
        with pytest.raises(NotConnected):
            outgoing.post(url, b"", {})


# --- TLS ---


def certificate(folder: Path, name: str) -> Path:
    """A certificate for a name, signed by itself; the file holds the key, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_certificates_are_verified(tmp_path: Path) -> None:
    """One of an unknown authority is refused, and so is one for another name; the right one is taken."""
    own = certificate(tmp_path, "hooks.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(own)

    def talk(connection: socket.socket) -> None:
        with serving.wrap_socket(connection, server_side=True) as secure:
            said = b""
            while not said.endswith(b"{}") and (more := secure.recv(65536)):
                said += (
                    more  # to the end: a connection closed over what was not read is reset, answer and all
                )
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    trusting = ssl.create_default_context(cafile=str(own))
    with raw(talk) as plain:
        url = plain.replace("http:", "https:").replace("127.0.0.1", "hooks.example")
        with pytest.raises(TlsNotTrusted):
            post(url, resolve=here)
        with pytest.raises(TlsNotTrusted):
            post(url.replace("hooks", "other"), resolve=here, context=trusting)
        assert post(url, resolve=here, context=trusting) == 200
