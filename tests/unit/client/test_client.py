"""The client, against a server that answers as a test wants it to."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from safelight.client import (
    AnotherFile,
    Batch,
    Client,
    ClientClosed,
    DamagedDownload,
    EmptyFile,
    Grant,
    NotCompleted,
    RecipeInvalid,
    Refused,
    TookTooLong,
    Unreachable,
    http,
)
from safelight.errors import ConfigurationError

API = "http://safelight.test"
BODY = b"the finished picture"

Answer = httpx.Response | Exception


class Script:
    """Answers requests one after the other, by method and path, and remembers them."""

    def __init__(self, answers: Mapping[str, Answer | Sequence[Answer]]) -> None:
        self.seen: list[httpx.Request] = []
        self._answers = {
            name: iter(given) if isinstance(given, Sequence) else given for name, given in answers.items()
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        name = f"{request.method} {request.url.path}"
        given = self._answers[next(key for key in self._answers if name.startswith(key))]
        answer = next(given) if isinstance(given, Iterator) else given
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        """A client of this server."""
        return Client(API, transport=httpx.MockTransport(self))


def job(status: str = "COMPLETED", **fields: Any) -> httpx.Response:
    """A job as the API tells it."""
    return httpx.Response(
        200, json={"jobId": "j", "status": status, "source": {"filename": "a.jpg"}} | fields
    )


def completed(sha256: str = hashlib.sha256(BODY).hexdigest()) -> httpx.Response:
    """A job with one output."""
    output = {
        "name": "main",
        "url": f"{API}/files/main.jpg?signed",
        "contentType": "image/jpeg",
        "width": 3,
        "height": 2,
        "bytes": len(BODY),
        "sha256": sha256,
    }
    return job(outputs=[output])


def problem(status: int, code: str, detail: str, **headers: str) -> httpx.Response:
    """A refusal."""
    body = {"type": f"urn:safelight:problem:{code}", "code": code, "detail": detail}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"} | headers)


GRANT = {"jobId": "j", "uploadUrl": f"{API}/files/a.jpg?signed", "uploadHeaders": {"x-signed": "yes"}}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made, and the clock shows that they were."""
    made: list[float] = []
    real = time.monotonic
    monkeypatch.setattr("time.sleep", made.append)
    monkeypatch.setattr("time.monotonic", lambda: real() + sum(made))
    return made


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"some bytes" * 20_000)
    return path


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


RECIPE = {"version": 1, "chain": ["auto_orient", {"op": "resize", "width": 80}]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("web.yaml", "version: 1\nchain:\n  - auto_orient\n  - {op: resize, width: 80}\n"),
        ("web.json", json.dumps(RECIPE)),
    ],
)
def test_a_recipe_from_a_file(photo: Path, tmp_path: Path, name: str, text: str) -> None:
    """Its path, in YAML or JSON, stands for what it says wherever a recipe is taken."""
    (file := tmp_path / name).write_text(text)
    script = Script(
        {
            "POST /uploads": httpx.Response(200, json=GRANT),
            "POST /batches": httpx.Response(200, json={"batchId": "b", "jobs": [GRANT]}),
            "PUT /files": httpx.Response(200),
            "GET /jobs/j": completed(),
            "POST /jobs": job("PENDING"),
            "PUT /recipes/web": httpx.Response(200, json={}),
        }
    )
    with script.client() as client:
        client.upload(photo, recipe=file)
        client.upload_batch([photo], recipe=file)
        client.job("j").render_again(file)
        client.put_recipe("web", file)
    posted = [json.loads(request.content)["recipe"] for request in script.seen if request.method == "POST"]
    assert posted == [RECIPE] * 3
    assert script.seen[-1].content.decode() == text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "version: [", "it can not be read in line 1"),
        ("a.json", '{"version": 1,}', "not JSON: it can not be read in line 1, column"),
        ("a.yaml", "default", "expected a recipe, with fields such as"),
        ("a.yaml", "version: 2024-01-01", "JSON, by which recipes are sent, can not say it .*date"),
        ("a.yaml", "version: .nan", "can not say it"),
        ("a.yaml", "outputs: {on: {format: png}, yes: {format: jpeg}}", "a name in it is no text"),
        ("a.yaml", "&a {version: *a}", "can not be read|can not say it"),
    ],
)
def test_a_file_that_holds_no_recipe(photo: Path, tmp_path: Path, name: str, text: str, message: str) -> None:
    """It is named, and nothing is asked for."""
    (file := tmp_path / name).write_text(text)
    script = Script({})
    with script.client() as client, pytest.raises(RecipeInvalid, match=rf"{name}: .*{message}"):
        client.upload(photo, recipe=file)
    with script.client() as client, pytest.raises(FileNotFoundError):
        client.upload(photo, recipe=tmp_path / "absent.yaml")
    assert script.seen == []


