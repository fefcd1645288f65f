"""The promises of the HTTP API, on in-memory ports."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from tests.unit.pipeline import Pipeline

from safelight.callers import Caller, Scope
from safelight.entrypoints.api import create_app
from safelight.entrypoints.api.requests import MAX_BODY
from safelight.errors import StorageUnavailable, Unprocessable
from safelight.model import JobState
from safelight.ports import LINKS_SIGNED_EVERY

ROOT = Path(__file__).parents[3]

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
FIRST_CONTRACT = {"jobId", "status", "createdAt", "updatedAt", "downloadUrl", "errorMessage"}
INLINE = {"version": 1, "steps": {}, "outputs": {"small": {"format": "webp"}}}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def api(pipeline: Pipeline) -> Iterator[httpx.Client]:
    yield from client(pipeline)


def client(pipeline: Pipeline, **options: Any) -> Iterator[httpx.Client]:
    """A client of the application on this pipeline."""
    app = create_app(pipeline.service, **options)
    with TestClient(app, base_url="http://api.example", raise_server_exceptions=False) as it:
        yield it


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Every refusal has the same form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "requestId", "error", "message"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["requestId"] == response.headers["x-request-id"]
    assert body["error"] == body["title"]
    assert body["message"] == body["detail"]
    return body


# --- asking for an upload ---


@pytest.mark.parametrize("content", [b"", b"{}", b" \n", b'{"filename": "beach.jpg"}', b'{"filename": null}'])
def test_the_body_is_optional(api: httpx.Client, content: bytes) -> None:
    """Nothing, `{}` or a filename: 200 with the three fields of the first contract and how to upload."""
    response = api.post("/uploads", content=content)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["expiresIn"] == 300
    assert body["uploadUrl"].startswith("https://storage.invalid/uploads/")
    assert (body["uploadMethod"], body["uploadHeaders"], body["uploadFields"]) == ("PUT", {}, {})
    assert body["statusUrl"] == response.headers["location"] == f"http://api.example/jobs/{body['jobId']}"
    assert api.get(body["statusUrl"]).json()["status"] == "PENDING"


@pytest.mark.parametrize(
    "media_type", ["application/x-www-form-urlencoded", "text/plain", "application/json", None]
)
def test_a_body_is_json_whatever_its_type_says(
    api: httpx.Client, pipeline: Pipeline, media_type: str | None
) -> None:
    """`curl -d` names the type of a form; the body is read as JSON all the same."""
    headers = {"Content-Type": media_type} if media_type else {}
    body = api.post("/uploads", content=b'{"filename": "cat.png"}', headers=headers).json()
    assert pipeline.ports.jobs.get(body["jobId"]).upload.filename == "cat.png"


def test_a_name_that_is_there_twice_is_refused(api: httpx.Client) -> None:
    """Anywhere in the body: of two steps of one name, the other would be lost."""
    steps = b'{"a": {"op": "sepia"}, "a": {"op": "grayscale"}}'
    twice = b'{"recipe": {"version": 1, "steps": %s, "outputs": {"x": {"use": "a"}}}}' % steps
    answer = api.post("/uploads", content=twice)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert 'the name "a" twice' in answer.json()["detail"]


def test_everything_that_may_be_said(api: httpx.Client, pipeline: Pipeline) -> None:
    """All fields reach the job, and what was declared comes back as headers to send."""
    said = {
        "filename": "cat.png",
        "contentType": "image/png",
        "size": 7,
        "sha256": "AB" * 32,
        "recipe": INLINE,
        "metadata": {"album": "7"},
        "method": "PUT",
        "overwrite": False,
    }
    body = api.post("/uploads", json=said).json()
    job = pipeline.ports.jobs.get(body["jobId"])
    upload = job.upload
    assert (upload.filename, upload.content_type, upload.size) == ("cat.png", "image/png", 7)
    assert (upload.sha256, upload.overwrite, job.metadata) == ("ab" * 32, False, {"album": "7"})
    assert job.recipe.name == "inline"
    assert body["uploadHeaders"]["Content-Type"] == "image/png"
    assert body["uploadHeaders"]["If-None-Match"] == "*"


def test_an_upload_by_form(api: httpx.Client) -> None:
    """With POST the answer carries form fields instead of headers."""
    body = api.post("/uploads", json={"method": "POST"}).json()
    assert body["uploadMethod"] == "POST"
    assert body["uploadFields"]["key"].startswith(f"uploads/{body['jobId']}/")


@pytest.mark.parametrize(
    "filename",
    [
        "../../etc/passwd",
        "a\0b.jpg",
        "a\r\nX-Evil: 1\r\n.jpg",
        "",
        "x" * 1024,
        "写真.jpg",
        "👩‍🎨.png",
        ".",
        "a b%20c?.jpg",
    ],
)
def test_any_filename_is_fine(api: httpx.Client, pipeline: Pipeline, filename: str) -> None:
    """No name breaks the key, the headers or the answer; the job keeps the name as given."""
    body = api.post("/uploads", json={"filename": filename}).json()
    job = pipeline.ports.jobs.get(body["jobId"])
    assert job.upload.key.count("/") == 2
    assert job.upload.key.isprintable()
    pipeline.send(job)
    pipeline.work()
    shown = api.get(f"/jobs/{job.id}").json()
    assert shown["status"] == "COMPLETED"
    assert shown["source"]["filename"] == job.upload.filename
    assert filename in ("", job.upload.filename)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"filename": "\xed\xa0\x80"}', "not valid JSON"),
        (b'{"size": 1e999}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"filename=beach.jpg", "not valid JSON"),
        (b"[]", "expected a JSON object, received []"),
        (b"null", "expected a JSON object, received null"),
        (b'"x"', 'expected a JSON object, received "x"'),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_body_that_is_no_object_is_refused(api: httpx.Client, content: bytes, says: str) -> None:
    """What is not a JSON object is answered with 400, never with 500."""
    assert says in assert_problem(api.post("/uploads", content=content), 400, "invalid_request")["detail"]


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ({"contentType": 12}, "contentType: expected a media type such as image/jpeg, received 12."),
        (
            {"contentType": "a\r\nb"},
            'contentType: expected a media type such as image/jpeg, received "a\\r\\nb".',
        ),
        ({"filename": 1}, "filename: expected a string of at most 1024 characters, received 1."),
        (
            {"filename": "x" * 2000},
            "filename: expected a string of at most 1024 characters, received a string of 2000 characters.",
        ),
        ({"size": "7"}, 'size: expected a whole number of bytes, 0 or more, received "7".'),
        ({"size": -1}, "size: expected a whole number of bytes, 0 or more, received -1."),
        ({"size": 7.5}, "size: expected a whole number of bytes, 0 or more, received 7.5."),
        ({"sha256": "xyz"}, 'sha256: expected 64 hexadecimal digits, received "xyz".'),
        ({"method": "GET"}, 'method: expected PUT or POST, received "GET".'),
        ({"overwrite": "no"}, 'overwrite: expected true or false, received "no".'),
        ({"recipe": 3}, "recipe: expected a recipe's name or a recipe, received 3."),
        ({"metadata": {"a": 1}}, 'received {"a":1}.'),
        (
            {"metadata": {"a": "b", "": "a"}},
            "metadata: expected at most 32 pairs of strings, keys of 1 to 64 and",
        ),
        ({"metadata": {"a": "b", "": "a"}}, 'received {"":"a"}.'),
        ({"metadata": {"k" * 65: "a"}}, 'received {"kkkkkk'),
        ({"metadata": {"a": "b", "k": "a" * 513}}, 'received {"k":"aaaaaaa'),
        ({"metadata": {"a": "b", "year": 2024}}, 'received {"year":2024}.'),
        ({"metadata": {str(n): "" for n in range(33)}}, "received 33 pairs."),
        ({"filename": {"a": "b"}}, 'received {"a":"b"}.'),
        ({"recepie": "default"}, '"recepie" is not a field of this request; recipe is.'),
        ({"content_type": "image/png"}, '"content_type" is not a field of this request; contentType is.'),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_refusal_names_the_field(api: httpx.Client, said: dict[str, Any], detail: str) -> None:
    """A wrong value is answered with the field, what was expected and what came."""
    assert detail in assert_problem(api.post("/uploads", json=said), 400, "invalid_request")["detail"]


def test_a_whole_number_is_whole_however_it_is_written(api: httpx.Client, pipeline: Pipeline) -> None:
    """JSON has one kind of number: 7.0 is 7."""
    body = api.post("/uploads", content=b'{"size": 7.0}').json()
    assert pipeline.ports.jobs.get(body["jobId"]).upload.size == 7


def test_fields_of_the_client_s_own_are_ignored(api: httpx.Client) -> None:
    """As ever, a client may send what this API does not know."""
    assert api.post("/uploads", json={"filename": "a.jpg", "x-trace": 1, "userId": "7"}).status_code == 200


def test_a_flood_of_fields_costs_little(api: httpx.Client) -> None:
    """A body full of unknown fields is answered like any other, without looking at each of them for long."""
    flood = {f"recip{number}": 0 for number in range(60_000)}
    assert_problem(api.post("/uploads", json=flood), 400, "invalid_request")
    flood = {f"x{number}": 0 for number in range(60_000)}
    assert api.post("/uploads", json=flood).status_code == 200


@pytest.mark.parametrize("depth", [10, 32, 100, 982, 985, 10_000])
def test_a_deep_recipe_is_refused(api: httpx.Client, depth: int) -> None:
    """However deep a body is nested, it is refused, and nothing breaks."""
    for path in (
        '{"recipe": %s}',
        '{"recipe": {"version": 1, "outputs": %s}}',
        '{"x-mine": %s, "recipe": "nosuch"}',
    ):
        deep = path % ('{"a": ' * depth + "1" + "}" * depth)
        assert 400 <= api.post("/uploads", content=deep.encode()).status_code < 500


@pytest.mark.parametrize(
    ("said", "status", "code", "says"),
    [
        ({"recipe": "nosuch"}, 422, "unknown_recipe", "there are: default"),
        ({"recipe": {"version": 1}}, 422, "recipe_invalid", "outputs"),
        ({"recipe": {}}, 422, "recipe_invalid", "version"),
        ({"size": 0}, 422, "empty_file", "empty"),
        ({"size": 10**12}, 413, "too_large", "100 MB"),
    ],
)
def test_what_can_not_be_done_is_refused(
    api: httpx.Client, said: dict[str, Any], status: int, code: str, says: str
) -> None:
    """A request of the right form that can not be carried out gets its own code, and no job is made."""
    assert says in assert_problem(api.post("/uploads", json=said), status, code)["detail"]
    assert api.get("/jobs").json()["items"] == []


def test_a_body_is_not_a_file() -> None:
    """A body over the limit is refused with 413, whether its length was announced or not."""
    for api in client(Pipeline()):
        at_limit = b'{"filename": "a.jpg"' + b" " * (MAX_BODY - 21) + b"}"
        assert api.post("/uploads", content=at_limit).status_code == 200
        assert_problem(api.post("/uploads", content=at_limit + b" "), 413, "body_too_large")
        chunks = (b" " * 100_000 for _ in range(20))
        assert_problem(api.post("/uploads", content=chunks), 413, "body_too_large")


def test_too_much_work_is_turned_away() -> None:
    """With a full queue, POST /uploads answers 503 and says when to come back."""
    pipeline = Pipeline(max_queue=1)
    pipeline.send(pipeline.request())
    pipeline.clock.advance(60)
    for api in client(pipeline):
        response = api.post("/uploads")
        assert_problem(response, 503, "overloaded")
        assert response.headers["retry-after"] == "60"


def test_the_public_address_is_used_where_it_is_set() -> None:
    """Behind a proxy, the job's URL is the one that clients reach."""
    for api in client(Pipeline(public_url="https://pictures.example/")):
        body = api.post("/uploads").json()
        assert body["statusUrl"] == f"https://pictures.example/jobs/{body['jobId']}"


