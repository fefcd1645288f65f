"""The storage endpoint of the embedded backend, over real HTTP: it answers as S3 does."""

import asyncio
import base64
import hashlib
import http.client
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from safelight.backends.embedded import Embedded
from safelight.ports import UploadGrant, UploadLink

PORTS = frozenset[str]()

KEY = "uploads/j1/two words + ünï.jpg"
CONTENT = b"The quick brown fox jumps over the lazy dog" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A running endpoint, and the same folder opened here to sign and to look."""

    def __init__(self, data: Path) -> None:
        self.data = data
        command = [sys.executable, "-m", "tests.contract.storage_server", str(data)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        self.port = int(self.told_of())
        self.embedded = Embedded(data, base_url=f"http://127.0.0.1:{self.port}")
        self.client = httpx.Client(timeout=50)

    def told_of(self) -> Any:
        """The next upload that the endpoint told of."""
        output: IO[bytes] | None = self.process.stdout
        assert output is not None
        return json.loads(output.readline())

    def link(self, key: str = KEY, **grant: Any) -> UploadLink:
        """A signed upload."""
        allowed: dict[str, Any] = {"key": key, "expires_in": 60, "max_bytes": 100_000}
        return self.embedded.links.upload(UploadGrant(**allowed | grant))

    def put(self, link: UploadLink, content: Any = CONTENT, **headers: str) -> httpx.Response:
        """Upload as the link says, and a little differently."""
        return self.client.put(link.url, content=content, headers=link.headers | headers)

    def stored(self, key: str = KEY) -> bytes | None:
        """What is in the store."""
        if self.embedded.blobs.head(key) is None:
            return None
        with self.embedded.blobs.open(key) as file:
            return file.read()

    def left(self) -> list[Path]:
        """Every file of the store, finished or not."""
        return [p for folder in ("files", "tmp") for p in (self.data / folder).rglob("*") if p.is_file()]

    def wait_until_nothing_is_left(self) -> None:
        """Until what a broken upload began has been removed; the test's time limit ends the wait."""
        while self.left():
            time.sleep(0.01)

    def memory(self) -> int:
        """The most memory that the endpoint ever had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests."""
    server = Server(tmp_path_factory.mktemp("storage"))
    yield server
    server.client.close()
    server.embedded.close()
    server.process.kill()
    server.process.wait()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """The server, with an empty store before and after, and the clock at now."""
    yield running
    for prefix in ("uploads/", "processed/"):
        running.embedded.blobs.delete(prefix)
    (running.data / "fail").unlink(missing_ok=True)


