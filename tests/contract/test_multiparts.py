"""The contract of objects in parts, by S3's rules: the same on every storage, to the name of the refusal."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from tests.contract.backends import RealClock
from tests.contract.conftest import Backend
from tests.contract.test_signed_urls import code_of

from safelight import testing
from safelight.errors import BlobExists, EntityTooSmall, InvalidPart, InvalidPartOrder, PartsGone
from safelight.ports import LEAST_PART, Part, PartGrant
from safelight.testing import Clock

PORTS = {"blobs", "links", "multiparts"}

KEY = "uploads/j1/two words + ü.jpg"
FIRST = b"1" * LEAST_PART
LAST = b"the end"

Send = Callable[[str, bytes], httpx.Response]


@pytest.fixture
def clock() -> Clock:
    """The servers have their own."""
    return RealClock()


@pytest.fixture
def send(backend: Backend, tmp_path: Path) -> Iterator[Send]:
    """Sends a part to its URL, over HTTP where there is a server."""
    if isinstance(backend.multiparts, testing.Multiparts):
        in_memory = backend.multiparts
        yield lambda url, body: httpx.Response(200, headers={"etag": f'"{in_memory.put(url, body).etag}"'})
        return
    if backend.name != "embedded":
        yield lambda url, body: httpx.put(url, content=body, timeout=30)
        return
    command = [sys.executable, "-m", "tests.contract.storage_server", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as server:
        assert server.stdout is not None
        here = f"http://127.0.0.1:{int(server.stdout.readline())}"
        yield lambda url, body: httpx.put(
            url.replace("http://127.0.0.1:8080", here, 1), content=body, timeout=30
        )
        server.kill()


@pytest.fixture
def put(backend: Backend, send: Send) -> Callable[[str, int, bytes], Part]:
    """Sends a part and returns it as storage has confirmed it."""

    def put(upload: str, number: int, body: bytes) -> Part:
        answer = send(url(backend, upload, number, body), body)
        assert answer.status_code == 200, answer.text
        return Part(number=number, etag=answer.headers["etag"].strip('"'), bytes=len(body))

    return put


Put = Callable[[str, int, bytes], Part]


def url(backend: Backend, upload: str, number: int, body: bytes) -> str:
    """A URL for a part of this length."""
    grant = PartGrant(key=KEY, upload=upload, number=number, bytes=len(body), expires_in=300)
    return backend.multiparts.link(grant).url


def content(backend: Backend) -> bytes:
    """The newest version of the object."""
    with backend.blobs.open(KEY) as file:
        return file.read()


def test_parts_become_one_object(backend: Backend, put: Put) -> None:
    """Sent in any order, seen by nobody before, and whole after: its version and its size are told."""
    upload = backend.multiparts.begin(KEY, content_type="image/jpeg")
    parts = [put(upload, 2, LAST), put(upload, 1, FIRST)][::-1]
    assert backend.blobs.head(KEY) is None
    info = backend.multiparts.complete(KEY, upload, parts)
    assert info.bytes == len(FIRST + LAST)
    assert backend.blobs.head(KEY) == backend.blobs.head(KEY, info.version)
    assert content(backend) == FIRST + LAST


def test_what_is_there_is_listed_in_pages(backend: Backend, put: Put) -> None:
    """By number, with the size and the ETag: who comes back knows what is left to do."""
    upload = backend.multiparts.begin(KEY)
    assert backend.multiparts.parts(KEY, upload) == ()
    sent = [put(upload, number, b"%d" % number) for number in (1, 2, 4)]
    assert backend.multiparts.parts(KEY, upload) == tuple(sent)
    assert backend.multiparts.parts(KEY, upload, limit=2) == tuple(sent[:2])
    assert backend.multiparts.parts(KEY, upload, after=2) == tuple(sent[2:])


def test_a_part_that_comes_again_replaces_the_one_before(backend: Backend, put: Put) -> None:
    """The ETag of the first one is not good any more."""
    if backend.name == "seaweedfs":
        pytest.skip("it lists both")
    upload = backend.multiparts.begin(KEY)
    before = put(upload, 1, b"damaged")
    after = put(upload, 1, LAST)
    assert backend.multiparts.parts(KEY, upload) == (after,)
    with pytest.raises(InvalidPart):
        backend.multiparts.complete(KEY, upload, [before])
    backend.multiparts.complete(KEY, upload, [after])
    assert content(backend) == LAST


def test_an_etag_is_the_md5_of_the_part(backend: Backend, put: Put) -> None:
    """So a client can see that what arrived is what it sent."""
    part = put(backend.multiparts.begin(KEY), 1, LAST)
    assert part.etag == hashlib.md5(LAST, usedforsecurity=False).hexdigest()


def test_refusals_leave_the_parts_as_they_were(backend: Backend, put: Put) -> None:
    """A part that is not there, an order that is none, a short part in the middle: each has its name."""
    upload = backend.multiparts.begin(KEY)
    short, first, last = put(upload, 1, b"short"), put(upload, 2, FIRST), put(upload, 3, LAST)
    complete = backend.multiparts.complete
    with pytest.raises(InvalidPart):
        complete(KEY, upload, [first, Part(number=9, etag=last.etag)])
    with pytest.raises(InvalidPart):
        complete(KEY, upload, [])
    with pytest.raises(InvalidPartOrder):
        complete(KEY, upload, [last, first])
    if backend.name != "aws":  # S3 refuses it, the emulator does not
        with pytest.raises(EntityTooSmall):
            complete(KEY, upload, [short, first, last])
    assert backend.blobs.head(KEY) is None
    assert complete(KEY, upload, [first, last]).bytes == len(FIRST + LAST)


def test_what_is_complete_is_over(backend: Backend, put: Put) -> None:
    """Neither is there anything to list, nor to complete again."""
    upload = backend.multiparts.begin(KEY)
    part = put(upload, 1, LAST)
    backend.multiparts.complete(KEY, upload, [part])
    with pytest.raises(PartsGone):
        backend.multiparts.parts(KEY, upload)
    backend.multiparts.abort(KEY, upload)
    assert content(backend) == LAST


def test_what_was_aborted_takes_no_parts(backend: Backend, put: Put, send: Send) -> None:
    """Its URLs are still signed, and lead nowhere; aborting twice is the same. Another upload is not touched."""
    upload, other = backend.multiparts.begin(KEY), backend.multiparts.begin(KEY)
    put(upload, 1, LAST)
    kept = put(other, 1, FIRST)
    for _ in range(2):
        backend.multiparts.abort(KEY, upload)
    with pytest.raises(PartsGone):
        backend.multiparts.parts(KEY, upload)
    if backend.name != "memory":
        assert code_of(send(url(backend, upload, 1, LAST), LAST)) == (404, "NoSuchUpload")
    assert backend.multiparts.parts(KEY, other) == (kept,)


def test_erasing_takes_the_parts_along(backend: Backend, put: Put) -> None:
    """Nothing of a job's upload outlives it, not even what was never completed."""
    upload = backend.multiparts.begin(KEY)
    put(upload, 1, LAST)
    backend.blobs.delete("uploads/j1/")
    with pytest.raises(PartsGone):
        backend.multiparts.parts(KEY, upload)