# --- looking at a job ---


def test_a_new_job(api: httpx.Client, pipeline: Pipeline) -> None:
    """All six fields of the first contract are there from the start, null where empty; nothing has been read yet."""
    job = pipeline.request(metadata={"album": "7"})
    response = api.get(f"/jobs/{job.id}")
    body = response.json()
    assert set(body) >= FIRST_CONTRACT
    assert (body["jobId"], body["status"], body["stage"]) == (job.id, "PENDING", "awaiting_upload")
    assert (body["downloadUrl"], body["errorMessage"], body["error"]) == (None, None, None)
    assert re.fullmatch(TIME, body["createdAt"])
    assert re.fullmatch(TIME, body["updatedAt"])
    assert (body["attempt"], body["progress"], body["outputs"]) == (0, 0.0, [])
    assert body["recipe"] == {"name": "default", "digest": job.recipe.digest}
    assert body["source"] == dict.fromkeys(
        ("contentType", "format", "width", "height", "frames", "bytes", "sha256")
    ) | {"filename": "beach.jpg"}
    assert body["metadata"] == {"album": "7"}
    assert body["timeline"] == [{"at": body["createdAt"], "status": "PENDING", "attempt": 0, "code": None}]
    assert "expiresAt" not in body
    assert response.headers["retry-after"] == "1"
    assert response.headers["cache-control"] == "private, no-cache"