@pytest.mark.parametrize(("name", "text"), [("a.yaml", "version: ["), ("a.json", '{"version": 1,}')])
def test_a_file_that_is_no_recipe_gets_no_name(tmp_path: Path, name: str, text: str) -> None:
    """The server would be told of a text without a file, and could not say which it was."""
    (file := tmp_path / name).write_text(text)
    script = Script({})
    with (
        script.client() as client,
        pytest.raises(RecipeInvalid, match=rf"{name}: .*can not be read in line 1"),
    ):
        client.put_recipe("web", file)
    assert script.seen == []


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


def test_who_never_answers_is_not_asked_again() -> None:
    """Somebody listens at the address and is silent: most likely it is no Safelight."""
    script = Script({"GET /jobs/j": [httpx.ReadTimeout("silence")] * 5})
    with (
        script.client() as client,
        pytest.raises(Unreachable, match=r"does not answer; is it a Safelight\?$"),
    ):
        client.job("j")
    assert len(script.seen) == 1


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


def test_what_passes_by_itself_is_tried_again(photo: Path, pauses: list[float]) -> None:
    """5xx, 429 and lost connections are tried again, whole, under the same Idempotency-Key."""
    script = Script(
        {
            "POST /uploads": [
                problem(503, "overloaded", "Later.", **{"Retry-After": "7"}),
                httpx.Response(200, json=GRANT),
            ],
            "PUT /files": [httpx.ReadError("cut off"), httpx.Response(500), httpx.Response(200)],
        }
    )
    with script.client() as client:
        client.upload(photo)
    keys = [request.headers["idempotency-key"] for request in script.seen[:2]]
    assert keys[0] == keys[1]
    assert [request.content for request in script.seen[2:]] == [photo.read_bytes()] * 3
    assert pauses[0] == 7.0
    assert len(pauses) == 3


def test_it_gives_up_in_the_end(pauses: list[float]) -> None:
    """What does not pass is told after five attempts, in the server's own words."""
    script = Script({"GET /jobs/j": problem(503, "storage_unavailable", "Storage did not answer.")})
    with script.client() as client, pytest.raises(Refused, match="Storage did not answer") as told:
        client.job("j")
    assert (told.value.code, told.value.status) == ("storage_unavailable", 503)
    assert len(script.seen) == http.ATTEMPTS == len(pauses) + 1


def test_a_first_connection_that_breaks(pauses: list[float]) -> None:
    """Somebody was there: the request is sent again, as often as any other."""
    script = Script({"GET /jobs/j": httpx.ReadError("reset")})
    with script.client() as client, pytest.raises(Unreachable):
        client.job("j")
    assert len(script.seen) == http.ATTEMPTS == len(pauses) + 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", r"safelight\.test speaks no TLS; does its"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
            r"The certificate of https://safelight\.test is not trusted: self-signed certificate\.$",
        ),
        (
            "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] handshake failure",
            r"^TLS with https://safelight\.test fails: \[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE\] handshake failure\.$",
        ),
    ],
)
def test_only_tls_fails(said: str, message: str) -> None:
    """Somebody answers at the address, and what is wrong with it is told."""
    secure, other = API.replace("http:", "https:"), Script({"GET /jobs/j": httpx.ConnectError(said)})
    with (
        Client(secure, transport=httpx.MockTransport(other)) as client,
        pytest.raises(Unreachable, match=message),
    ):
        client.job("j").refresh()


