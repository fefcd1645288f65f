"""What a client may do with jobs besides waiting for them."""

import uuid

import httpx
import pytest
from tests.journeys.serving import decoded, image, submit, wait


def ask(http: httpx.Client, **headers: str) -> httpx.Response:
    """Ask for an upload."""
    return http.post("/uploads", json={"filename": "beach.jpg"}, headers=headers)


def test_a_repeated_request_is_answered_again(http: httpx.Client) -> None:
    """The same Idempotency-Key and body give the same job; another body is 422; another key another job."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, second = ask(http, **key), ask(http, **key)
    assert first.json()["jobId"] == second.json()["jobId"]
    other = http.post("/uploads", json={"filename": "other.jpg"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert ask(http, **{"Idempotency-Key": str(uuid.uuid4())}).json()["jobId"] != first.json()["jobId"]


def test_cancel_then_retry(http: httpx.Client) -> None:
    """A canceled job stays canceled, however often it is canceled; a retry lets the upload come."""
    grant = ask(http).json()
    path = f"/jobs/{grant['jobId']}"
    for _ in range(2):
        answer = http.post(f"{path}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "CANCELED")
    assert http.post(f"{path}/retry").json()["status"] == "PENDING"
    assert http.put(grant["uploadUrl"], content=image()).status_code == 200
    assert wait(http, grant["jobId"])["status"] == "COMPLETED"


def test_retry_of_a_failed_job(http: httpx.Client) -> None:
    """A failed job starts again when asked to, and fails again for the same reason."""
    job_id = submit(http, b"not a picture")
    assert wait(http, job_id)["status"] == "FAILED"
    assert http.post(f"/jobs/{job_id}/retry").json()["status"] in ("PENDING", "PROCESSING", "FAILED")
    job = wait(http, job_id)
    assert (job["status"], job["error"]["code"]) == ("FAILED", "type_not_allowed")
    assert [moment["status"] for moment in job["timeline"]].count("FAILED") == 2


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_completed_job_stays(http: httpx.Client, action: str) -> None:
    """A completed job can be neither canceled nor retried: 409."""
    job_id = submit(http, image())
    wait(http, job_id)
    answer = http.post(f"/jobs/{job_id}/{action}")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_allowed_now")
    assert http.get(f"/jobs/{job_id}").json()["status"] == "COMPLETED"


def test_delete_erases_everything(http: httpx.Client) -> None:
    """After DELETE the job is not found and its URLs give nothing; deleting again is no error."""
    job_id = submit(http, image())
    url = wait(http, job_id)["downloadUrl"]
    assert http.get(url).status_code == 200
    for _ in range(2):
        assert http.delete(f"/jobs/{job_id}").is_success
    assert http.get(f"/jobs/{job_id}").status_code == 404
    assert http.get(f"/jobs/{job_id}").json()["error"] == "Job not found"
    assert http.get(url).status_code == 404
    assert http.post("/jobs", json={"from": job_id}).status_code == 404


def test_render_again(http: httpx.Client) -> None:
    """A kept original can be rendered again, by another recipe, as a job of its own."""
    first = submit(http, image("jpeg", (640, 480)))
    wait(http, first)
    recipe = {"version": 1, "outputs": {"web": {"format": "webp", "quality": 70}}}
    answer = http.post("/jobs", json={"from": first, "recipe": recipe})
    assert answer.is_success, answer.text
    job = wait(http, answer.json()["jobId"])
    assert (job["status"], job["renderedFrom"]) == ("COMPLETED", first)
    assert decoded(http.get(job["downloadUrl"]).content).format == "WEBP"


def test_the_list(http: httpx.Client) -> None:
    """Jobs are listed newest first, in parts, and by state."""
    ids = [ask(http).json()["jobId"] for _ in range(3)]
    http.post(f"/jobs/{ids[1]}/cancel")
    page = http.get("/jobs", params={"limit": 2}).json()
    assert [item["jobId"] for item in page["items"]] == [ids[2], ids[1]]
    rest = http.get("/jobs", params={"limit": 1, "cursor": page["nextCursor"]}).json()
    assert [item["jobId"] for item in rest["items"]] == [ids[0]]
    canceled = http.get("/jobs", params={"status": "CANCELED", "limit": 1}).json()
    assert canceled["items"][0]["jobId"] == ids[1]


def test_not_modified(http: httpx.Client) -> None:
    """A job that has not changed is answered 304 to whoever has its ETag."""
    job_id = submit(http, image())
    wait(http, job_id)
    first = http.get(f"/jobs/{job_id}")
    again = http.get(f"/jobs/{job_id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_no_such_job(http: httpx.Client) -> None:
    """A job that does not exist is 404 with the words that clients know."""
    for job_id in (str(uuid.uuid4()), "x", "a" * 500):
        answer = http.get(f"/jobs/{job_id}")
        assert (answer.status_code, answer.json()["error"]) == (404, "Job not found")
