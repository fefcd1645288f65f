"""A job's changes as they happen: Server-Sent Events."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
from tests.journeys.serving import image, submit, wait


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The data of each event."""
    for line in lines:
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def test_events_until_the_end(http: httpx.Client) -> None:
    """The stream begins with the job as it is, tells its changes, ends with it, and then there is nothing more."""
    grant = http.post("/uploads", json={"filename": "beach.jpg"}).json()
    path = f"/jobs/{grant['jobId']}/events"
    with http.stream("GET", path) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = events(stream.iter_lines())
        assert next(told)["stage"] == "awaiting_upload"
        assert http.put(grant["uploadUrl"], content=image()).status_code == 200
        seen = [event["status"] for event in told]
        assert seen[-1] == "COMPLETED"
        assert [event for event in seen if event in ("COMPLETED", "FAILED")] == ["COMPLETED"]
    again = http.get(path, headers={"Last-Event-ID": "999999"})
    assert (again.status_code, again.content) == (204, b"")


def test_who_comes_late_still_learns_the_end(http: httpx.Client) -> None:
    """A stream that is opened after the end tells the end, once, and closes."""
    job_id = submit(http, image())
    wait(http, job_id)
    with http.stream("GET", f"/jobs/{job_id}/events") as stream:
        assert stream.status_code in (200, 204)
        assert [event["status"] for event in events(stream.iter_lines())] in ([], ["COMPLETED"])


def test_events_of_no_job(http: httpx.Client) -> None:
    """A job that does not exist has no events: 404."""
    assert http.get("/jobs/00000000-0000-4000-8000-000000000000/events").status_code == 404