def test_nobody_there(pauses: list[float]) -> None:
    """A server that never answered is not waited for; one that did is."""
    nobody = Script({"GET /jobs/j": httpx.ConnectError("refused")})
    with (
        nobody.client() as client,
        pytest.raises(Unreachable, match="No Safelight answers at http://safelight"),
    ):
        client.job("j")
    assert pauses == []
    restarted = Script({"GET /jobs/j": [job(), httpx.ConnectError("refused"), job()]})
    with restarted.client() as client:
        assert client.job("j").refresh().status.status == "COMPLETED"
    assert len(pauses) == 1


class Listener:
    """A server of jobs on a real socket, which a restart takes away."""

    def __init__(self) -> None:
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen, where it listened before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Jobs)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Jobs(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = job("PROCESSING").content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server that listens."""
    server = Listener()
    server.start()
    yield server
    server.stop()


def test_a_restart_is_outlasted(
    listener: Listener, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has answered before is asked again for a minute and longer, and soon after it is back."""

    def pause(seconds: float) -> None:
        before, now = sum(pauses), sum(pauses) + seconds
        pauses.append(seconds)
        if before < 60.0 <= now:
            listener.start()

    with Client(f"http://127.0.0.1:{listener.port}") as client:
        waiting = client.job("j")
        listener.stop()
        monkeypatch.setattr("time.sleep", pause)
        assert waiting.refresh().status.status == "PROCESSING"
    assert 60.0 <= sum(pauses) < 60.0 + 1.2 * http.ASK_EVERY


def test_patience_ends(listener: Listener, pauses: list[float]) -> None:
    """What does not come back is told, and is then as one that never answered; how long that takes can be said."""
    with Client(f"http://127.0.0.1:{listener.port}", patience=20.0) as client:
        waiting = client.job("j")
        listener.stop()
        with pytest.raises(Unreachable):
            waiting.refresh()
        assert 20.0 <= sum(pauses) < 30.0
        made = len(pauses)
        with pytest.raises(Unreachable):
            waiting.refresh()
    assert len(pauses) == made


def test_a_storage_that_never_answered(photo: Path, pauses: list[float]) -> None:
    """Its address is wrong rather than its server away: that is told after five attempts."""
    grant = GRANT | {"uploadUrl": "http://storage.test/a.jpg"}
    refused = httpx.ConnectError("refused")
    script = Script({"POST /uploads": httpx.Response(200, json=grant), "PUT /a.jpg": refused})
    with script.client() as client, pytest.raises(Refused, match=r"storage at http://storage\.test does not"):
        client.upload(photo)
    assert len(script.seen) == 1 + http.ATTEMPTS


def test_a_proxy_before_a_server_that_is_away(pauses: list[float]) -> None:
    """Its 502 and 503 are what a restart looks like; an error of the server's own is told after five attempts."""
    away = Script({"GET /jobs/j": [job(), *[httpx.Response(502)] * 12, job("PROCESSING")]})
    with away.client() as client:
        assert client.job("j").refresh().status.status == "PROCESSING"
    broken = Script({"GET /jobs/j": [job(), *[httpx.Response(500)] * 12]})
    with broken.client() as client, pytest.raises(Refused):
        client.job("j").refresh()
    assert len(broken.seen) == 1 + http.ATTEMPTS


def test_waiting_for_a_job_ends_before_patience_does(pauses: list[float]) -> None:
    """Who waits at most so long for a job waits no longer for its server."""
    script = Script(
        {
            "GET /jobs/j/events": httpx.ConnectError("refused"),
            "GET /jobs/j": [job("PENDING"), *[httpx.ConnectError("refused")] * 50],
        }
    )
    with script.client() as client, pytest.raises(TookTooLong):
        client.job("j").wait(timeout=10.0)
    assert sum(pauses) == pytest.approx(10.0, abs=0.5)


def test_a_server_that_refuses_is_not_away(pauses: list[float]) -> None:
    """A 503 of its own is told after five attempts, as any other refusal; a restart after it is still outlasted."""
    busy = problem(503, "overloaded", "Come back later.", **{"Retry-After": "30"})
    cut = httpx.ConnectError("refused")
    script = Script({"GET /jobs/j": [job(), *[busy] * http.ATTEMPTS, *[cut] * 20, job("PROCESSING")]})
    with script.client() as client:
        waiting = client.job("j")
        with pytest.raises(Refused, match="Come back later") as told:
            waiting.refresh()
        assert (told.value.code, len(script.seen)) == ("overloaded", 1 + http.ATTEMPTS)
        assert sum(pauses) >= http.PATIENCE
        assert waiting.refresh().status.status == "PROCESSING"


def test_what_is_hours_away_is_told_at_once(photo: Path, pauses: list[float]) -> None:
    """Nobody is kept waiting, without a word, for a quota that is free again at midnight."""
    used_up = problem(429, "quota_used_up", "The day's bytes are used up.", **{"Retry-After": "21401"})
    script = Script({"POST /uploads": used_up})
    with script.client() as client, pytest.raises(Refused, match="used up"):
        client.upload(photo)
    assert (len(script.seen), pauses) == (1, [])


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, json={"type": "about:blank", "title": "No upstream"}),
        httpx.Response(503, text="away", headers={"content-type": "application/problem+json"}),
        httpx.Response(
            503, json=["urn:safelight:problem:x"], headers={"content-type": "application/problem+json"}
        ),
        httpx.Response(
            503, json={"type": "about:blank"}, headers={"content-type": "application/problem+json"}
        ),
    ],
)
def test_a_problem_of_a_proxy(answer: httpx.Response, pauses: list[float]) -> None:
    """Proxies tell problems in the same form: what is not a Safelight's does not stand for one."""
    script = Script({"GET /jobs/j": [job(), *[answer] * 12, job("PROCESSING")]})
    with script.client() as client:
        assert client.job("j").refresh().status.status == "PROCESSING"