def test_a_completed_job(api: httpx.Client, pipeline: Pipeline) -> None:
    """The outputs are there with signed URLs, and `downloadUrl` is that of the primary one."""
    outputs_wanted = {"small": {"delivery": "public"}, "large": {"primary": True}}
    recipe = {"version": 1, "steps": {}, "outputs": outputs_wanted}
    job = pipeline.completed(recipe=recipe)
    response = api.get(f"/jobs/{job.id}")
    body = response.json()
    assert (body["status"], body["stage"], body["progress"]) == ("COMPLETED", "done", 1.0)
    outputs = {output["name"]: output for output in body["outputs"]}
    assert set(outputs) == {"small", "large"}
    assert body["downloadUrl"] == outputs["large"]["url"]
    assert set(outputs["small"]) == {
        *("name", "url", "contentType", "width", "height", "frames"),
        *("bytes", "sha256", "primary", "placeholder", "publicUrl"),
    }
    assert outputs["large"]["publicUrl"] is None
    assert outputs["small"]["publicUrl"].endswith(f"/{job.outputs[0].key.split('/')[3]}/public/small.jpg")
    assert body["source"]["bytes"] == len(b"picture")
    assert [moment["status"] for moment in body["timeline"]] == ["PENDING", "PROCESSING", "COMPLETED"]
    assert re.fullmatch(TIME, body["expiresAt"])
    assert "retry-after" not in response.headers