def test_what_must_not_be_overwritten_is_not(backend: Backend, put: Put) -> None:
    """If an object came in the meantime, completing is refused."""
    if backend.name == "seaweedfs":
        pytest.skip("it does not know this condition for uploads in parts")
    upload, first = backend.multiparts.begin(KEY), backend.multiparts.begin(KEY)
    part = put(upload, 1, LAST)
    backend.multiparts.complete(KEY, first, [put(first, 1, FIRST)])
    with pytest.raises(BlobExists):
        backend.multiparts.complete(KEY, upload, [part], overwrite=False)
    assert content(backend) == FIRST


def test_a_part_has_exactly_its_length(backend: Backend, send: Send) -> None:
    """The length is signed: neither less nor more is taken."""
    if backend.name == "memory":
        pytest.skip("its URLs lead nowhere")
    upload = backend.multiparts.begin(KEY)
    wanted = url(backend, upload, 1, LAST)
    for body in (LAST[:-1], LAST + b"!"):
        assert code_of(send(wanted, body)) == (403, "SignatureDoesNotMatch")
    assert backend.multiparts.parts(KEY, upload) == ()


def test_the_number_and_the_upload_are_signed(backend: Backend, send: Send) -> None:
    """A URL for one part is none for another, nor for an object."""
    if backend.name == "memory":
        pytest.skip("its URLs lead nowhere")
    upload = backend.multiparts.begin(KEY)
    signed = url(backend, upload, 1, LAST)
    other = signed.replace("partNumber=1", "partNumber=2")
    assert other != signed
    assert code_of(send(other, LAST)) == (403, "SignatureDoesNotMatch")
    query = [pair for pair in parse_qsl(urlsplit(signed).query) if pair[0] not in ("uploadId", "partNumber")]
    whole = urlsplit(signed)._replace(query=urlencode(query))
    assert send(urlunsplit(whole), LAST).status_code == 403
    assert backend.blobs.head(KEY) is None