@pytest.mark.parametrize("answer", [502, 503, 500, 429])
def test_a_long_pause_is_cut_by_the_time_to_wait(answer: int, pauses: list[float]) -> None:
    """However long the server asks to be left alone, and however few tries that leaves."""
    later = httpx.Response(answer, headers={"Retry-After": "30"})
    script = Script({"GET /jobs/j/events": httpx.Response(405), "GET /jobs/j": [job("PENDING"), later]})
    with script.client() as client, pytest.raises(TookTooLong):
        client.job("j").wait(timeout=3.0)
    assert sum(pauses) == pytest.approx(3.0, abs=0.5)


def test_a_silent_server_is_not_waited_for_longer(pauses: list[float]) -> None:
    """No timeout of a request outlasts the time to wait; what was cut by it is told as that."""
    script = Script(
        {
            "GET /jobs/j/events": httpx.ConnectTimeout("silence"),
            "GET /jobs/j": [job("PENDING"), *[httpx.ReadTimeout("silence")] * 50],
        }
    )
    with script.client() as client, pytest.raises(TookTooLong):
        client.job("j").wait(timeout=3.0)
    allowed = [request.extensions["timeout"] for request in script.seen[1:]]
    assert all(max(each["connect"], each["read"]) <= 3.0 for each in allowed)
    # Three pauses before it, each up to a fifth shorter than 0.25, 0.5 and 1 s.
    assert allowed[-1]["read"] <= 3.0 - 0.8 * 1.75


