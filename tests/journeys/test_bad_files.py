"""A file that is no picture costs its own job: FAILED, with a code for programs and a sentence for people."""

import hashlib

import httpx
import pytest
from tests.journeys.serving import image, submit, wait

BAD = {
    "text": (b"Dear diary, this is not a picture.\n" * 50, "type_not_allowed"),
    "half a JPEG": (image("jpeg", (800, 600))[:9_000], "truncated"),
    "half a PNG": (image("png", (800, 600))[:9_000], "truncated"),
    "nothing": (b"", "empty_file"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "type_not_allowed"),
    "PDF": (b"%PDF-1.7\n" + b"\0" * 2000, "type_not_allowed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_fails_and_says_why(http: httpx.Client, name: str) -> None:
    """The job is FAILED at its first attempt; the message is a sentence and shows nothing of the inside."""
    body, code = BAD[name]
    job = wait(http, submit(http, body, filename="beach.jpg"))
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("FAILED", code, 1)
    message = job["errorMessage"]
    assert message == job["error"]["message"]
    assert len(message) > 20
    assert not any(word in message for word in ("Traceback", "/", "vips", "Error:"))
    assert (job["downloadUrl"], job["outputs"]) == (None, [])


def test_a_bad_file_delays_nobody(http: httpx.Client) -> None:
    """Good files among bad ones are done."""
    bad = [submit(http, b"not a picture") for _ in range(5)]
    good = submit(http, image())
    assert wait(http, good)["status"] == "COMPLETED"
    assert {wait(http, job)["status"] for job in bad} == {"FAILED"}


def test_a_declared_type_is_a_promise(http: httpx.Client) -> None:
    """A PNG that was declared to be a JPEG is refused."""
    body = image("png")
    grant = http.post("/uploads", json={"filename": "a.jpg", "contentType": "image/jpeg"}).json()
    assert http.put(grant["uploadUrl"], content=body, headers=grant["uploadHeaders"]).status_code == 200
    job = wait(http, grant["jobId"])
    assert (job["status"], job["error"]["code"]) == ("FAILED", "type_mismatch")


def test_a_wrong_checksum_never_completes(http: httpx.Client) -> None:
    """A file whose SHA-256 is not the declared one is refused by the storage, and the job goes on waiting."""
    body = image()
    wrong = hashlib.sha256(b"something else").hexdigest()
    declared = {"filename": "a.jpg", "size": len(body), "sha256": wrong}
    grant = http.post("/uploads", json=declared).json()
    put = http.put(grant["uploadUrl"], content=body, headers=grant["uploadHeaders"])
    assert put.status_code == 400
    assert http.get(f"/jobs/{grant['jobId']}").json()["status"] == "PENDING"


def test_too_large_by_declaration(http: httpx.Client) -> None:
    """A declared size above the limit is refused before anything is sent."""
    answer = http.post("/uploads", json={"filename": "a.jpg", "size": 10**12})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.headers["content-type"] == "application/problem+json"