def test_a_failed_job(api: httpx.Client, pipeline: Pipeline) -> None:
    """The reason is told twice: as a sentence, and with its code."""
    pipeline.failing(Unprocessable("The image ends early."))
    body = api.get(f"/jobs/{pipeline.completed().id}").json()
    assert body["status"] == "FAILED"
    assert body["errorMessage"] == "The image ends early."
    assert body["error"] == {"code": "unprocessable", "message": "The image ends early."}
    assert body["downloadUrl"] is None


def test_a_job_without_an_id(api: httpx.Client) -> None:
    """`GET /jobs/` is a job's address without its id, and not the list of jobs."""
    body = assert_problem(api.get("/jobs/"), 400, "missing_job_id")
    assert body["error"] == "Missing jobId parameter"
    assert api.get("/jobs").status_code == 200


@pytest.mark.parametrize(
    "job_id", [NOBODY, "x", "x" * 300, "a%00b", "..%2e", "%F0%9F%98%80", "' OR 1=1 --", "a b"]
)
def test_a_job_that_is_not_there(api: httpx.Client, job_id: str) -> None:
    """An id that nobody has, or that no job can have, is 404 with the first contract's words."""
    assert assert_problem(api.get(f"/jobs/{job_id}"), 404, "job_not_found")["error"] == "Job not found"


def test_another_s_job_is_not_there(pipeline: Pipeline) -> None:
    """A job is visible to its owner only, in every call."""
    mine = pipeline.completed()
    both = frozenset({Scope.UPLOAD, Scope.READ})
    for api in client(
        pipeline, principal=lambda call: Caller(owner=call.headers.get("x-user", ""), scopes=both)
    ):
        you = {"x-user": "you"}
        calls = [("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", ""), ("GET", "/events")]
        for method, path in calls:
            assert_problem(api.request(method, f"/jobs/{mine.id}{path}", headers=you), 404, "job_not_found")
        assert_problem(api.post("/jobs", json={"from": mine.id}, headers=you), 404, "job_not_found")
        assert api.get("/jobs", headers=you).json()["items"] == []
        assert api.get(f"/jobs/{mine.id}", headers={"x-user": "local"}).status_code == 200


