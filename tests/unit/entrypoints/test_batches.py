"""The promises of batches, through the API on ports in memory."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.unit.entrypoints.test_api import NOBODY, assert_problem, client
from tests.unit.pipeline import ME, Pipeline

from safelight.model import DAY, Notice
from safelight.sweeper import Sweeper
from safelight.uploads import UploadRequest


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def api(pipeline: Pipeline) -> Iterator[httpx.Client]:
    yield from client(pipeline)


def ask(api: httpx.Client, count: int, **said: Any) -> dict[str, Any]:
    """A batch of so many files."""
    files = [{"filename": f"{number}.jpg"} for number in range(count)]
    made = api.post("/batches", json={"files": files} | said)
    assert made.status_code == 200, made.text
    answer: dict[str, Any] = made.json()
    return answer


def state(api: httpx.Client, batch_id: str, **query: Any) -> dict[str, Any]:
    got = api.get(f"/batches/{batch_id}", params=query)
    assert got.status_code == 200, got.text
    answer: dict[str, Any] = got.json()
    return answer


def test_many_files_in_one_call(pipeline: Pipeline, api: httpx.Client) -> None:
    """Each has a job and a URL, in the order of the files, with what was said of it and of all."""
    files = [
        {"filename": "a.jpg", "size": 7, "metadata": {"album": "1"}},
        {"filename": "b.jpg", "method": "POST"},
    ]
    made = api.post(
        "/batches", json={"files": files, "metadata": {"album": "0", "by": "ann"}, "recipe": "default"}
    )
    batch = made.json()
    assert made.headers["location"] == batch["statusUrl"] == f"http://api.example/batches/{batch['batchId']}"
    assert [job["uploadMethod"] for job in batch["jobs"]] == ["PUT", "POST"]
    assert batch["jobs"][0]["uploadHeaders"]["Content-Length"] == "7"
    jobs = [api.get(f"/jobs/{job['jobId']}").json() for job in batch["jobs"]]
    assert [job["metadata"] for job in jobs] == [{"album": "1", "by": "ann"}, {"album": "0", "by": "ann"}]
    assert [job["batchId"] for job in jobs] == [batch["batchId"]] * 2
    assert "batchId" not in api.get(f"/jobs/{pipeline.request().id}").json()


def test_a_thousand_files(api: httpx.Client) -> None:
    """The most there may be; one more is refused, and none at all."""
    batch = ask(api, 1000)
    assert len({job["jobId"] for job in batch["jobs"]}) == 1000
    assert state(api, batch["batchId"])["counts"]["PENDING"] == 1000
    for count in (0, 1001):
        files: list[dict[str, Any]] = [{}] * count
        assert_problem(api.post("/batches", json={"files": files}), 400, "invalid_request")


@pytest.mark.parametrize(
    ("file", "status", "code", "word"),
    [
        ({"size": 10**11}, 413, "too_large", "files[1]: "),
        ({"size": 0}, 422, "empty_file", "files[1]: "),
        ({"size": "big"}, 400, "invalid_request", "files[1]: size: expected"),
        ({"filname": "x"}, 400, "invalid_request", "files[1]: "),
        ({"multipart": True}, 422, "multipart_needs_size", "files[1]: "),
        ({"recipe": "default"}, 400, "invalid_request", "files[1]: "),
    ],
)
def test_all_or_none(api: httpx.Client, file: dict[str, Any], status: int, code: str, word: str) -> None:
    """One file that can not be taken refuses the batch, and the answer says which file and why."""
    body = assert_problem(api.post("/batches", json={"files": [{}, file, {}]}), status, code)
    assert body["detail"].startswith(word)
    assert api.get("/jobs").json()["items"] == []


def test_how_a_batch_stands(pipeline: Pipeline, api: httpx.Client) -> None:
    """Jobs by state, and whether all have ended: an erased one has."""
    batch = ask(api, 4)
    jobs = [pipeline.service.describe(ME, job["jobId"]) for job in batch["jobs"]]
    pipeline.send(jobs[0])
    pipeline.work()
    pipeline.service.cancel(ME, jobs[1].id)
    pipeline.service.delete(ME, jobs[2].id)
    seen = state(api, batch["batchId"])
    assert {name: count for name, count in seen["counts"].items() if count} == {
        "COMPLETED": 1,
        "CANCELED": 1,
        "PENDING": 1,
    }
    assert (seen["total"], seen["deleted"], seen["done"]) == (4, 1, False)
    pipeline.service.cancel(ME, jobs[3].id)
    assert state(api, batch["batchId"])["done"] is True


def test_the_jobs_of_a_batch_come_in_parts(pipeline: Pipeline, api: httpx.Client) -> None:
    """In the order of the files, each once, whatever was erased meanwhile."""
    batch = ask(api, 7)
    ids = [job["jobId"] for job in batch["jobs"]]
    first = state(api, batch["batchId"], limit=3)
    pipeline.service.delete(ME, ids[4])
    seen, cursor = [item["jobId"] for item in first["items"]], first["nextCursor"]
    while cursor:
        page = state(api, batch["batchId"], limit=3, cursor=cursor)
        seen += [item["jobId"] for item in page["items"]]
        cursor = page["nextCursor"]
    assert seen == ids[:4] + ids[5:]
    bad = api.get(f"/batches/{batch['batchId']}", params={"cursor": "x"})
    assert_problem(bad, 400, "invalid_request")


def test_a_repeated_request_is_one_batch(api: httpx.Client) -> None:
    """Under its key the same batch is answered again, with URLs signed anew."""
    key = {"Idempotency-Key": "k1"}
    made = [api.post("/batches", json={"files": [{}, {}]}, headers=key) for _ in range(2)]
    first, second = (answer.json() for answer in made)
    assert first["batchId"] == second["batchId"]
    assert [job["jobId"] for job in first["jobs"]] == [job["jobId"] for job in second["jobs"]]
    assert made[1].headers["idempotent-replayed"] == "true"
    assert_problem(api.post("/batches", json={"files": [{}]}, headers=key), 422, "idempotency_key_reused")


def test_another_owners_batch_is_not_there(pipeline: Pipeline, api: httpx.Client) -> None:
    """Nor is one that never was, or that can be none."""
    batch = pipeline.service.request_batch("somebody-else", [UploadRequest()])
    for name in (batch.id, NOBODY, "a.b"):
        assert_problem(api.get(f"/batches/{name}"), 404, "batch_not_found")


def test_one_notice_when_all_have_ended(pipeline: Pipeline, api: httpx.Client) -> None:
    """Completed, canceled, erased while open, expired: after the last end one notice more, and never another."""
    told: list[Notice] = []
    sweeper = Sweeper(pipeline.service, told.append)
    batch = ask(api, 4)
    jobs = [pipeline.service.describe(ME, job["jobId"]) for job in batch["jobs"]]
    pipeline.send(jobs[0])
    pipeline.work()
    pipeline.service.cancel(ME, jobs[1].id)
    pipeline.service.delete(ME, jobs[2].id)
    sweeper.sweep()
    assert sorted(notice.kind for notice in told) == ["job.canceled", "job.canceled", "job.completed"]
    pipeline.clock.advance(DAY / 4)
    sweeper.sweep()
    assert [notice.id for notice in told if notice.whole_batch] == [f"{batch['batchId']}.completed"]
    pipeline.service.retry(ME, jobs[1].id)
    pipeline.service.cancel(ME, jobs[1].id)
    sweeper.sweep()
    assert len([notice for notice in told if notice.whole_batch]) == 1


def test_quotas_count_every_file() -> None:
    """A batch takes a place for each of its files, or is refused as a whole."""
    pipeline = Pipeline(max_open_jobs=3)
    (api,) = client(pipeline)
    assert_problem(api.post("/batches", json={"files": [{}] * 4}), 429, "quota_used_up")
    ask(api, 3)
    assert_problem(api.post("/uploads"), 429, "quota_used_up")


def test_a_batch_is_forgotten_after_its_jobs(pipeline: Pipeline, api: httpx.Client) -> None:
    """Not before: while one of its jobs may be there, it can be asked for."""
    batch = ask(api, 1)
    pipeline.clock.advance(pipeline.settings.retention_seconds + DAY)
    assert state(api, batch["batchId"])["total"] == 1
    pipeline.clock.advance(8 * DAY)
    assert_problem(api.get(f"/batches/{batch['batchId']}"), 404, "batch_not_found")
