"""What signed URLs allow and refuse, by real requests: the same on every storage, to the status and the error code."""

import base64
import hashlib
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.contract.backends import RealClock
from tests.contract.conftest import Backend

from safelight.ports import UploadGrant, UploadLink
from safelight.testing import Clock

PORTS = {"blobs", "links"}
WITHOUT = {"memory"}  # its URLs lead nowhere

KEY = "uploads/j1/two words + ü.jpg"
BODY = b"\xff\xd8 not much of a picture \xff\xd9"
SHA256 = hashlib.sha256(BODY).hexdigest()

Reach = Callable[[str], str]


@pytest.fixture
def clock() -> Clock:
    """The servers have their own."""
    return RealClock()


@pytest.fixture
def reach(backend: Backend, tmp_path: Path) -> Iterator[Reach]:
    """Turns a signed URL into one that leads somewhere in this test: the embedded storage needs a server."""
    if backend.name != "embedded":
        yield str
        return
    command = [sys.executable, "-m", "tests.contract.storage_server", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield lambda url: url.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{port}", 1)
        server.kill()


def put(url: str, body: bytes = BODY, **headers: str) -> httpx.Response:
    """A PUT with these headers and no others of weight."""
    return httpx.put(
        url, content=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def post(url: str, fields: dict[str, str], body: bytes = BODY) -> httpx.Response:
    """A form: the fields, then the file."""
    return httpx.post(url, data=fields, files={"file": ("a.jpg", body, "image/jpeg")})


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """The status, and S3's word for what is wrong."""
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    return answer.status_code, found[1] if found else ""


def bare(backend: Backend, **changes: object) -> UploadLink:
    """An upload of which nothing was declared."""
    return backend.links.upload(UploadGrant(key=KEY, expires_in=300, max_bytes=1000, **changes))  # type: ignore[arg-type]


def declared(backend: Backend, **changes: object) -> UploadLink:
    """An upload of which everything was declared."""
    return bare(backend, **{"content_type": "image/jpeg", "size": len(BODY), "sha256": SHA256, **changes})


def test_a_bare_client_can_upload(backend: Backend, reach: Reach) -> None:
    """With a type of its own choice or without any; what arrived is what was sent."""
    link = bare(backend)
    assert put(reach(link.url), content_type="image/jpeg").status_code == 200
    assert put(reach(link.url), BODY * 2).status_code == 200
    with backend.blobs.open(KEY) as file:
        assert file.read() == BODY * 2


def test_a_client_that_keeps_its_word_can_upload(backend: Backend, reach: Reach) -> None:
    """By sending the headers that were listed."""
    link = declared(backend)
    assert httpx.put(reach(link.url), content=BODY, headers=link.headers).status_code == 200
    info = backend.blobs.head(KEY)
    assert info is not None
    assert info.bytes == len(BODY)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {"Content-Type": "image/png"}),
        (BODY + b"x", {}),
        (BODY[:-1], {}),
        (BODY, {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()}),
    ],
    ids=["type", "longer", "shorter", "checksum"],
)
def test_another_file_than_declared_is_refused(
    backend: Backend, reach: Reach, body: bytes, headers: dict[str, str]
) -> None:
    """The signature does not match, and nothing is stored."""
    link = declared(backend)
    sent = {**link.headers, "Content-Length": str(len(body)), **headers}
    answer = httpx.put(reach(link.url), content=body, headers=sent)
    assert code_of(answer) == (403, "SignatureDoesNotMatch")
    assert backend.blobs.head(KEY) is None


def test_a_file_damaged_on_the_way_is_refused(backend: Backend, reach: Reach) -> None:
    """Its length is right, its checksum is not; nothing is stored."""
    link = declared(backend)
    answer = httpx.put(reach(link.url), content=b"\x00" * len(BODY), headers=link.headers)
    assert answer.status_code == 400
    assert backend.blobs.head(KEY) is None


def test_a_header_that_was_signed_can_not_be_left_out(backend: Backend, reach: Reach) -> None:
    """Nor the promise not to overwrite."""
    link = bare(backend, overwrite=False)
    assert link.headers == {"If-None-Match": "*"}
    assert put(reach(link.url)).status_code == 403


def test_the_first_upload_can_be_the_last(backend: Backend, reach: Reach) -> None:
    """With `overwrite=False` a second one is refused and the first stays."""
    link = bare(backend, overwrite=False)
    assert httpx.put(reach(link.url), content=BODY, headers=link.headers).status_code == 200
    again = httpx.put(reach(link.url), content=b"other", headers=link.headers)
    assert code_of(again) == (412, "PreconditionFailed")
    with backend.blobs.open(KEY) as file:
        assert file.read() == BODY


def test_a_url_is_for_one_key_and_one_method(backend: Backend, reach: Reach) -> None:
    """Any change of it breaks the signature."""
    url = reach(bare(backend).url)
    assert code_of(put(url.replace("/j1/", "/j2/"))) == (403, "SignatureDoesNotMatch")
    assert httpx.get(url).status_code == 403
    assert httpx.delete(url).status_code in (403, 405)
    assert backend.blobs.head("uploads/j2/two words + ü.jpg") is None


