"""The client's batches."""

import json
from pathlib import Path

import httpx
import pytest
from tests.unit.client.conftest import API, BATCH_GRANT, GRANT, Script, batch, problem

from safelight.client import Batch, EmptyFile, Refused, TookTooLong, http


def test_watching_a_batch(pauses: list[float]) -> None:
    """Each state is told once, asked for no sooner than the server says, to the end of the last job."""
    states = [batch(False, PENDING=2), batch(False, PENDING=2), batch(True, COMPLETED=1, FAILED=1)]
    script = Script({"GET /batches/b": states})
    with script.client() as client:
        followed = Batch(client, "b")
        assert [status.counts for status in followed.watch()] == [
            {"PENDING": 2},
            {"COMPLETED": 1, "FAILED": 1},
        ]
    assert (followed.status.done, pauses) == (True, [3.0, 3.0])
    assert {request.url.params["limit"] for request in script.seen} == {"1"}


def test_waiting_for_a_batch_ends(pauses: list[float]) -> None:
    """When its time is over; the batch goes on."""
    with (
        Script({"GET /batches/b": batch(False, PENDING=2)}).client() as client,
        pytest.raises(TookTooLong, match=r"^The batch goes on, but the time to wait for it is over\.$"),
    ):
        client.batch("b").wait(timeout=5)
    assert sum(pauses) == pytest.approx(5, abs=0.5)


def test_the_jobs_of_a_batch() -> None:
    """They are asked for part by part, a hundred at a time."""
    parts = [batch(True), batch(True), batch(True)]
    for number, (part, following) in enumerate(zip(parts, ("", "c", ""), strict=True)):
        items = [{"jobId": str(number), "status": "COMPLETED"}]
        said = json.loads(part.content) | {"items": items, "nextCursor": following or None}
        parts[number] = httpx.Response(200, json=said)
    script = Script({"GET /batches/b": parts})
    with script.client() as client:
        assert [job.id for job in client.batch("b").jobs()] == ["1", "2"]
    assert [dict(request.url.params) for request in script.seen[1:]] == [
        {"limit": "100"},
        {"limit": "100", "cursor": "c"},
    ]


def test_an_empty_file_in_a_batch(photo: Path, tmp_path: Path) -> None:
    """It is named, and nothing is asked for."""
    empty = tmp_path / "empty.jpg"
    empty.touch()
    script = Script({})
    with script.client() as client, pytest.raises(EmptyFile, match=r"empty\.jpg is empty"):
        client.upload_batch([photo, empty])
    assert script.seen == []


def test_a_batch_whose_urls_stay_refused(photo: Path) -> None:
    """They are asked for again, under the same key, and not for ever; the file is named."""
    script = Script(
        {
            "POST /batches": httpx.Response(200, json=BATCH_GRANT),
            "PUT /files": httpx.Response(403, text="<Code>AccessDenied</Code>"),
        }
    )
    with script.client() as client, pytest.raises(Refused, match=r"a\.jpg: .*AccessDenied") as told:
        client.upload_batch([photo, photo])
    assert (told.value.status, told.value.code) == (403, "AccessDenied")
    asked = [request for request in script.seen if request.method == "POST"]
    assert len({request.headers["idempotency-key"] for request in asked}) == 1
    assert 2 <= len(asked) <= 1 + 2 * (http.ATTEMPTS - 1)


def test_a_batch_whose_key_may_not_send_parts(photo: Path) -> None:
    """A refusal of the API is told at once: no URL has run out, and none is asked for again."""
    in_parts = GRANT | {"multipart": {"partSize": 8, "parts": 2}}
    script = Script(
        {
            "POST /batches": httpx.Response(200, json={"batchId": "b", "jobs": [in_parts]}),
            "GET /uploads/j/parts": problem(403, "scope_missing", "It needs upload."),
        }
    )
    with script.client() as client, pytest.raises(Refused, match=r"a\.jpg: It needs upload") as told:
        client.upload_batch([photo])
    assert told.value.code == "scope_missing"
    assert [request.url.path for request in script.seen] == ["/batches", "/uploads/j/parts"]


def test_a_batch_that_lost_a_job(photo: Path) -> None:
    """Which URL is whose can not be told any more, so nothing is sent to any."""
    left = BATCH_GRANT | {"jobs": [GRANT]}
    again = httpx.Response(200, json=left, headers={"idempotent-replayed": "true"})
    script = Script({"POST /batches": again})
    with script.client() as client, pytest.raises(Refused, match=r"erased meanwhile.*another key") as told:
        client.upload_batch([photo, photo], idempotency_key="k")
    assert told.value.code == "idempotency_key_reused"
    assert len(script.seen) == 1


def test_a_batch_whose_key_is_of_another_by_now(photo: Path) -> None:
    """A day after the first request its URLs can not be had anew: that is told, and no file goes to another batch."""
    script = Script(
        {
            "POST /batches": [
                httpx.Response(200, json=BATCH_GRANT, headers={"idempotent-replayed": "true"}),
                *[httpx.Response(200, json=BATCH_GRANT | {"batchId": "c"}) for _ in range(2)],
            ],
            "GET /batches/b": awaiting("j", "k"),
            "PUT /files": httpx.Response(403, text="<Code>AccessDenied</Code>"),
        }
    )
    with script.client() as client, pytest.raises(Refused, match=r"batch b .*new batch now, c\.") as told:
        client.upload_batch([photo, photo], idempotency_key="k")
    assert told.value.code == "idempotency_key_reused"


def awaiting(*job_ids: str) -> httpx.Response:
    """A batch with these jobs, whose files are still to come."""
    items = [{"jobId": job_id, "status": "PENDING", "stage": "awaiting_upload"} for job_id in job_ids]
    return httpx.Response(200, json=json.loads(batch(False, PENDING=len(items)).content) | {"items": items})


@pytest.mark.parametrize("left", ["j", "k"])
def test_a_batch_that_loses_a_job_on_the_way(photo: Path, left: str) -> None:
    """Whose URL is whose is told by the jobs' ids: one that was sent may be gone, and only one that was not ends it."""
    first = [GRANT | {"jobId": name, "uploadUrl": f"{API}/files/{name}"} for name in ("j", "k")]
    again = [GRANT | {"jobId": left, "uploadUrl": f"{API}/files/again/{left}"}]
    script = Script(
        {
            "POST /batches": [
                httpx.Response(200, json={"batchId": "b", "jobs": jobs}) for jobs in (first, again)
            ],
            "PUT /files/again": httpx.Response(200),
            "PUT /files/j": httpx.Response(200),
            "PUT /files/k": httpx.Response(403, text="<Code>AccessDenied</Code>"),
        }
    )
    with script.client() as client:
        if left == "k":
            client.upload_batch([photo, photo])
        else:
            with pytest.raises(Refused, match=r"a\.jpg: Its job k was erased") as told:
                client.upload_batch([photo, photo])
            assert (told.value.status, told.value.code) == (404, "job_not_found")
    again_sent = [request.url.path for request in script.seen if "/again/" in request.url.path]
    assert again_sent == (["/files/again/k"] if left == "k" else [])