def test_what_has_not_changed_is_not_sent_again(api: httpx.Client, pipeline: Pipeline) -> None:
    """With the ETag from before a client gets 304 without a body, until the job changes."""
    job = pipeline.request()
    first = api.get(f"/jobs/{job.id}")
    tag = first.headers["etag"]
    for held in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        again = api.get(f"/jobs/{job.id}", headers={"If-None-Match": held})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "private, no-cache"
    assert api.get(f"/jobs/{job.id}", headers={"If-None-Match": '"other"'}).status_code == 200
    pipeline.send(job)
    changed = api.get(f"/jobs/{job.id}", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_a_304_never_leaves_dead_urls(api: httpx.Client, pipeline: Pipeline) -> None:
    """A completed job is "not modified" only as long as its URLs are the very ones that the client holds."""
    job = pipeline.completed()
    first = api.get(f"/jobs/{job.id}")
    held = {"If-None-Match": first.headers["etag"]}
    pipeline.clock.now = (pipeline.clock.now // LINKS_SIGNED_EVERY + 1) * LINKS_SIGNED_EVERY - 1
    assert api.get(f"/jobs/{job.id}", headers=held).status_code == 304
    assert api.get(f"/jobs/{job.id}").json()["downloadUrl"] == first.json()["downloadUrl"]
    pipeline.clock.advance(1)
    again = api.get(f"/jobs/{job.id}", headers=held)
    assert again.status_code == 200
    assert again.json()["downloadUrl"] != first.json()["downloadUrl"]


# --- listing ---


def test_jobs_are_listed_newest_first(api: httpx.Client, pipeline: Pipeline) -> None:
    """The list comes in parts, each asking for the next; together they are all of the caller's jobs."""
    made = []
    for _ in range(5):
        made.append(pipeline.request().id)
        pipeline.clock.advance(1)
    pipeline.request("somebody else")
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        body = api.get("/jobs", params=query).json()
        seen += [item["jobId"] for item in body["items"]]
        if body["nextCursor"] is None:
            break
        query["cursor"] = body["nextCursor"]
    assert seen == made[::-1]


def test_jobs_are_listed_by_status(api: httpx.Client, pipeline: Pipeline) -> None:
    """Only jobs in the state that was asked for, in the same form as one job."""
    done, _ = pipeline.completed(), pipeline.request()
    (item,) = api.get("/jobs", params={"status": "COMPLETED"}).json()["items"]
    assert item == api.get(f"/jobs/{done.id}").json()


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", 'limit: expected a whole number from 1 to 100, received "0".'),
        ("limit=101", 'limit: expected a whole number from 1 to 100, received "101".'),
        ("limit=x", 'limit: expected a whole number from 1 to 100, received "x".'),
        (
            "status=completed",
            "status: expected one of PENDING, PROCESSING, COMPLETED, FAILED, EXPIRED, CANCELED",
        ),
        ("status=null", "status: expected one of PENDING"),
        ("status=PENDING&status=FAILED", "status: expected one value, received several."),
        ("cursor=zzz", "cursor"),
        ("sort=asc", '"sort" is not a field of this request; these are: status, owner, limit, cursor.'),
    ],
)
def test_a_wrong_question_is_refused(api: httpx.Client, query: str, detail: str) -> None:
    """A parameter that can not be used is named."""
    assert detail in assert_problem(api.get(f"/jobs?{query}"), 400, "invalid_request")["detail"]


# --- acting on a job ---


def test_rendering_again(api: httpx.Client, pipeline: Pipeline) -> None:
    """A new job is made on the kept original, with an address of its own."""
    done = pipeline.completed()
    response = api.post("/jobs", json={"from": done.id, "recipe": INLINE})
    body = response.json()
    assert response.status_code == 200
    assert body["jobId"] != done.id
    assert (body["status"], body["stage"], body["renderedFrom"]) == ("PENDING", "queued", done.id)
    assert response.headers["location"] == f"http://api.example/jobs/{body['jobId']}"
    pipeline.work()
    assert [o["name"] for o in api.get(f"/jobs/{body['jobId']}").json()["outputs"]] == ["small"]


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"from": 7}, 400, "invalid_request"),
        ({"from": NOBODY}, 404, "job_not_found"),
        ({"from": ""}, 400, "invalid_request"),
        ({"from": NOBODY, "sauce": 1}, 400, "invalid_request"),
    ],
)
def test_rendering_again_what_is_not_there(
    api: httpx.Client, said: dict[str, Any], status: int, code: str
) -> None:
    """The job to render again must be named, and be there."""
    assert_problem(api.post("/jobs", json=said), status, code)


def test_rendering_again_without_an_original(api: httpx.Client, pipeline: Pipeline) -> None:
    """An original that is not kept any more is 410."""
    assert_problem(api.post("/jobs", json={"from": pipeline.request().id}), 410, "source_gone")


def test_cancel_and_retry(api: httpx.Client, pipeline: Pipeline) -> None:
    """Both answer with the job, twice the same; where the state does not allow it, with 409."""
    job = pipeline.send(pipeline.request())
    for _ in range(2):
        response = api.post(f"/jobs/{job.id}/cancel")
        assert (response.status_code, response.json()["status"]) == (200, "CANCELED")
    for _ in range(2):
        response = api.post(f"/jobs/{job.id}/retry")
        assert (response.status_code, response.json()["status"]) == (200, "PENDING")
    pipeline.work()
    assert "COMPLETED" in assert_problem(api.post(f"/jobs/{job.id}/cancel"), 409, "not_allowed_now")["detail"]
    assert_problem(api.post(f"/jobs/{job.id}/retry"), 409, "not_allowed_now")


def test_deleting(api: httpx.Client, pipeline: Pipeline) -> None:
    """204 without a body, twice; then the job is not there. What never was is 404."""
    job = pipeline.completed()
    for _ in range(2):
        response = api.delete(f"/jobs/{job.id}")
        assert (response.status_code, response.content) == (204, b"")
    assert_problem(api.get(f"/jobs/{job.id}"), 404, "job_not_found")
    assert_problem(api.delete(f"/jobs/{NOBODY}"), 404, "job_not_found")


# --- doing something once ---


