"""The client and a server that is away, slow, busy, or behind a proxy: what it tries again, and for how long."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from tests.unit.client.conftest import API, GRANT, Script, job, problem

from safelight.client import Client, Refused, TookTooLong, Unreachable, http


def test_who_never_answers_is_not_asked_again() -> None:
    """Somebody listens at the address and is silent: most likely it is no Safelight."""
    script = Script({"GET /jobs/j": [httpx.ReadTimeout("silence")] * 5})
    with (
        script.client() as client,
        pytest.raises(Unreachable, match=r"does not answer; is it a Safelight\?$"),
    ):
        client.job("j")
    assert len(script.seen) == 1


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