def test_the_storage_says_no(photo: Path) -> None:
    """A refusal of the storage is told with its code."""
    said = (
        "<Error><Code>SignatureDoesNotMatch</Code><Message>It does not &amp; can not match.</Message></Error>"
    )
    script = Script(
        {"POST /uploads": httpx.Response(200, json=GRANT), "PUT /files": httpx.Response(403, text=said)}
    )
    with script.client() as client, pytest.raises(Refused, match="does not & can not match") as told:
        client.upload(photo)
    assert (told.value.code, told.value.status) == ("SignatureDoesNotMatch", 403)


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, html="<h1>It works!</h1>"), httpx.Response(200, json={})]
)
def test_somebody_else_answers(answer: httpx.Response) -> None:
    """What is not a Safelight is told to be none."""
    with Script({"POST /uploads": answer}).client() as client, pytest.raises(Refused) as told:
        client.request_upload()
    assert told.value.code == "not_safelight"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, html="<h1>Not Found</h1>"),
        httpx.Response(405),
        httpx.Response(501, text="<Error><Code>NotImplemented</Code></Error>"),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(404, json="Not Found"),
    ],
)
def test_somebody_else_refuses(answer: httpx.Response, pauses: list[float]) -> None:
    """A refusal in words that no Safelight has is that of another server, and is told at once with what it was."""
    status = f"{answer.status_code} {answer.reason_phrase}"
    refusing = Script({"POST /uploads": answer, "GET /jobs/j/events": answer, "GET /jobs/j": answer})
    said = f"^What answers at {API} is not a Safelight: it answered {status} to POST /uploads\\.$"
    with refusing.client() as client:
        with pytest.raises(Refused, match=said) as told:
            client.request_upload()
        with pytest.raises(Refused, match=r"is not a Safelight: .* to GET /jobs/j") as told_of_events:
            list(client.watch("j"))
    assert (told.value.code, told.value.status) == ("not_safelight", answer.status_code)
    assert told_of_events.value.code == "not_safelight"
    assert pauses == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(404, "job_not_found", "There is no such job."), "job_not_found"),
        (httpx.Response(403, json={"message": "Forbidden"}), "refused"),
        *[(httpx.Response(status, html="<h1>No.</h1>"), "refused") for status in (400, 401, 403, 413, 431)],
        (httpx.Response(500, html="<h1>Oops</h1>"), "refused"),
    ],
)
def test_a_safelight_refuses(answer: httpx.Response, code: str) -> None:
    """By a problem, on AWS by its gateway; a proxy in between about keys and sizes, and what passes by itself."""
    with Script({"GET /jobs/j": answer}).client() as client, pytest.raises(Refused) as told:
        client.job("j")
    assert told.value.code == code


def test_a_storage_refuses_in_its_own_words(photo: Path) -> None:
    """Whatever they are: what it is like nobody knows."""
    script = Script(
        {"POST /uploads": httpx.Response(200, json=GRANT), "PUT /files": httpx.Response(404, html="<p>No.")}
    )
    with script.client() as client, pytest.raises(Refused, match="answered 404 Not Found") as told:
        client.upload(photo)
    assert told.value.code == "refused"


def test_an_address_that_is_none() -> None:
    """An address without http:// is a mistake of configuration, and is told with it."""
    with pytest.raises(ConfigurationError, match=r"did you mean http://localhost:8000\?$"):
        Client("localhost:8000")
    with pytest.raises(ConfigurationError, match=r"received 'ftp://localhost'\.$"):
        Client("ftp://localhost")


def events(*states: str) -> httpx.Response:
    """A stream of events."""
    text = "retry: 2000\n\n" + "".join(
        f": comment\nevent: job\nid: 1\ndata: {json.dumps({'jobId': 'j', 'status': state})}\n\n"
        for state in states
    )
    return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})


def test_watching_by_events(pauses: list[float]) -> None:
    """Each state is told once; a stream that ends early is opened again after the time that it names."""
    script = Script(
        {
            "GET /jobs/j/events": [
                events("PENDING", "PENDING"),
                events("PENDING", "PROCESSING"),
                events("COMPLETED"),
            ]
        }
    )
    with script.client() as client:
        seen = [str(status.status) for status in client.watch("j")]
    assert seen == ["PENDING", "PROCESSING", "COMPLETED"]
    assert pauses == [2.0, 2.0]


def test_what_watching_leaves_out_is_asked_for() -> None:
    """After a wait the whole answer is that of the end, and is asked for once."""
    script = Script(
        {
            "GET /jobs/j/events": events("PROCESSING", "COMPLETED"),
            "GET /jobs/j": [job("PENDING"), job("COMPLETED", metadata={"album": "summer"})],
        }
    )
    with script.client() as client:
        watched = client.job("j")
        assert watched.document["status"] == "PENDING"
        assert watched.wait().status.status == "COMPLETED"
        assert watched.document["metadata"] == {"album": "summer"}
        assert watched.document["status"] == "COMPLETED"
    assert len(script.seen) == 3


