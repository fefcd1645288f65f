"""HEAD, on a real server: what GET would say, without saying it."""

import json
import re
from pathlib import Path

import httpx
import pytest
from tests.journeys.serving import Server, client, image, safelight, submit, until, wait

pytestmark = pytest.mark.embedded  # API Gateway sends on only the methods that its routes name

OF_EACH_ANSWER = {"date", "x-request-id"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/health", 200),
        ("/openapi.json", 200),
        ("/recipes", 200),
        ("/jobs?limit=1", 200),
        ("/jobs/{job}", 200),
        ("/jobs/{job}/events", 204),
        ("/jobs?limit=0", 400),
        ("/jobs/nobody", 404),
        ("/nothing", 404),
        ("/uploads", 405),
    ],
)
def test_head_is_get_without_content(http: httpx.Client, path: str, status: int) -> None:
    """The same status and headers, the length of the content among them, and the same conditions are tested."""
    job_id = submit(http, image())
    wait(http, job_id)
    path = path.format(job=job_id)
    got, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (status, b"")
    assert headers_of(head) == headers_of(got)
    if "etag" in head.headers:
        again = http.head(path, headers={"If-None-Match": head.headers["etag"]})
        assert (again.status_code, again.headers["etag"]) == (304, head.headers["etag"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/jobs/x", "DELETE, GET, HEAD, OPTIONS"),
        ("OPTIONS", "/jobs/x", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/uploads", "OPTIONS, POST"),
        ("HEAD", "/uploads", "OPTIONS, POST"),
        ("OPTIONS", "/uploads", "OPTIONS, POST"),
    ],
)
def test_head_is_named_where_it_is_taken(http: httpx.Client, method: str, path: str, allowed: str) -> None:
    """Beside GET, and nowhere else, by a refusal and by OPTIONS."""
    answer = http.request(method, path)
    assert answer.status_code == (204 if method == "OPTIONS" else 405)
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


def test_head_of_an_event_stream(http: httpx.Client) -> None:
    """It ends at once, though the job goes on, and the connection is good for more."""
    job_id = http.post("/uploads").json()["jobId"]
    for _ in range(3):
        head = http.head(f"/jobs/{job_id}/events", timeout=5)
        assert head.headers["content-type"].startswith("text/event-stream")
        assert (head.status_code, head.content) == (200, b"")
    assert http.get(f"/jobs/{job_id}").json()["status"] == "PENDING"


def test_head_is_guarded_and_counted_as_get(tmp_path: Path) -> None:
    """Without a key it is refused as GET is, and each takes one of the requests that a caller may make."""
    data = tmp_path / "data"
    with Server(data, "--workers", "0", auth="apikey", requests_per_minute="1000") as server:
        made = safelight("keys", "create", "--name", "me", "--json", settings={"data": str(data)})
        key = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
        with client(server.url) as http:
            got, head = http.get("/jobs"), http.head("/jobs")
            assert (got.status_code, head.status_code, head.content) == (401, 401, b"")
            assert headers_of(head) == headers_of(got)

            def in_one_minute() -> list[int] | None:
                answers = [http.request(method, "/jobs", headers=key) for method in ("GET", "HEAD", "GET")]
                assert [answer.status_code for answer in answers] == [200, 200, 200]
                stands = [re.findall(r"\d+", answer.headers["ratelimit"]) for answer in answers]
                seconds = [int(resets_in) for _, resets_in in stands]
                return [int(left) for left, _ in stands] if seconds[0] >= seconds[-1] else None

            left = until(in_one_minute)
    assert left == [left[0], left[0] - 1, left[0] - 2]


def headers_of(answer: httpx.Response) -> dict[str, str]:
    """But for those that no two answers share."""
    return {name: value for name, value in answer.headers.items() if name not in OF_EACH_ANSWER}