def refused(response: httpx.Response, status: int, code: str) -> str:
    """Check that a refusal has S3's form; give its message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/xml"
    assert f"<Code>{code}</Code>" in response.text
    assert f"<RequestId>{response.headers['x-amz-request-id']}</RequestId>" in response.text
    match = re.search("<Message>(.+)</Message>", response.text)
    assert match is not None
    return match[1]


# --- PUT --------------------------------------------------------------------------------------------------


def test_a_bare_put_stores_the_object(server: Server) -> None:
    """It is in the store, and told of, before the answer."""
    response = server.put(server.link())
    assert response.status_code == 200
    info = server.embedded.blobs.head(KEY)
    assert info is not None
    assert response.headers["etag"] == f'"{info.version}"'
    assert response.headers["x-amz-version-id"] == info.version
    assert server.stored() == CONTENT
    assert server.told_of() == [KEY, info.version, len(CONTENT)]


def test_everything_declared_is_checked(server: Server) -> None:
    """An upload that keeps to its link is taken."""
    link = server.link(content_type="image/jpeg", size=len(CONTENT), sha256=SHA256, overwrite=False)
    assert server.put(link).status_code == 200
    assert server.stored() == CONTENT
    server.told_of()


def test_a_bare_link_takes_any_content_type(server: Server) -> None:
    """What was not declared is not checked."""
    assert server.put(server.link(), **{"Content-Type": "text/whatever"}).status_code == 200
    server.told_of()


def test_a_chunked_body_is_taken(server: Server) -> None:
    """Without a length known ahead."""
    assert server.put(server.link(), iter([b"one ", b"two"])).status_code == 200
    assert server.stored() == b"one two"
    server.told_of()


def test_an_empty_body_is_an_empty_object(server: Server) -> None:
    """The pipeline will say what is wrong with it."""
    assert server.put(server.link(), b"").status_code == 200
    assert server.stored() == b""
    server.told_of()


def test_a_later_upload_makes_a_new_version(server: Server) -> None:
    """The link can be used again while it is good."""
    link = server.link()
    first, second = server.put(link, b"1"), server.put(link, b"2")
    assert first.headers["x-amz-version-id"] != second.headers["x-amz-version-id"]
    assert server.stored() == b"2"
    assert [server.told_of()[2], server.told_of()[2]] == [1, 1]


def test_a_failure_to_tell_does_not_refuse_the_upload(server: Server) -> None:
    """The object is durable; the sweeper will find it."""
    (server.data / "fail").touch()
    assert server.put(server.link()).status_code == 200
    assert server.stored() == CONTENT


def test_an_expired_link_is_refused(server: Server) -> None:
    """As S3 says it."""
    assert refused(server.put(server.link(expires_in=-1)), 403, "AccessDenied") == "Request has expired"
    assert server.left() == []


def test_a_request_without_a_signature_is_refused(server: Server) -> None:
    """In every method."""
    for method in ("PUT", "GET"):
        response = server.client.request(method, f"http://127.0.0.1:{server.port}/files/{KEY}", content=b"x")
        refused(response, 403, "AccessDenied")
    assert server.left() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/files/uploads/j1/", "/files/uploads/j2/"),
        ("/files/uploads/", "/files/processed/"),
        ("X-Safelight-MaxBytes=100000", "X-Safelight-MaxBytes=900000"),
        ("X-Safelight-Expires=1", "X-Safelight-Expires=9"),
        ("X-Safelight-Signature=", "X-Safelight-Signature=0"),
        ("&X-Safelight-Signature=", "&versionId=1&X-Safelight-Signature="),
        ("X-Safelight-SignedHeaders=content-type", "X-Safelight-SignedHeaders="),
        ("&X-Safelight-SignedHeaders=content-type", ""),
    ],
)
def test_a_changed_link_is_refused(server: Server, old: str, new: str) -> None:
    """Key, limit, expiry, headers, further parameters: nothing can be changed."""
    link = server.link(content_type="image/jpeg")
    assert old in link.url
    response = server.client.put(link.url.replace(old, new, 1), content=b"x", headers=link.headers)
    refused(response, 403, "SignatureDoesNotMatch")
    assert server.left() == []


@pytest.mark.parametrize(
    "query", ["a=1&X-Safelight-Signature=1", "X-Safelight-Expires=x&X-Safelight-Signature=1"]
)
def test_malformed_parameters_are_refused(server: Server, query: str) -> None:
    """As malformed, not as wrong."""
    response = server.client.put(f"http://127.0.0.1:{server.port}/files/uploads/a/b?{query}", content=b"x")
    refused(response, 400, "AuthorizationQueryParametersError")


def test_a_repeated_parameter_is_refused(server: Server) -> None:
    """Which of the two was signed is not guessed."""
    response = server.client.put(server.link().url + "&X-Safelight-MaxBytes=9", content=b"x")
    refused(response, 400, "AuthorizationQueryParametersError")


def test_a_link_is_for_one_method(server: Server) -> None:
    """An upload link does not read, a download link does not write, nor look."""
    upload = server.link().url
    download = server.embedded.links.download(KEY, filename="a", content_type="image/png")
    assert server.put(server.link()).status_code == 200
    refused(server.client.get(upload), 403, "SignatureDoesNotMatch")
    refused(server.client.put(download, content=b"x"), 403, "SignatureDoesNotMatch")
    assert server.client.head(download).status_code == 403
    server.told_of()


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "POST"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    """And the answer says which are allowed."""
    response = server.client.request(method, server.link().url, content=b"x")
    refused(response, 405, "MethodNotAllowed")
    assert "PUT" in response.headers["allow"]


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ({"content_type": "image/jpeg"}, {"Content-Type": "image/png"}),
        ({"size": 7}, {}),
        ({"sha256": SHA256}, {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()}),
        ({"overwrite": False}, {"If-None-Match": '"x"'}),
    ],
)
def test_a_signed_header_must_be_as_signed(
    server: Server, declared: dict[str, Any], sent: dict[str, str]
) -> None:
    """Another value is refused before a byte is stored."""
    link = server.link(**declared)
    headers = {**link.headers, **sent, **({"Content-Length": "5"} if "size" in declared else {})}
    response = server.client.put(link.url, content=b"12345", headers=headers)
    refused(response, 403, "SignatureDoesNotMatch")
    assert server.left() == []


@pytest.mark.parametrize(
    "declared", [{"content_type": "image/jpeg"}, {"sha256": SHA256}, {"overwrite": False}]
)
def test_a_signed_header_must_not_be_missing(server: Server, declared: dict[str, Any]) -> None:
    """Leaving it out does not leave out the check."""
    response = server.client.put(server.link(**declared).url, content=CONTENT)
    refused(response, 403, "SignatureDoesNotMatch")
    assert server.left() == []


def test_an_unsigned_amz_header_is_refused(server: Server) -> None:
    """As S3 does: what it means was not agreed."""
    message = refused(server.put(server.link(), **{"x-amz-acl": "public-read"}), 403, "AccessDenied")
    assert message == "There were headers present in the request which were not signed"


def test_a_wrong_checksum_is_refused(server: Server) -> None:
    """The declared digest is compared with the bytes that came; nothing of them stays."""
    link = server.link(sha256=SHA256)
    refused(server.put(link, CONTENT[:-1] + b"!"), 400, "BadDigest")
    server.wait_until_nothing_is_left()


def test_content_md5_is_checked(server: Server) -> None:
    """Whoever sends it, signed or not, means it."""
    right = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    wrong = base64.b64encode(bytes(16)).decode()
    refused(server.put(server.link(), **{"Content-MD5": wrong}), 400, "BadDigest")
    refused(server.put(server.link(), **{"Content-MD5": "x"}), 400, "InvalidDigest")
    assert server.put(server.link(), **{"Content-MD5": right}).status_code == 200
    server.told_of()


def test_an_existing_object_is_not_overwritten_if_so_declared(server: Server) -> None:
    """The first upload is taken and the second refused."""
    link = server.link(overwrite=False)
    assert server.put(link, b"first").status_code == 200
    refused(server.put(link, b"second"), 412, "PreconditionFailed")
    assert server.stored() == b"first"
    server.told_of()


def test_a_body_of_unknown_length_is_refused(server: Server) -> None:
    """Neither a length nor chunks: 411."""
    url = urlsplit(server.link().url)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=50)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 411
    assert b"MissingContentLength" in response.read()
    connection.close()


# --- too large, too short, broken off ---------------------------------------------------------------------


def _raw(server: Server, link: UploadLink, headers: str) -> socket.socket:
    url = urlsplit(link.url)
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=50)
    connection.sendall(f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode())
    return connection


def _rest(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def test_a_length_over_the_limit_is_refused_unread(server: Server) -> None:
    """The answer comes before the body is sent, and a client that sends it all the same gets the answer too."""
    with _raw(server, server.link(max_bytes=1000), "Content-Length: 2000") as connection:
        answer = b""
        while not answer.endswith(b"</Error>"):
            answer += connection.recv(65536)
        assert b"EntityTooLarge" in answer
        connection.sendall(bytes(2000))
        assert connection.recv(65536) == b""
    refused(server.put(server.link(max_bytes=1000), bytes(20_000_000)), 400, "EntityTooLarge")
    assert server.left() == []


def test_a_refusal_for_a_size_names_the_sizes(server: Server) -> None:
    """As S3's does: what is allowed, and what came, where that is known before all of it has come."""

    def sizes(response: httpx.Response) -> dict[str, int]:
        assert response.status_code == 400
        found = re.findall(r"<(ProposedSize|M\w+SizeAllowed)>(\d+)</\1>", response.text)
        return {name: int(size) for name, size in found}

    limited, form = server.link(max_bytes=1000), server.link(method="POST", size=10)
    assert sizes(server.put(limited, bytes(2000))) == {"ProposedSize": 2000, "MaxSizeAllowed": 1000}
    assert sizes(server.put(limited, iter([bytes(2000)]))) == {"MaxSizeAllowed": 1000}
    assert sizes(post(server, form, bytes(11))) == {"MaxSizeAllowed": 10}
    assert sizes(post(server, form, bytes(9))) == {"ProposedSize": 9, "MinSizeAllowed": 10}