def test_a_url_ends(backend: Backend, reach: Reach) -> None:
    """When its time is over."""
    url = reach(backend.links.upload(UploadGrant(key=KEY, expires_in=1, max_bytes=1000)).url)
    time.sleep(2.1)
    assert put(url).status_code == 403


def test_a_form_can_upload(backend: Backend, reach: Reach) -> None:
    """From a browser's form: the fields, then the file."""
    link = bare(backend, method="POST", content_type="image/jpeg")
    assert post(reach(link.url), link.fields).status_code in (200, 201, 204)
    with backend.blobs.open(KEY) as file:
        assert file.read() == BODY


def test_a_form_keeps_to_its_limit(backend: Backend, reach: Reach) -> None:
    """A byte more is refused and not stored. An empty file is for the pipeline to refuse, in words for a person."""
    link = bare(backend, method="POST")
    assert code_of(post(reach(link.url), link.fields, b"x" * 1001)) == (400, "EntityTooLarge")
    assert backend.blobs.head(KEY) is None
    assert post(reach(link.url), link.fields, b"").status_code in (200, 201, 204)


def test_a_form_keeps_to_the_declared_length(backend: Backend, reach: Reach) -> None:
    """No byte more, no byte less."""
    link = bare(backend, method="POST", size=len(BODY))
    assert code_of(post(reach(link.url), link.fields, BODY + b"x")) == (400, "EntityTooLarge")
    assert code_of(post(reach(link.url), link.fields, BODY[:-1])) == (400, "EntityTooSmall")
    assert backend.blobs.head(KEY) is None
    assert post(reach(link.url), link.fields).status_code in (200, 201, 204)


@pytest.mark.parametrize(
    "changed", [{"key": "uploads/j2/a.jpg"}, {"Content-Type": "text/html"}, {"policy": "e30="}]
)
def test_a_form_that_was_changed_is_refused(backend: Backend, reach: Reach, changed: dict[str, str]) -> None:
    """Another key, another type, another policy."""
    link = bare(backend, method="POST", content_type="image/jpeg")
    assert post(reach(link.url), {**link.fields, **changed}).status_code == 403
    assert backend.blobs.list("uploads/").items == ()


def test_a_download_has_the_name_and_the_type_that_were_signed(backend: Backend, reach: Reach) -> None:
    """Whatever the uploader said."""
    assert put(reach(bare(backend).url), content_type="text/html").status_code == 200
    url = backend.links.download(KEY, filename='a "b" ü.jpg', content_type="image/jpeg")
    answer = httpx.get(reach(url))
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "filename*=UTF-8''a%20%22b%22%20%C3%BC.jpg" in answer.headers["content-disposition"]


def test_a_download_can_be_taken_in_parts(backend: Backend, reach: Reach) -> None:
    """As players and resumed downloads do."""
    put(reach(bare(backend).url))
    url = backend.links.download(KEY, filename="a.jpg", content_type="image/jpeg")
    answer = httpx.get(reach(url), headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, BODY[2:5])


def test_a_download_that_was_changed_is_refused(backend: Backend, reach: Reach) -> None:
    """Another type would make a page of a picture."""
    put(reach(bare(backend).url))
    url = reach(backend.links.download(KEY, filename="a.jpg", content_type="image/jpeg"))
    assert code_of(httpx.get(url.replace("image%2Fjpeg", "text%2Fhtml"))) == (403, "SignatureDoesNotMatch")


def test_what_is_not_there_is_not_found(backend: Backend, reach: Reach) -> None:
    """To whoever may look."""
    url = reach(backend.links.download("processed/nothing", filename="a.jpg", content_type="image/jpeg"))
    assert code_of(httpx.get(url)) == (404, "NoSuchKey")


def test_a_declared_crc32_is_checked(backend: Backend, reach: Reach) -> None:
    """As a SHA-256 is: signed, and compared with what arrives; in forms, too."""
    if backend.name == "seaweedfs":
        pytest.skip("it checks no CRC-32")
    crc32 = zlib.crc32(BODY)
    link = bare(backend, crc32=f"{crc32:08x}")
    assert link.headers["x-amz-checksum-crc32"] == base64.b64encode(crc32.to_bytes(4, "big")).decode()
    status, code = code_of(httpx.put(reach(link.url), content=BODY[::-1], headers=link.headers))
    assert (status, code) == (400, "BadDigest") or code == "XAmzContentChecksumMismatch"
    assert code_of(put(reach(link.url)))[0] == 403
    assert httpx.put(reach(link.url), content=BODY, headers=link.headers).status_code == 200
    form = bare(backend, crc32=f"{crc32:08x}", method="POST")
    assert post(reach(form.url), form.fields, BODY).status_code in (200, 201, 204)
