"""The client, against a server that answers as a test wants it to."""

import hashlib
import json
from pathlib import Path

import httpx
import pytest
from tests.unit.client.conftest import BODY, GRANT, Script, completed, job

from safelight.client import (
    AnotherFile,
    Client,
    ClientClosed,
    DamagedDownload,
    EmptyFile,
    Grant,
    NotCompleted,
)
from safelight.errors import ConfigurationError


def test_an_upload_from_end_to_end(photo: Path, tmp_path: Path) -> None:
    """Upload, wait and save: what is sent is declared first, and what is saved is what was named."""
    script = Script(
        {
            "POST /uploads": httpx.Response(200, json=GRANT),
            "PUT /files": httpx.Response(200),
            "GET /jobs/j/events": httpx.Response(204),
            "GET /jobs/j": completed(),
            "GET /files": httpx.Response(200, content=BODY),
        }
    )
    progress: list[tuple[int, int]] = []
    with script.client() as client:
        uploaded = client.upload(photo, recipe="web", progress=lambda *step: progress.append(step))
        [path] = uploaded.wait().save(tmp_path / "out")
    asked, sent = script.seen[:2]
    declared = json.loads(asked.content)
    assert declared["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert (declared["filename"], declared["size"], declared["recipe"]) == ("a.jpg", 200_000, "web")
    assert sent.content == photo.read_bytes()
    assert (sent.headers["x-signed"], sent.headers["content-length"]) == ("yes", "200000")
    assert progress[-1] == (200_000, 200_000)
    assert path == tmp_path / "out" / "a-main.jpg"
    assert path.read_bytes() == BODY
    assert [file.name for file in path.parent.iterdir()] == ["a-main.jpg"]


def test_an_empty_file_is_not_asked_for(tmp_path: Path) -> None:
    """It is told as what it is, before any request."""
    (tmp_path / "empty.jpg").touch()
    script = Script({})
    with script.client() as client, pytest.raises(EmptyFile, match=r"empty\.jpg is empty \(0 bytes\)\.$"):
        client.upload(tmp_path / "empty.jpg")
    assert script.seen == []


def test_a_file_of_another_size_than_announced_is_not_sent(photo: Path) -> None:
    """It is told in words of our own, before any request."""
    script = Script({})
    grant = Grant(job_id="j", upload_url="https://storage/x", upload_headers={"Content-Length": "5"})
    with (
        script.client() as client,
        pytest.raises(AnotherFile, match="has 200000 bytes, and 5 were announced"),
    ):
        client.send(grant, photo)
    assert script.seen == []


def test_a_closed_client_stays_closed() -> None:
    """Its block can not be entered again."""
    with Script({}).client() as client:
        pass
    with pytest.raises(ClientClosed), client:
        pass


def test_what_is_no_address() -> None:
    """A variable that is not set gives None."""
    with pytest.raises(ConfigurationError, match=r"begins with http:// or https://, received None\.$"):
        Client(None)  # type: ignore[arg-type]


def test_a_form_has_its_fields_before_the_file(photo: Path) -> None:
    """A POST upload is a form: the fields of the grant, then the file."""
    grant = GRANT | {"uploadMethod": "POST", "uploadFields": {"policy": "p", "signature": "s"}}
    script = Script({"POST /uploads": httpx.Response(200, json=grant), "POST /files": httpx.Response(204)})
    with script.client() as client:
        client.upload(photo, method="POST")
    form = script.seen[1].content
    assert form.index(b'name="policy"') < form.index(b'name="signature"') < form.index(b'name="file"')
    assert photo.read_bytes() in form


def test_nothing_to_save(tmp_path: Path) -> None:
    """A job that failed has nothing to save: its sentence and its code are told."""
    failed = job("FAILED", error={"code": "truncated", "message": "A part is missing."})
    with (
        Script({"GET /jobs/j": failed}).client() as client,
        pytest.raises(NotCompleted, match="missing") as told,
    ):
        client.job("j").save(tmp_path)
    assert (told.value.code, told.value.state) == ("truncated", "FAILED")


def test_a_download_that_breaks_is_begun_again(tmp_path: Path) -> None:
    """A cut or damaged download, or a URL that ran out, is tried again with new URLs; nothing half is left."""
    script = Script(
        {
            "GET /jobs/j": completed(),
            "GET /files": [
                httpx.ReadError("cut off"),
                httpx.Response(200, content=b"something else"),
                httpx.Response(403, text="<Error><Code>AccessDenied</Code></Error>"),
                httpx.Response(200, content=BODY),
            ],
        }
    )
    with script.client() as client:
        [path] = client.job("j").save(tmp_path)
    assert path.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [path]


def test_damage_that_stays_is_told(tmp_path: Path) -> None:
    """Bytes that are never those that the job names are not saved."""
    script = Script({"GET /jobs/j": completed("0" * 64), "GET /files": httpx.Response(200, content=BODY)})
    with script.client() as client, pytest.raises(DamagedDownload):
        client.job("j").save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_list_in_parts() -> None:
    """Jobs are listed part by part, and not more than wanted."""
    items = [{"jobId": str(number), "status": "PENDING"} for number in range(3)]
    first = httpx.Response(200, json={"items": items[:2], "nextCursor": "c"})
    second = httpx.Response(200, json={"items": items[2:], "nextCursor": None})
    script = Script({"GET /jobs": [first, second]})
    with script.client() as client:
        assert [job.id for job in client.jobs(status="PENDING")] == ["0", "1", "2"]
    assert [dict(request.url.params) for request in script.seen] == [
        {"status": "PENDING", "limit": "50"},
        {"status": "PENDING", "limit": "48", "cursor": "c"},
    ]