def test_a_client_that_asks_first_need_not_send(server: Server) -> None:
    """Expect: 100-continue gets the refusal instead of the permission."""
    headers = "Content-Length: 2000\r\nExpect: 100-continue"
    with _raw(server, server.link(max_bytes=1000), headers) as connection:
        answer = _rest(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"EntityTooLarge" in answer


def test_a_client_that_asks_first_may_send(server: Server) -> None:
    """Expect: 100-continue gets the permission and then the answer."""
    with _raw(
        server, server.link(), "Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close"
    ) as connection:
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"12345")
        assert _rest(connection).startswith(b"HTTP/1.1 200")
    assert server.stored() == b"12345"
    server.told_of()


def test_a_gigabyte_is_refused_at_the_limit_with_little_memory(server: Server) -> None:
    """A chunked body cannot be refused by its length: it is cut off where it passes the limit, and nothing stays."""
    chunk = bytes(1_000_000)
    server.put(server.link(max_bytes=50_000_000), (chunk for _ in range(49)))
    server.told_of()
    before = server.memory()
    response = server.put(server.link("uploads/j2/a", max_bytes=50_000_000), (chunk for _ in range(1000)))
    refused(response, 400, "EntityTooLarge")
    assert server.memory() - before < 16_000_000
    server.embedded.blobs.delete("uploads/j1/")
    server.wait_until_nothing_is_left()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("how", ["length", "chunked"])