def test_a_key_makes_one_job(api: httpx.Client, pipeline: Pipeline) -> None:
    """The same request with the same key gives the same job, a newly signed URL, and says that it is a replay."""
    ask = {"content": b'{"filename": "a.jpg"}', "headers": {"Idempotency-Key": "k"}}
    first, second = api.post("/uploads", **ask), api.post("/uploads", **ask)  # type: ignore[arg-type]
    assert first.status_code == second.status_code == 200
    assert first.json()["jobId"] == second.json()["jobId"]
    assert first.json()["uploadUrl"] != second.json()["uploadUrl"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert len(api.get("/jobs").json()["items"]) == 1


def test_a_key_belongs_to_one_request(api: httpx.Client, pipeline: Pipeline) -> None:
    """The same key with another body, or at another address, is 422."""
    key = {"Idempotency-Key": "k"}
    job = pipeline.request()
    api.post("/uploads", json={"filename": "a.jpg"}, headers=key)
    assert_problem(
        api.post("/uploads", json={"filename": "b.jpg"}, headers=key), 422, "idempotency_key_reused"
    )
    assert_problem(api.post(f"/jobs/{job.id}/cancel", headers=key), 422, "idempotency_key_reused")
    assert pipeline.now(job).state is JobState.PENDING


def test_a_key_outlives_its_job(api: httpx.Client) -> None:
    """A request that is repeated after its job was erased makes no second job, and is told why."""
    key = {"Idempotency-Key": "k"}
    job_id = api.post("/uploads", headers=key).json()["jobId"]
    assert api.delete(f"/jobs/{job_id}").status_code == 204
    problem = assert_problem(api.post("/uploads", headers=key), 422, "idempotency_key_reused")
    assert "erased" in problem["detail"]


@pytest.mark.parametrize("path", ["/uploads", "/jobs", "/jobs/{}/cancel", "/jobs/{}/retry"])
def test_every_post_takes_a_key(api: httpx.Client, pipeline: Pipeline, path: str) -> None:
    """Each POST is carried out once for its key."""
    job = pipeline.completed()
    path = path.format(pipeline.request().id)
    ask = {"json": {"from": job.id} if path == "/jobs" else {}, "headers": {"Idempotency-Key": "k"}}
    first, second = api.post(path, **ask), api.post(path, **ask)  # type: ignore[arg-type]
    assert first.status_code == second.status_code == 200
    assert first.json()["jobId"] == second.json()["jobId"]
    assert second.headers["idempotent-replayed"] == "true"


def test_a_key_in_use_is_told_to_wait(pipeline: Pipeline) -> None:
    """While the first request with a key is under way, the second gets 409 and when to come back."""
    real = pipeline.ports.jobs.create
    for api in client(pipeline):
        answers: list[httpx.Response] = []

        def create(job: Any, api: httpx.Client = api, answers: list[httpx.Response] = answers) -> None:
            answers.append(api.post("/uploads", headers={"Idempotency-Key": "k"}))
            real(job)

        pipeline.ports.jobs.create = create  # type: ignore[method-assign]
        assert api.post("/uploads", headers={"Idempotency-Key": "k"}).status_code == 200
        assert_problem(answers[0], 409, "idempotency_key_in_use")
        assert answers[0].headers["retry-after"] == "1"


def test_a_refused_request_frees_its_key(api: httpx.Client) -> None:
    """A request that could not be carried out may be mended and sent again with its key."""
    key = {"Idempotency-Key": "k"}
    assert_problem(api.post("/uploads", json={"recipe": "nosuch"}, headers=key), 422, "unknown_recipe")
    assert api.post("/uploads", json={}, headers=key).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "a\tb", "é"])
def test_a_key_that_is_none_is_refused(api: httpx.Client, key: str) -> None:
    """A key is 1 to 255 visible ASCII characters."""
    response = api.post("/uploads", headers=[(b"Idempotency-Key", key.encode())])
    assert "Idempotency-Key" in assert_problem(response, 400, "invalid_request")["detail"]
    assert api.post("/uploads", headers={"Idempotency-Key": "x" * 255}).status_code == 200


# --- recipes, description, health ---


def test_recipes(api: httpx.Client, pipeline: Pipeline) -> None:
    """All recipes are listed, each can be had alone, and each is of the form that its JSON Schema tells."""
    listed = api.get("/recipes").json()
    assert listed["default"] == "default"
    (item,) = listed["items"]
    assert item == api.get("/recipes/default").json()
    assert item["digest"] == pipeline.request().recipe.digest
    schema = api.get("/recipes/schema.json").json()
    assert schema["$ref"] == "#/$defs/Recipe"
    assert set(item["recipe"]) <= set(schema["$defs"]["Recipe"]["properties"])
    assert api.post("/uploads", json={"recipe": item["recipe"]}).status_code == 200