def test_after_the_clients_block(tmp_path: Path) -> None:
    """What is known is told, also then; what would have to be asked for is an error that says where to ask."""
    script = Script({"GET /jobs/j/events": events("COMPLETED"), "GET /jobs/j": completed()})
    with script.client() as client:
        waited = client.job("j").wait()
        known = client.job("j")
    assert (known.document["status"], waited.status.status) == ("COMPLETED", "COMPLETED")
    asked = len(script.seen)
    for ask in (
        lambda: waited.document,
        known.refresh,
        known.wait,
        lambda: known.wait(timeout=0),
        lambda: known.save(tmp_path),
        lambda: client.batch("b"),
    ):
        with pytest.raises(ClientClosed, match=r"^The client is closed, .* within its `with` block") as told:
            ask()
        assert told.value.code == "client_closed"
    assert len(script.seen) == asked


def test_watching_by_asking(pauses: list[float]) -> None:
    """Where there are no events the job is asked for, when Retry-After says, with its ETag."""
    waiting = job("PENDING")
    waiting.headers.update({"Retry-After": "3", "ETag": '"1"'})
    unchanged = httpx.Response(304, headers={"Retry-After": "3", "ETag": '"1"'})
    script = Script(
        {"GET /jobs/j/events": httpx.Response(405), "GET /jobs/j": [waiting, unchanged, job("FAILED")]}
    )
    with script.client() as client:
        seen = [str(status.status) for status in client.watch("j")]
    assert seen == ["PENDING", "FAILED"]
    assert pauses == [3.0, 3.0]
    assert script.seen[2].headers["if-none-match"] == '"1"'


def test_a_stream_that_breaks() -> None:
    """When a stream breaks the job is looked at, and the stream opened again."""
    script = Script(
        {
            "GET /jobs/j/events": [httpx.ReadTimeout("silence"), events("COMPLETED")],
            "GET /jobs/j": job("PROCESSING"),
        }
    )
    with script.client() as client:
        assert [str(status.status) for status in client.watch("j")] == ["PROCESSING", "COMPLETED"]


def test_waiting_ends() -> None:
    """Waiting ends when its time is over; the job does not."""
    script = Script({"GET /jobs/j/events": httpx.Response(405), "GET /jobs/j": job("PENDING")})
    with script.client() as client, pytest.raises(TookTooLong, match=r"^The job goes on"):
        client.job("j").wait(timeout=2.0)


@pytest.mark.parametrize("timeout", [0, 0.0, -1.5])
def test_without_time_to_wait_it_looks_once(timeout: float, pauses: list[float]) -> None:
    """What has ended is returned, and what goes on is told and no longer waited for: one request, no pause."""
    script = Script({"GET /jobs/j": [job("PENDING"), job("PROCESSING"), completed()]})
    with script.client() as client:
        found = client.job("j")
        with pytest.raises(TookTooLong):
            found.wait(timeout)
        assert (found.status.status, len(script.seen)) == ("PROCESSING", 2)
        assert found.wait(timeout).status.status == "COMPLETED"
    assert (len(script.seen), pauses) == (3, [])
    script = Script({"GET /batches/b": [batch(False, PENDING=1), batch(True, COMPLETED=1)]})
    with script.client() as client:
        found_batch = Batch(client, "b")
        with pytest.raises(TookTooLong):
            found_batch.wait(timeout)
        assert found_batch.wait(timeout).status.done
    assert (len(script.seen), pauses) == (2, [])


def test_one_look_takes_no_longer_than_a_look(pauses: list[float]) -> None:
    """At a server that is away, not as long as its restart would be waited for."""
    script = Script({"GET /jobs/j": [job("PENDING"), *[httpx.ConnectError("away")] * 99]})
    with script.client() as client, pytest.raises(TookTooLong):
        client.job("j").wait(timeout=0)
    assert sum(pauses) == pytest.approx(http.LOOK, abs=0.5)


def batch(done: bool, **counts: int) -> httpx.Response:
    """A batch as the API tells it."""
    said = {"batchId": "b", "total": 2, "counts": counts, "deleted": 0, "done": done, "items": []}
    return httpx.Response(200, json=said, headers={} if done else {"retry-after": "3"})


BATCH_GRANT = {"batchId": "b", "jobs": [GRANT | {"jobId": name} for name in ("j", "k")]}


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