def test_curl_sees_why_a_large_file_is_refused(server: Server, tmp_path: Path, how: str) -> None:
    """Not a reset connection."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(300_000_000)
    chunked = ["-H", "Transfer-Encoding: chunked"] if how == "chunked" else []
    command = [
        "curl",
        "-sS",
        "-w",
        "%{http_code}",
        *chunked,
        "-T",
        str(large),
        server.link(max_bytes=1_000_000).url,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "<Code>EntityTooLarge</Code>" in done.stdout, done.stderr
    assert done.stdout.endswith("400")
    server.wait_until_nothing_is_left()


def test_a_broken_off_upload_leaves_nothing(server: Server) -> None:
    """A client that goes away in the middle, whether or not a part is on the disk already."""
    for size in (10, 3_000_000):
        link = server.link(max_bytes=10_000_000)
        connection = _raw(server, link, "Content-Length: 5000000")
        connection.sendall(bytes(size))
        connection.close()
    server.wait_until_nothing_is_left()
    assert server.put(server.link(), b"next").status_code == 200
    assert server.told_of()[2] == 4


def test_a_body_that_ends_too_early_is_incomplete(embedded: Embedded) -> None:
    """For a server that can still answer a client which has stopped sending; nothing is stored, nobody is told."""
    url = urlsplit(embedded.links.upload(UploadGrant(key=KEY, expires_in=60, max_bytes=100)).url)
    told: list[str] = []
    app = embedded.storage(lambda key, _version, _size: told.append(key))
    scope = {
        "type": "http",
        "method": "PUT",
        "path": unquote(url.path),
        "query_string": url.query.encode(),
        "headers": [(b"content-length", b"10")],
    }
    for last in ({"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}):
        messages = iter([{"type": "http.request", "body": b"half", "more_body": True}, last])
        sent: list[Any] = []

        async def receive(messages: Iterator[Any] = messages) -> Any:
            return next(messages)

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        asyncio.run(app(scope, receive, send))
        assert sent[0]["status"] == 400
        assert b"<Code>IncompleteBody</Code>" in sent[1]["body"]
    app.close()
    assert told == []
    assert embedded.blobs.head(KEY) is None
    assert embedded.blobs.recover() == 0


def test_a_killed_server_leaves_nothing_visible(tmp_path: Path) -> None:
    """kill -9 in the middle of an upload: the next start finds no object and removes the rest."""
    server = Server(tmp_path)
    connection = _raw(server, server.link(max_bytes=10_000_000), "Content-Length: 5000000")
    connection.sendall(bytes(4_000_000))
    while not server.left():
        time.sleep(0.01)
    server.process.kill()
    server.process.wait()
    connection.close()
    assert server.process.stdout is not None
    server.process.stdout.close()
    assert server.stored() is None
    server.embedded.recover()
    assert server.left() == []
    server.client.close()
    server.embedded.close()


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """After 200, kill -9 loses nothing."""
    server = Server(tmp_path)
    assert server.put(server.link()).status_code == 200
    server.process.kill()
    server.process.wait()
    assert server.process.stdout is not None
    server.process.stdout.close()
    server.embedded.recover()
    assert server.stored() == CONTENT
    server.client.close()
    server.embedded.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can limit another process")
def test_a_full_disk_is_an_answer(server: Server) -> None:
    """503, which clients repeat, and nothing half-made; when there is room again, uploads are taken again."""
    limit = resource.RLIMIT_FSIZE
    before = resource.prlimit(server.process.pid, limit, (1_500_000, resource.RLIM_INFINITY))
    try:
        response = server.put(server.link(max_bytes=5_000_000), bytes(3_000_000))
        refused(response, 503, "SlowDown")
        assert "retry-after" in response.headers
        server.wait_until_nothing_is_left()
    finally:
        resource.prlimit(server.process.pid, limit, before)
    assert server.put(server.link(max_bytes=5_000_000), bytes(3_000_000)).status_code == 200
    server.told_of()


# --- POST -------------------------------------------------------------------------------------------------


def post(server: Server, link: UploadLink, content: bytes = CONTENT, **fields: str) -> httpx.Response:
    """Send the form as a browser does."""
    data = {**link.fields, **fields}
    return server.client.post(link.url, data=data, files={"file": ("b.jpg", content, "image/jpeg")})


def test_a_form_stores_the_object(server: Server) -> None:
    """Under the key of its policy, whatever the file is called."""
    response = post(server, server.link(method="POST", content_type="image/jpeg"))
    assert response.status_code == 204
    assert response.headers["etag"] == f'"{server.told_of()[1]}"'
    assert server.stored() == CONTENT


def test_a_form_may_choose_its_answer(server: Server) -> None:
    """201 with a document, or 200."""
    created = post(server, server.link(method="POST"), success_action_status="201")
    assert created.status_code == 201
    assert f"<Key>{KEY}</Key>" in created.text
    assert post(server, server.link(method="POST"), success_action_status="200").status_code == 200
    server.told_of()
    server.told_of()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_can_send_a_form(server: Server, tmp_path: Path) -> None:
    """A file much larger than a buffer, byte for byte."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(os.urandom(5_000_000))
    link = server.link("uploads/j1/photo.jpg", method="POST", max_bytes=5_000_000)
    fields = [part for name, value in link.fields.items() for part in ("-F", f"{name}={value}")]
    done = subprocess.run(["curl", "-sSf", *fields, "-F", f"file=@{photo}", link.url], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert server.stored("uploads/j1/photo.jpg") == photo.read_bytes()
    server.told_of()


def test_a_form_that_breaks_its_policy_is_refused(server: Server) -> None:
    """Another key, another type, a field too many, no policy, a changed one, one that has expired."""
    link = server.link(method="POST", content_type="image/jpeg")
    refused(post(server, link, key="uploads/j2/a.jpg"), 403, "AccessDenied")
    refused(post(server, link, CONTENT, **{"Content-Type": "text/html"}), 403, "AccessDenied")
    assert "acl" in refused(post(server, link, acl="public-read"), 403, "AccessDenied")
    refused(
        post(server, UploadLink(method="POST", url=link.url, fields={"key": KEY})),
        403,
        "SignatureDoesNotMatch",
    )
    other = base64.b64encode(base64.b64decode(link.fields["policy"]).replace(b"100000", b"900000")).decode()
    refused(post(server, link, policy=other), 403, "SignatureDoesNotMatch")
    expired = server.link(method="POST", expires_in=-1)
    assert "expired" in refused(post(server, expired), 403, "AccessDenied")
    assert server.left() == []


def test_a_form_keeps_to_its_sizes(server: Server) -> None:
    """Neither larger than allowed nor, where a size was declared, smaller."""
    refused(post(server, server.link(method="POST", max_bytes=1000)), 400, "EntityTooLarge")
    refused(post(server, server.link(method="POST", size=10), b"12345"), 400, "EntityTooSmall")
    refused(post(server, server.link(method="POST", size=10), b"12345678901"), 400, "EntityTooLarge")
    assert post(server, server.link(method="POST", size=10), b"1234567890").status_code == 204
    server.told_of()


def test_a_form_keeps_to_its_checksum_and_condition(server: Server) -> None:
    """They are fields of the form and mean the same as the headers of a PUT."""
    refused(post(server, server.link(method="POST", sha256=SHA256), b"other"), 400, "BadDigest")
    assert post(server, server.link(method="POST", sha256=SHA256, overwrite=False)).status_code == 204
    refused(post(server, server.link(method="POST", overwrite=False)), 412, "PreconditionFailed")
    server.told_of()


def _form(server: Server, body: bytes, kind: str = "multipart/form-data; boundary=B") -> httpx.Response:
    return server.client.post(server.link(method="POST").url, content=body, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nonsense", "InvalidArgument"),
        (b'--B\r\nContent-Disposition: form-data; name="key"\r\n\r\nx\r\n--B--\r\n', "InvalidArgument"),
        (b"--B\r\nno colon\r\n\r\nx\r\n--B--\r\n", "MalformedPOSTRequest"),
        (
            b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 30_000 + b"\r\n--B--",
            "MaxPostPreDataLengthExceeded",
        ),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 2 + b"--B--", "InvalidArgument"),
    ],
)
def test_a_malformed_form_is_refused(server: Server, body: bytes, code: str) -> None:
    """As the client's mistake, whatever it is."""
    refused(_form(server, body), 400, code)


