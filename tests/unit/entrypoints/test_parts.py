"""The promises of uploads in parts, through the API on ports in memory."""

import hashlib
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.entrypoints.test_api import assert_problem, client
from tests.unit.pipeline import ME, Pipeline

from safelight import Client, testing
from safelight.client import Refused, batches
from safelight.entrypoints.lambdas.sweeper import open_too_long
from safelight.model import DAY, HOUR, MINUTE, JobState
from safelight.ports import BlobInfo
from safelight.uploads import MULTIPART_FROM, PART_SIZE

CONTENT = b"0123456789abcdef" * (2 * PART_SIZE // 16) + b"and the rest"


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def api(pipeline: Pipeline) -> Iterator[httpx.Client]:
    yield from client(pipeline)


def ask(api: httpx.Client, **said: Any) -> dict[str, Any]:
    """A client asks to upload CONTENT in parts."""
    made = api.post("/uploads", json={"filename": "a.jpg", "size": len(CONTENT), "multipart": True} | said)
    assert made.status_code == 200, made.text
    answer: dict[str, Any] = made.json()
    return answer


def page(api: httpx.Client, job_id: str, **query: int) -> dict[str, Any]:
    """A page of the parts."""
    got = api.get(f"/uploads/{job_id}/parts", params=query)
    assert got.status_code == 200, got.text
    answer: dict[str, Any] = got.json()
    return answer


def send(pipeline: Pipeline, page: dict[str, Any], *numbers: int) -> list[dict[str, Any]]:
    """Send parts of CONTENT to their URLs; all of the page unless told."""
    storage = pipeline.ports.multiparts
    assert isinstance(storage, testing.Multiparts)
    sent = []
    for part in page["parts"]:
        number = part["partNumber"]
        if not numbers or number in numbers:
            body = CONTENT[(number - 1) * page["partSize"] :][: page["partSize"]]
            sent.append({"partNumber": number, "etag": f'"{storage.put(part["url"], body).etag}"'})
    return sent


def complete(api: httpx.Client, job_id: str, parts: list[dict[str, Any]]) -> httpx.Response:
    return api.post(f"/uploads/{job_id}/complete", json={"parts": parts})


def test_a_file_comes_in_parts(pipeline: Pipeline, api: httpx.Client) -> None:
    """From the request to the outputs; the answer is the usual one and says how to cut the file."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    made = ask(api, sha256=sha256)
    assert made["multipart"] == {"partSize": PART_SIZE, "parts": 3}
    assert {"uploadUrl", "uploadMethod", "uploadHeaders", "statusUrl"} <= set(made)
    parts = send(pipeline, page(api, made["jobId"]))
    job = complete(api, made["jobId"], parts).json()
    assert (job["status"], job["stage"]) == ("PENDING", "queued")
    pipeline.work()
    job = api.get(f"/jobs/{made['jobId']}").json()
    assert (job["status"], job["source"]["sha256"]) == ("COMPLETED", sha256)


def test_who_does_not_ask_for_parts_is_not_told_of_them(api: httpx.Client) -> None:
    """The answer of the first contract has no field more, and there are no parts to ask for."""
    made = api.post("/uploads", json={"size": len(CONTENT)}).json()
    assert "multipart" not in made
    job_id = made["jobId"]
    assert_problem(api.get(f"/uploads/{job_id}/parts"), 409, "not_multipart")
    assert_problem(complete(api, job_id, [{"partNumber": 1, "etag": "x"}]), 409, "not_multipart")
    assert_problem(api.delete(f"/uploads/{job_id}/parts"), 409, "not_multipart")


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({}, 422, "multipart_needs_size"),
        ({"size": MULTIPART_FROM}, 422, "multipart_needs_size"),
        ({"size": 10**11}, 413, "too_large"),
        ({"size": len(CONTENT), "method": "POST"}, 422, "conflicting_fields"),
        ({"size": len(CONTENT), "sha256": "0" * 64, "crc32": "0" * 8}, 422, "conflicting_fields"),
        ({"size": len(CONTENT), "crc32": "0"}, 400, "invalid_request"),
        ({"size": len(CONTENT), "multipart": 7}, 400, "invalid_request"),
    ],
)
def test_what_can_not_come_in_parts(api: httpx.Client, said: dict[str, Any], status: int, code: str) -> None:
    """Without a size, with a small one, or as a form: each is refused by name."""
    assert_problem(api.post("/uploads", json={"multipart": True} | said), status, code)


def test_parts_come_in_pages(api: httpx.Client) -> None:
    """Each URL is for exactly its part; `next` leads to the end."""
    job_id = ask(api)["jobId"]
    first = page(api, job_id, limit=2)
    assert [part["partNumber"] for part in first["parts"]] == [1, 2]
    assert [part["headers"] for part in first["parts"]] == [{"Content-Length": str(PART_SIZE)}] * 2
    assert first["next"] == 3
    last = page(api, job_id, **{"from": 3, "limit": 2})
    assert [(p["partNumber"], p["headers"]["Content-Length"]) for p in last["parts"]] == [(3, "12")]
    assert last["next"] is None
    beyond = page(api, job_id, **{"from": 4})
    assert (beyond["parts"], beyond["uploaded"], beyond["next"]) == ([], [], None)
    assert_problem(api.get(f"/uploads/{job_id}/parts", params={"limit": 1001}), 400, "invalid_request")


def test_who_comes_back_goes_on(pipeline: Pipeline, api: httpx.Client) -> None:
    """What has arrived is told, page by page, and need not be sent again."""
    job_id = ask(api)["jobId"]
    send(pipeline, page(api, job_id), 1, 3)
    there = page(api, job_id, limit=2)["uploaded"]
    assert [(part["partNumber"], part["size"]) for part in there] == [(1, PART_SIZE)]
    there += page(api, job_id, **{"from": 3})["uploaded"]
    there += send(pipeline, page(api, job_id), 2)
    done = complete(
        api,
        job_id,
        sorted(({k: p[k] for k in ("partNumber", "etag")} for p in there), key=lambda p: p["partNumber"]),
    )
    assert done.status_code == 200, done.text


def test_completing_twice_is_the_same(pipeline: Pipeline, api: httpx.Client) -> None:
    """The second answer is the job as it is by then, even if its event was cut off after the first."""
    job_id = ask(api)["jobId"]
    parts = send(pipeline, page(api, job_id))
    assert complete(api, job_id, parts).status_code == 200
    pipeline.work()
    again = complete(api, job_id, parts).json()
    assert again["status"] == "COMPLETED"
    assert len(pipeline.ports.blobs.list(f"uploads/{job_id}/").items) == 1


def test_a_completion_that_was_cut_off_is_repeated(pipeline: Pipeline, api: httpx.Client) -> None:
    """The object is there and the job does not know it: completing again finds it."""
    job_id = ask(api)["jobId"]
    parts = send(pipeline, page(api, job_id))
    upload = pipeline.service.describe(ME, job_id).upload
    assert upload.multipart
    assert upload.multipart.id
    storage = pipeline.ports.multiparts
    storage.complete(upload.key, upload.multipart.id, storage.parts(upload.key, upload.multipart.id))
    assert complete(api, job_id, parts).json()["stage"] == "queued"


def test_who_cancels_while_parts_are_put_together_may_retry(pipeline: Pipeline, api: httpx.Client) -> None:
    """The file is whole and nobody wants it: it is kept, and a retry goes on with it."""
    job_id = ask(api)["jobId"]
    parts = send(pipeline, page(api, job_id))
    real = pipeline.ports.multiparts.complete

    def canceled_meanwhile(*said: Any, **options: Any) -> BlobInfo:
        assert api.post(f"/jobs/{job_id}/cancel").status_code == 200
        return real(*said, **options)

    pipeline.ports.multiparts.complete = canceled_meanwhile  # type: ignore[method-assign]
    assert complete(api, job_id, parts).json()["status"] == "CANCELED"
    assert complete(api, job_id, parts).json()["status"] == "CANCELED"
    assert api.post(f"/jobs/{job_id}/retry").json()["stage"] == "queued"
    pipeline.work()
    assert api.get(f"/jobs/{job_id}").json()["status"] == "COMPLETED"


def test_what_is_not_whole_is_not_completed(pipeline: Pipeline, api: httpx.Client) -> None:
    """Missing, damaged and disordered parts are named, and the client can mend each."""
    job_id = ask(api)["jobId"]
    parts = send(pipeline, page(api, job_id), 1, 2)
    assert_problem(complete(api, job_id, parts), 422, "parts_missing")
    assert_problem(complete(api, job_id, []), 400, "invalid_request")
    absent = {"partNumber": 3, "etag": "0" * 32}
    assert_problem(complete(api, job_id, [*parts, absent]), 422, "invalid_part")
    assert_problem(complete(api, job_id, parts[::-1]), 422, "invalid_part_order")
    assert_problem(complete(api, job_id, [parts[0], parts[0]]), 422, "invalid_part_order")
    other = [{"partNumber": 1, "etag": "0" * 32}, parts[1]]
    assert_problem(complete(api, job_id, other), 422, "invalid_part")
    parts += send(pipeline, page(api, job_id), 3)
    assert complete(api, job_id, parts).status_code == 200


def test_what_was_sent_can_be_dropped(pipeline: Pipeline, api: httpx.Client) -> None:
    """Dropping twice is the same; the next page begins anew, and what is complete can not be dropped."""
    job_id = ask(api)["jobId"]
    assert api.delete(f"/uploads/{job_id}/parts").status_code == 204
    parts = send(pipeline, page(api, job_id))
    for _ in range(2):
        assert api.delete(f"/uploads/{job_id}/parts").status_code == 204
    assert_problem(complete(api, job_id, parts), 410, "parts_gone")
    assert page(api, job_id)["uploaded"] == []
    parts = send(pipeline, page(api, job_id))
    assert complete(api, job_id, parts).status_code == 200
    assert_problem(api.delete(f"/uploads/{job_id}/parts"), 409, "not_allowed_now")
    assert_problem(api.get(f"/uploads/{job_id}/parts"), 409, "not_allowed_now")


def test_parts_that_were_swept_up_begin_anew(pipeline: Pipeline, api: httpx.Client) -> None:
    """The storage has given them up: a page says that nothing has arrived, and takes them all again."""
    job_id = ask(api)["jobId"]
    old = send(pipeline, page(api, job_id))
    pipeline.ports.blobs.delete(f"uploads/{job_id}/")
    assert_problem(complete(api, job_id, old), 410, "parts_gone")
    assert page(api, job_id)["uploaded"] == []
    assert complete(api, job_id, send(pipeline, page(api, job_id))).status_code == 200


def test_two_pages_at_once_are_of_one_upload(pipeline: Pipeline, api: httpx.Client) -> None:
    """Who loses the race to begin gives its own upload up."""
    job_id, storage = ask(api)["jobId"], pipeline.ports.multiparts
    begun: list[str] = []
    begin = storage.begin

    def begin_beside_another(key: str, **about: Any) -> str:
        if not begun:
            begun.append(key)
            page(api, job_id)
        return begin(key, **about)

    storage.begin = begin_beside_another  # type: ignore[method-assign]
    parts = send(pipeline, page(api, job_id))
    assert isinstance(storage, testing.Multiparts)
    assert len(storage._uploads) == 1
    assert complete(api, job_id, parts).status_code == 200


def test_another_owners_upload_is_not_there(pipeline: Pipeline, api: httpx.Client) -> None:
    """Neither for its parts, nor to complete or drop it."""
    said = {"size": len(CONTENT), "multipart": True}
    job_id = pipeline.request("somebody-else", **said).id
    assert_problem(api.get(f"/uploads/{job_id}/parts"), 404, "job_not_found")
    assert_problem(complete(api, job_id, [{"partNumber": 1, "etag": "x"}]), 404, "job_not_found")
    assert_problem(api.delete(f"/uploads/{job_id}/parts"), 404, "job_not_found")


def test_what_was_declared_is_checked_in_the_end(pipeline: Pipeline, api: httpx.Client) -> None:
    """No storage checks a file that came in parts as a whole: the worker does, before anything is drawn."""
    right, wrong = f"{zlib.crc32(CONTENT):08X}", f"{zlib.crc32(CONTENT) ^ 1:08x}"
    ends = []
    for said in ({"crc32": right}, {"crc32": wrong}, {"sha256": "0" * 64}):
        job_id = ask(api, **said)["jobId"]
        complete(api, job_id, send(pipeline, page(api, job_id)))
        pipeline.work()
        job = api.get(f"/jobs/{job_id}").json()
        ends.append((job["status"], job["error"] and job["error"]["code"]))
    assert ends == [("COMPLETED", None), ("FAILED", "checksum_mismatch"), ("FAILED", "checksum_mismatch")]


def test_a_client_that_sends_keeps_its_job_open(pipeline: Pipeline, api: httpx.Client) -> None:
    """For as long as it asks for parts, but not for more than a day; then the parts are dropped, too."""
    job_id = ask(api)["jobId"]
    for _ in range(23):
        page(api, job_id)
        pipeline.clock.advance(HOUR)
        pipeline.sweeper.sweep()
        job = pipeline.service.describe(ME, job_id)
        assert job.state is JobState.PENDING
        assert not open_too_long(job, pipeline.clock())
    for _ in range(3):
        pipeline.clock.advance(HOUR / 2)
        pipeline.sweeper.sweep()
    job = pipeline.service.describe(ME, job_id)
    assert (job.state, job.updated_at - job.created_at <= DAY + HOUR) == (JobState.EXPIRED, True)
    storage = pipeline.ports.multiparts
    assert isinstance(storage, testing.Multiparts)
    assert storage._uploads == {}
    for refused in (
        api.get(f"/uploads/{job_id}/parts"),
        complete(api, job_id, [{"partNumber": 1, "etag": "x"}]),
    ):
        told = assert_problem(refused, 409, "not_allowed_now")["detail"]
        assert told == (
            "The job is EXPIRED: its time for parts is over, and what was sent is dropped; ask for a new upload."
        )


def test_who_stops_sending_does_not(pipeline: Pipeline, api: httpx.Client) -> None:
    """The usual hour after the last sign of life, and the job is EXPIRED."""
    job_id = ask(api)["jobId"]
    page(api, job_id)
    for _ in range(3):
        pipeline.clock.advance(HOUR)
        pipeline.sweeper.sweep()
    assert pipeline.service.describe(ME, job_id).state is JobState.EXPIRED


class Everything(httpx.BaseTransport):
    """The API, and the storage in memory that its URLs lead to; of parts, only so many arrive."""

    def __init__(self, pipeline: Pipeline, api: httpx.Client, arrive: int = 1000) -> None:
        self._pipeline, self._api, self.left = pipeline, api, arrive

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of the client."""
        if request.url.host == "storage.invalid":
            self.left -= 1
            if self.left < 0:
                return httpx.Response(418, request=request)
            storage = self._pipeline.ports.multiparts
            assert isinstance(storage, testing.Multiparts)
            part = storage.put(str(request.url), request.read())
            return httpx.Response(200, headers={"ETag": f'"{part.etag}"'}, request=request)
        answer = self._api.request(
            request.method, request.url, content=request.read(), headers=request.headers
        )
        return httpx.Response(
            answer.status_code, headers=answer.headers, content=answer.content, request=request
        )


def test_an_expired_upload_begins_anew_under_its_key(
    pipeline: Pipeline, api: httpx.Client, tmp_path: Path
) -> None:
    """Nothing will come of its job any more, so the key stands for another one, each time for the same, as often as
    that expires; and who goes on with the old job is told what to do."""
    large = tmp_path / "large.jpg"
    large.write_bytes(CONTENT)
    jobs: list[str] = []
    for _ in range(2):
        line = Everything(pipeline, api, arrive=1)
        with Client("http://api.example", transport=line) as broken, pytest.raises(Refused, match="418"):
            broken.upload(large, idempotency_key="late")
        jobs += [item["jobId"] for item in api.get("/jobs?status=PENDING").json()["items"]]
        for _ in range(3):
            pipeline.clock.advance(HOUR)
            pipeline.sweeper.sweep()
        assert pipeline.service.describe(ME, jobs[-1]).state is JobState.EXPIRED
    with Client("http://api.example", transport=Everything(pipeline, api)) as safelight:
        with pytest.raises(Refused, match="ask for a new upload") as told:
            safelight.resume(jobs[0], large)
        assert told.value.code == "not_allowed_now"
        jobs.append(safelight.upload(large, idempotency_key="late").id)
        pipeline.work()
        assert safelight.job(jobs[-1]).status.status == "COMPLETED"
        assert safelight.upload(large, idempotency_key="late").id == jobs[-1]
    assert len(set(jobs)) == len(api.get("/jobs").json()["items"]) == 3


class Slow(Everything):
    """A line on which every file in parts takes forty minutes."""

    def __init__(self, pipeline: Pipeline, api: httpx.Client, waiting: int) -> None:
        super().__init__(pipeline, api)
        self._waiting = waiting
        self._asked = threading.Condition()
        self._alive: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request; with the last of a file, let time pass, and whoever waits be heard of."""
        if request.url.params.get("limit") == "1":
            with self._asked:
                answer = super().handle_request(request)
                self._alive.add(request.url.path)
                self._asked.notify_all()
                return answer
        answer = super().handle_request(request)
        if request.url.path.endswith("/complete"):
            with self._asked:
                self._pipeline.clock.advance(40 * MINUTE)
                self._alive.clear()
                assert self._asked.wait_for(lambda: len(self._alive) == self._waiting, 20), "no sign of life"
                self._waiting = max(0, self._waiting - 1)
                self._pipeline.sweeper.sweep()
        return answer


def test_files_in_parts_whose_turn_comes_late(
    pipeline: Pipeline, api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their jobs stay open until it has come, though all were made with the first, more than an hour ago."""
    monkeypatch.setattr(batches, "AT_ONCE", 1)
    monkeypatch.setattr(batches, "SIGN_WITHIN", 0.05)
    files = [tmp_path / f"{number}.jpg" for number in range(3)]
    for file in files:
        file.write_bytes(CONTENT)
    with Client("http://api.example", transport=Slow(pipeline, api, waiting=2)) as safelight:
        batch = safelight.upload_batch(files)
    pipeline.work()
    assert [job["status"] for job in api.get(f"/batches/{batch.id}").json()["items"]] == ["COMPLETED"] * 3


def test_files_in_parts_whose_turn_comes_too_late(
    pipeline: Pipeline, api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named with what to do, each time the batch is asked for, and everything else is sent."""
    monkeypatch.setattr(batches, "AT_ONCE", 1)
    files = [tmp_path / f"{number}.jpg" for number in range(3)]
    for file in files:
        file.write_bytes(CONTENT)

    def upload(line: Everything) -> Refused:
        with Client("http://api.example", transport=line) as safelight, pytest.raises(Refused) as told:
            safelight.upload_batch(files, idempotency_key="late")
        return told.value

    assert upload(Everything(pipeline, api, arrive=3)).message.startswith(f"{files[1]}: ")
    cut = api.get("/jobs?status=PENDING").json()["items"]
    jobs = {each["source"]["filename"]: each["jobId"] for each in cut}
    pipeline.clock.advance(HOUR)
    pipeline.sweeper.sweep()
    page(api, jobs["2.jpg"])
    pipeline.clock.advance(HOUR / 2)
    pipeline.sweeper.sweep()
    line = Everything(pipeline, api)
    for sent in (3, 0):
        before = line.left
        told = upload(line)
        assert (told.status, told.code) == (409, "not_allowed_now")
        assert told.message.startswith(f"{files[1]}: EXPIRED")
        assert "by `upload`, or the batch under another key" in told.message
        assert before - line.left == sent
    pipeline.work()
    states = {name: api.get(f"/jobs/{job_id}").json()["status"] for name, job_id in jobs.items()}
    assert states == {"0.jpg": "COMPLETED", "1.jpg": "EXPIRED", "2.jpg": "COMPLETED"}


def test_a_file_in_parts_whose_job_was_canceled(
    pipeline: Pipeline, api: httpx.Client, tmp_path: Path
) -> None:
    """It ends the call like any other file that is refused: its time is not what is over."""

    class Canceling(Everything):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path == "/batches" and answer.is_success:
                api.post(f"/jobs/{answer.json()['jobs'][0]['jobId']}/cancel").raise_for_status()
            return answer

    large = tmp_path / "large.jpg"
    large.write_bytes(CONTENT)
    with (
        Client("http://api.example", transport=Canceling(pipeline, api)) as safelight,
        pytest.raises(Refused, match=r"large\.jpg: The job is CANCELED") as told,
    ):
        safelight.upload_batch([large])
    assert told.value.code == "not_allowed_now"