def test_a_recipe_gets_a_name(api: httpx.Client) -> None:
    """PUT makes it, and then says what it means; requests can name it; DELETE takes it away, twice if need be."""
    made = api.put("/recipes/web", json=INLINE)
    assert made.status_code == 201
    item = made.json()
    assert (item["name"], item["own"], list(item["recipe"]["outputs"])) == ("web", True, ["small"])
    assert api.get("/recipes/web").json() == item
    assert [one["name"] for one in api.get("/recipes").json()["items"]] == ["default", "web"]
    job = api.post("/uploads", json={"recipe": "web"}).json()["jobId"]
    assert api.get(f"/jobs/{job}").json()["recipe"] == {"name": "web", "digest": item["digest"]}
    again = api.put("/recipes/web", content="version: 1\noutputs: {large: {format: png}}\n")
    assert again.status_code == 200
    assert again.json()["digest"] != item["digest"]
    assert api.get(f"/jobs/{job}").json()["recipe"]["digest"] == item["digest"]
    assert [api.delete("/recipes/web").status_code for _ in range(2)] == [204, 204]
    assert_problem(api.get("/recipes/web"), 404, "unknown_recipe")


@pytest.mark.parametrize(
    ("method", "name", "content", "status", "code", "words"),
    [
        ("PUT", "default", "{}", 409, "recipe_name_taken", "choose another name"),
        ("DELETE", "default", None, 409, "recipe_name_taken", "choose another name"),
        ("PUT", "web", "", 422, "recipe_invalid", "expected the fields"),
        (
            "PUT",
            "web",
            '{"version": 1, "outputs": {"a": {"format": "bmp"}}}',
            422,
            "recipe_invalid",
            "outputs.a.format",
        ),
        ("PUT", "W", "{}", 400, "invalid_request", "expected a name of a-z"),
    ],
)
def test_what_can_not_get_a_name(
    api: httpx.Client, method: str, name: str, content: str | None, status: int, code: str, words: str
) -> None:
    """Each refusal says what is wrong, and where."""
    response = api.request(method, f"/recipes/{name}", content=content)
    assert words in assert_problem(response, status, code)["detail"]


def test_what_was_processed_before_is_not_sent_again(api: httpx.Client, pipeline: Pipeline) -> None:
    """With `dedupe` and the hash, the answer is the job that is done, without a URL; repeated, the same."""
    done = pipeline.completed(dedupe=True)
    assert done.source is not None
    wanted = {"dedupe": True, "sha256": done.source.sha256}
    key = {"Idempotency-Key": "once"}
    body, again = (api.post("/uploads", json=wanted, headers=key).json() for _ in range(2))
    assert (body["jobId"], body["uploadUrl"], body["uploadHeaders"]) == (done.id, None, {})
    assert again == body
    assert api.get(body["statusUrl"].removeprefix("http://api.example")).json()["status"] == "COMPLETED"
    fresh = api.post("/uploads", json=wanted | {"sha256": "0" * 64}).json()
    assert fresh["jobId"] != done.id
    assert fresh["uploadUrl"].startswith("https://storage.invalid/")


def test_a_recipe_that_is_not_there(api: httpx.Client) -> None:
    """An unknown recipe's address is 404 and names those there are."""
    assert "there are: default" in assert_problem(api.get("/recipes/nosuch"), 404, "unknown_recipe")["detail"]


def test_health(pipeline: Pipeline) -> None:
    """200 when every part answers, 503 naming the part that does not."""
    parts = {"store": True, "queue": True}
    for api in client(pipeline, health=lambda: parts):
        response = api.get("/health")
        assert response.status_code == 200
        assert response.json() == {"status": "ok", "parts": {"store": "ok", "queue": "ok"}}
        parts["queue"] = False
        response = api.get("/health")
        assert response.status_code == 503
        assert response.json() == {"status": "failing", "parts": {"store": "ok", "queue": "does not answer"}}


def test_health_asks_the_ports_by_default(api: httpx.Client) -> None:
    """Without anything else to ask, the service's ports are asked."""
    assert set(api.get("/health").json()["parts"]) == {"jobs", "records", "queue", "storage"}


def test_the_front_door(api: httpx.Client) -> None:
    """Who opens the bare address learns what answers there and where it is described."""
    response = api.get("/")
    assert response.status_code == 200
    about = response.json()
    assert about["name"] == "Safelight"
    assert api.get(about["openapi"]).status_code == 200
    assert (ROOT / about["docs"]).is_file()


# --- errors ---