def test_a_form_of_another_kind_is_refused(server: Server) -> None:
    """Only multipart/form-data with a boundary."""
    for kind in (
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=",
    ):
        refused(_form(server, b"x", kind), 400, "MalformedPOSTRequest")


def test_a_form_cut_off_in_the_file_leaves_nothing(server: Server) -> None:
    """Even if its length is right."""
    fields = server.link(method="POST").fields
    body = b"".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    body += b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'
    assert _form(server, body).status_code == 400
    server.wait_until_nothing_is_left()


# --- GET and HEAD -----------------------------------------------------------------------------------------


def stored(server: Server, content: bytes = CONTENT, key: str = "processed/a b+ü.jpg") -> str:
    """Put an object; a URL that gives it."""
    with server.embedded.blobs.writer(key) as writer:
        writer.write(content)
        writer.commit()
    return server.embedded.links.download(key, filename="Fête “1”;\r\n.jpg", content_type="image/webp")


def test_a_download_gives_the_object(server: Server) -> None:
    """With the type and the name that were signed, and nothing for a browser to guess."""
    response = server.client.get(stored(server))
    assert response.status_code == 200
    assert response.content == CONTENT
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-length"] == str(len(CONTENT))
    assert response.headers["accept-ranges"] == "bytes"
    disposition = response.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert "filename*=UTF-8''F%C3%AAte%20%E2%80%9C1%E2%80%9D" in disposition
    assert "last-modified" in response.headers
    assert response.headers["etag"]


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3_500_000])
def test_a_download_of_any_size_is_whole(server: Server, size: int) -> None:
    """Below, at and above the size of the pieces it is sent in."""
    content = os.urandom(size)
    assert server.client.get(stored(server, content)).content == content


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, len(CONTENT)),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        ("bytes=-999999999", 0, len(CONTENT)),
        (f"bytes={len(CONTENT) - 1}-", len(CONTENT) - 1, len(CONTENT)),
        ("bytes=10-999999999999", 10, len(CONTENT)),
    ],
)
def test_a_range_is_given(server: Server, asked: str, begin: int, end: int) -> None:
    """206 with what was asked for, and where it lies."""
    response = server.client.get(stored(server), headers={"Range": asked})
    assert response.status_code == 206
    assert response.content == CONTENT[begin:end]
    assert response.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(CONTENT)}"
    assert response.headers["content-length"] == str(end - begin)


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=0-1,3-4", "items=0-1", "bytes=-", "bytes=a-b", "bytes=٣-٤", ""]
)
def test_what_is_no_range_gives_the_whole(server: Server, asked: str) -> None:
    """As if it had not been asked for."""
    response = server.client.get(stored(server), headers={b"Range": asked.encode()})
    assert response.status_code == 200
    assert response.content == CONTENT


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=999999999-", "bytes=-0"])
def test_a_range_outside_the_object_is_refused(server: Server, asked: str) -> None:
    """416, and how large the object is."""
    response = server.client.get(stored(server), headers={"Range": asked})
    refused(response, 416, "InvalidRange")
    assert response.headers["content-range"] == f"bytes */{len(CONTENT)}"


