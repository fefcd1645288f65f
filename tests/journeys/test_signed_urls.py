"""A signed URL allows what it says and nothing else; wrong use is answered as S3 answers it."""

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journeys.serving import Server, client, image, submit, until, wait


def grant(http: httpx.Client, **declared: Any) -> dict[str, Any]:
    """Ask for an upload."""
    answer: dict[str, Any] = http.post("/uploads", json={"filename": "beach.jpg", **declared}).json()
    return answer


def code(answer: httpx.Response) -> str:
    """The code in the storage's XML."""
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    assert found, answer.text
    return found[1]


def test_a_tampered_url(http: httpx.Client) -> None:
    """A URL of which one sign was changed is refused, and the job goes on waiting."""
    granted = grant(http)
    url = granted["uploadUrl"]
    last = url[-1]
    changed = http.put(url[:-1] + ("0" if last != "0" else "1"), content=image())
    assert (changed.status_code, code(changed)) == (403, "SignatureDoesNotMatch")
    other = url.replace(granted["jobId"], "00000000-0000-4000-8000-000000000000")
    elsewhere = http.put(other, content=image())
    assert (elsewhere.status_code, code(elsewhere)) == (403, "SignatureDoesNotMatch")
    assert http.get(f"/jobs/{granted['jobId']}").json()["stage"] == "awaiting_upload"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_method(http: httpx.Client, method: str) -> None:
    """A URL to PUT to can not be read from, and nothing can be deleted by any URL."""
    answer = http.request(method, grant(http)["uploadUrl"])
    assert answer.status_code in (403, 405)


def test_a_download_url_is_for_reading(http: httpx.Client) -> None:
    """A URL to download from takes no upload."""
    url = wait(http, submit(http, image()))["downloadUrl"]
    assert http.put(url, content=image(seed=9)).status_code == 403
    assert http.get(url).status_code == 200


def test_another_type(http: httpx.Client) -> None:
    """A URL for a declared type takes no other one."""
    answer = http.put(
        grant(http, contentType="image/jpeg")["uploadUrl"],
        content=image(),
        headers={"Content-Type": "text/html"},
    )
    assert (answer.status_code, code(answer)) == (403, "SignatureDoesNotMatch")


def test_another_size(http: httpx.Client) -> None:
    """A URL for a declared size takes no other one."""
    body = image()
    granted = grant(http, size=len(body))
    answer = http.put(granted["uploadUrl"], content=body + b"more")
    assert answer.status_code == 403


def test_not_twice_where_overwriting_is_not_wanted(http: httpx.Client) -> None:
    """With `overwrite: false` the second upload is refused: 412."""
    granted = grant(http, overwrite=False)
    first = http.put(granted["uploadUrl"], content=image(), headers=granted["uploadHeaders"])
    assert first.status_code == 200
    second = http.put(granted["uploadUrl"], content=image(seed=2), headers=granted["uploadHeaders"])
    assert (second.status_code, code(second)) == (412, "PreconditionFailed")


@pytest.mark.parametrize("at_once", [pytest.param(True, marks=pytest.mark.embedded), False])
def test_a_later_overwrite_changes_nothing(http: httpx.Client, at_once: bool) -> None:
    """The first upload counts; what comes later under the same URL does not touch the result. On S3, which may tell of
    two moments in any order, later is what comes once the first was taken up."""
    granted = grant(http)
    assert http.put(granted["uploadUrl"], content=image("jpeg", (320, 240))).status_code == 200
    if not at_once:
        until(lambda: http.get(f"/jobs/{granted['jobId']}").json()["stage"] != "awaiting_upload")
    assert http.put(granted["uploadUrl"], content=image("jpeg", (64, 64))).status_code == 200
    job = wait(http, granted["jobId"])
    assert (job["outputs"][0]["width"], job["outputs"][0]["height"]) == (320, 240)


def test_downloads_are_not_for_browsers_to_guess(http: httpx.Client) -> None:
    """A download has a fixed type, is saved rather than shown, and may not be taken for something else."""
    answer = http.get(wait(http, submit(http, image(), filename="Größe.jpg"))["downloadUrl"])
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe" in answer.headers["content-disposition"]


@pytest.mark.embedded
def test_expired_and_oversize(tmp_path: Path) -> None:
    """A URL ends with its time, and takes no more than the limit, whatever was declared."""
    with (
        Server(tmp_path / "data", "--workers", "1", upload_seconds="1", max_bytes="20KB") as server,
        client(server.url) as http,
    ):
        large = b"\xff\xd8\xff" + b"\0" * 30_000
        answer = http.put(grant(http)["uploadUrl"], content=large)
        assert (answer.status_code, code(answer)) == (400, "EntityTooLarge")
        late = grant(http)
        end = time.time() + 1
        until(lambda: time.time() > end)
        answer = until(lambda: _refused(http.put(late["uploadUrl"], content=b"x")), within=5)
        assert (answer.status_code, code(answer)) == (403, "AccessDenied")
        assert "expired" in answer.text.lower()


def _refused(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.is_error else None