def test_an_address_that_leads_nowhere(api: httpx.Client) -> None:
    """An unknown route is 404 in the same form as every other error."""
    for path in ("/nowhere", "/jobs/a/b/c", "/uploads/x"):
        assert_problem(api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/uploads", {"POST", "OPTIONS"}),
        ("PUT", "/jobs/x", {"GET", "DELETE", "OPTIONS"}),
        ("DELETE", "/jobs", {"GET", "POST", "OPTIONS"}),
        ("POST", "/health", {"GET", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_taken(api: httpx.Client, method: str, path: str, allow: set[str]) -> None:
    """405 names the methods that the address takes."""
    response = api.request(method, path)
    assert_problem(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == allow


def test_storage_that_is_away(api: httpx.Client, pipeline: Pipeline) -> None:
    """503, and when to come back."""

    def away(job_id: str) -> Any:
        raise StorageUnavailable

    pipeline.ports.jobs.get = away  # type: ignore[method-assign]
    response = api.get(f"/jobs/{NOBODY}")
    assert_problem(response, 503, "storage_unavailable")
    assert response.headers["retry-after"] == "5"


def test_an_unforeseen_error(api: httpx.Client, pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets an id and nothing of what went wrong; the log gets all of it under the same id."""

    def broken(job_id: str) -> Any:
        raise RuntimeError("password=hunter2 in /srv/secret.py")

    pipeline.ports.jobs.get = broken  # type: ignore[method-assign]
    response = api.get(f"/jobs/{NOBODY}", headers={"X-Request-Id": "trace-1"})
    body = assert_problem(response, 500, "internal_error")
    assert body["error"] == "Internal server error"
    assert body["requestId"] == "trace-1"
    assert not re.search("hunter2|secret|RuntimeError|Traceback", response.text)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.__dict__["request"] == "trace-1"
    assert "hunter2" in caplog.text


# --- what every answer carries ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/uploads"),
        ("GET", "/jobs/x"),
        ("GET", "/nowhere"),
        ("PUT", "/uploads"),
        ("OPTIONS", "/uploads"),
    ],
)
def test_every_answer_carries_these(api: httpx.Client, method: str, path: str) -> None:
    """A request id, no guessing of types, access for pages of every origin, and no name of a server."""
    response = api.request(method, path)
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-request-id"])
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["access-control-allow-origin"] == "*"
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Retry-After", "X-Request-Id", "Location"} <= set(exposed)
    assert "server" not in response.headers


@pytest.mark.parametrize(
    ("given", "kept"), [("trace-1.A_b", True), ("x" * 65, False), ("a b", False), ("<x>", False)]
)
def test_a_sane_request_id_is_kept(api: httpx.Client, given: str, kept: bool) -> None:
    """A client may name its request, if the name can be trusted in a log."""
    answered = api.get("/health", headers={"X-Request-Id": given}).headers["x-request-id"]
    assert (answered == given) is kept


@pytest.mark.parametrize(
    ("path", "methods"), [("/jobs", "GET, OPTIONS, POST"), ("/jobs/x", "DELETE, GET, OPTIONS")]
)
def test_options(api: httpx.Client, path: str, methods: str) -> None:
    """A plain OPTIONS lists every method that the address takes."""
    assert api.options(path).headers["allow"] == methods


@pytest.mark.parametrize("path", ["/uploads", "/jobs/x", "/jobs/x/events"])
def test_preflight(api: httpx.Client, path: str) -> None:
    """A browser learns that its page may send what this API takes; a plain OPTIONS is answered, too."""
    asked = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, idempotency-key",
    }
    for headers in (asked, {}):
        response = api.options(path, headers=headers)
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "*"
        assert {"GET", "POST", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(", "))
        allowed = response.headers["access-control-allow-headers"].lower().split(", ")
        assert {"content-type", "idempotency-key", "if-none-match", "last-event-id"} <= set(allowed)


def test_only_listed_origins_where_there_is_a_list() -> None:
    """With a list of origins, a page of another one is not let in, and caches keep the answers apart."""
    for api in client(Pipeline(cors_origins=("https://a.example/", "https://b.example"))):
        for origin, allowed in [
            ("https://a.example", True),
            ("https://b.example", True),
            ("https://c.example", False),
        ]:
            for method in ("GET", "OPTIONS"):
                response = api.request(method, "/health", headers={"Origin": origin})
                assert response.headers.get("access-control-allow-origin") == (origin if allowed else None)
                assert response.headers["vary"] == "Origin"


def test_the_answer_is_json_as_clients_read_it(api: httpx.Client, pipeline: Pipeline) -> None:
    """The body is plain JSON in UTF-8, with non-ASCII characters as they are."""
    job = pipeline.request(filename="写真.jpg")
    response = api.get(f"/jobs/{job.id}")
    assert "写真.jpg" in response.content.decode()
    assert json.loads(response.content)["source"]["filename"] == "写真.jpg"