def test_an_object_that_the_client_has_is_not_sent_again(server: Server) -> None:
    """304 for its ETag, alone or among others; the object for another one."""
    url = stored(server)
    tag = server.client.get(url).headers["etag"]
    for condition in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        response = server.client.get(url, headers={"If-None-Match": condition})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
    assert server.client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_range_of_another_version_is_not_given(server: Server) -> None:
    """If-Range with another ETag gives the whole object."""
    url = stored(server)
    tag = server.client.get(url).headers["etag"]
    assert server.client.get(url, headers={"Range": "bytes=0-1", "If-Range": tag}).status_code == 206
    assert server.client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200


def test_head_tells_what_get_would(server: Server) -> None:
    """With a URL that was signed for HEAD, and without a body."""
    stored(server, key="processed/a")
    url = server.embedded.links.sign("HEAD", "processed/a", int(time.time()) + 60)
    response = server.client.head(url)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(CONTENT))
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == "attachment"
    partial = server.client.head(url, headers={"Range": "bytes=0-9"})
    assert (partial.status_code, partial.headers["content-length"]) == (206, "10")
    missing = server.client.head(server.embedded.links.sign("HEAD", "processed/b", int(time.time()) + 60))
    assert (missing.status_code, missing.content) == (404, b"")


def test_an_unknown_key_is_not_found(server: Server) -> None:
    """Also where the key is one that no object can have."""
    for key in (
        "processed/none",
        "uploads/j9/none.jpg",
        "etc/passwd",
        "uploads/../../etc/passwd",
        "uploads/a\x00b",
    ):
        url = server.embedded.links.sign("GET", key, int(time.time()) + 60)
        response = server.client.get(httpx.URL(url.replace("..", "%2E%2E")))
        refused(response, 404, "NoSuchKey")


def test_an_original_can_be_downloaded(server: Server) -> None:
    """Its newest version, by name."""
    url = stored(server, b"original", KEY)
    response = server.client.get(url)
    assert response.content == b"original"
    assert response.headers["x-amz-version-id"]


# --- pages of other origins -------------------------------------------------------------------------------


def test_an_allowed_origin_may_upload(server: Server) -> None:
    """The preflight says so, and the answers can be read."""
    link = server.link(content_type="image/jpeg")
    ask = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = server.client.options(link.url, headers=ask)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    answer = server.put(link, Origin="https://app.example")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert "etag" in exposed
    assert "x-amz-version-id" in exposed
    refusal = server.client.put(link.url, content=b"", headers={"Origin": "https://app.example"})
    assert refusal.headers["access-control-allow-origin"] == "https://app.example"
    server.told_of()


def test_another_origin_may_not(server: Server) -> None:
    """No page of it can read an answer; and answers say that they depend on the origin."""
    ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    refused(server.client.options(server.link().url, headers=ask), 403, "AccessForbidden")
    answer = server.put(server.link(), Origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    refused(server.client.options(server.link().url), 400, "BadRequest")
    server.told_of()
