"""Webhooks of a real server: registered over HTTP, sent by the keeper, checked by the library of receivers."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import WebhookVerificationError
from tests.journeys.serving import Server, client, image, safelight, submit, until
from tests.support.receiver import Received, Receiver, receiver

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose webhooks may lead to this machine. It sweeps once, at its start: nothing is due to a sweep."""
    data = tmp_path_factory.mktemp("hooks") / "data"
    with Server(data, "--workers", "1", sweep_seconds="3600", webhooks_to_loopback="true") as server:
        yield server


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client, whose webhooks are gone when the test has ended."""
    with client(server.url) as http:
        yield http
        for each in http.get("/webhooks").json()["items"]:
            http.delete(f"/webhooks/{each['id']}").raise_for_status()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def register(http: httpx.Client, there: Receiver, **said: Any) -> dict[str, Any]:
    """A new webhook."""
    answer = http.post("/webhooks", json={"url": there.url, **said})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def deliveries(http: httpx.Client, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    """What was sent there, newest first."""
    found: list[dict[str, Any]] = http.get(f"/webhooks/{webhook['id']}/deliveries").json()["items"]
    return found


def test_from_the_upload_to_the_receiver(http: httpx.Client, there: Receiver) -> None:
    """A job is told of as soon as it has ended, without any sweep; its output can be fetched from what was sent."""
    webhook = register(http, there, description="shop", events=["job.completed"])
    job_id = submit(http, image())
    [request] = there.wait(1)
    message = request.verified(webhook["secret"])
    assert (message["type"], message["data"]["jobId"]) == ("job.completed", job_id)
    assert http.get(message["data"]["downloadUrl"]).status_code == 200
    assert message["data"] == http.get(f"/jobs/{job_id}").json()
    delivered = until(lambda: [each for each in deliveries(http, webhook) if each["status"] == "delivered"])
    assert (delivered[0]["webhookId"], delivered[0]["jobId"]) == (request.id, job_id)
    assert delivered[0]["attempts"][0]["responseStatus"] == 204
    with pytest.raises(WebhookVerificationError):
        request.verified("whsec_" + "A" * 43 + "=")


def test_a_secret_is_shown_once(http: httpx.Client, there: Receiver) -> None:
    """When it is made, and when it is replaced; repeating the request under its key shows the same again."""
    key = {"Idempotency-Key": "one"}
    made = http.post("/webhooks", json={"url": there.url}, headers=key).json()
    again = http.post("/webhooks", json={"url": there.url}, headers=key)
    assert (again.json(), again.headers["idempotent-replayed"]) == (made, "true")
    assert len(http.get("/webhooks").json()["items"]) == 1
    path = f"/webhooks/{made['id']}"
    assert "secret" not in http.get(path).json()
    assert "secret" not in http.patch(path, json={"description": "x"}).json()
    rotated = http.post(f"{path}/rotate", headers={"Idempotency-Key": "two"}).json()
    assert http.post(f"{path}/rotate", headers={"Idempotency-Key": "two"}).json() == rotated
    assert rotated["secret"] != made["secret"]
    assert rotated["oldSecretUntil"] > rotated["createdAt"]
    http.post(f"{path}/test").raise_for_status()
    [request] = there.wait(1)
    for secret in (made["secret"], rotated["secret"]):
        assert request.verified(secret)["type"] == "webhook.test"


def test_a_test_and_a_replay(http: httpx.Client, there: Receiver) -> None:
    """Both go out at once, also to a webhook that is disabled; a delivery that failed arrives at last."""
    webhook = register(http, there)
    path = f"/webhooks/{webhook['id']}"
    there.answer = lambda _request: 410
    submit(http, b"no picture")
    there.wait(1)
    until(lambda: http.get(path).json()["disabledReason"] == "gone")
    there.answer = lambda _request: 200
    test = http.post(f"{path}/test")
    assert (test.status_code, test.json()["event"]) == (202, "webhook.test")
    there.wait(2)
    assert http.patch(path, json={"disabled": False}).json()["disabled"] is False
    [failed] = [each for each in deliveries(http, webhook) if each["event"] == "job.failed"]
    assert (failed["status"], failed["attempts"][0]["error"]) == ("failed", "not_welcome")
    answer = http.post(f"{path}/deliveries/{failed['id']}/replay")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    first, _, last = there.wait(3)
    assert last.id == first.id == failed["webhookId"]


def test_what_can_not_be_registered(http: httpx.Client, there: Receiver) -> None:
    """Is refused with a code and a sentence, and nothing is made."""
    for body, status, code in (
        ({}, 400, "invalid_request"),
        ({"url": "ftp://example.org"}, 400, "invalid_request"),
        ({"url": there.url, "events": ["job.done"]}, 400, "invalid_request"),
        ({"url": there.url, "secret": "mine"}, 400, "invalid_request"),
        ({"url": "https://10.0.0.1/"}, 422, "address_refused"),
        ({"url": "https://169.254.169.254/latest"}, 422, "address_refused"),
        ({"url": "http://93.184.216.34/"}, 422, "address_refused"),
        ({"url": "https://nowhere.invalid/"}, 422, "host_unknown"),
    ):
        answer = http.post("/webhooks", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert http.get("/webhooks").json() == {"items": []}
    assert http.get("/webhooks/nothing").json()["code"] == "webhook_not_found"


def test_a_slow_receiver_delays_no_other(http: httpx.Client, there: Receiver) -> None:
    """While one keeps its requests waiting, the other has all of its."""
    let_go = threading.Event()

    def slowly(_request: Received) -> int:
        let_go.wait(20)
        return 204

    with receiver() as slow:
        slow.answer = slowly
        register(http, slow)
        register(http, there)
        jobs = {submit(http, b"no picture") for _ in range(8)}
        told = {request.headers["webhook-id"].rpartition("_")[0] for request in there.wait(8)}
        assert told == jobs
        assert 1 <= len(slow.received) <= 4
        let_go.set()
        slow.wait(8)


def test_a_killed_keeper_loses_nothing(tmp_path: Path, there: Receiver) -> None:
    """Killed with a delivery in its hands, it is replaced, and the next one sends it again at once, under the same
    id."""
    with (
        Server(tmp_path / "data", "--workers", "1", webhooks_to_loopback="true") as server,
        client(server.url) as http,
    ):
        register(http, there)
        held = threading.Event()
        first = threading.Event()

        def answer(_request: Received) -> int:
            if not first.is_set():
                first.set()
                held.wait(20)
            return 204

        there.answer = answer
        job_id = submit(http, b"no picture")
        assert first.wait(30)
        [keeper] = [pid for pid in server.processes() if b"keeper.main" in _command(pid)]
        os.kill(keeper, signal.SIGKILL)
        held.set()
        requests = there.wait(2)
        assert {request.id.rpartition("_")[0] for request in requests} == {job_id}
        assert len({request.id for request in requests}) == 1


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_it_ends_while_a_receiver_keeps_it_waiting(tmp_path: Path, there: Receiver) -> None:
    """Asked to stop, the server breaks off what it is sending and is gone; the next one sends it."""
    let_go = threading.Event()
    there.answer = lambda _request: 204 if let_go.wait(20) else 500
    data = tmp_path / "data"
    with Server(data, "--workers", "1", webhooks_to_loopback="true") as server, client(server.url) as http:
        register(http, there)
        submit(http, b"no picture")
        there.wait(1)
        assert server.end() == 0
        assert "Traceback" not in server.log.read_text()
    let_go.set()


def test_the_commands(server: Server, http: httpx.Client, there: Receiver) -> None:
    """Register, list, test, look at the deliveries, replay, replace the secret, remove: with words and with JSON."""

    def run(*words: str) -> Any:
        done = safelight("webhooks", *words, "--json", settings={"api": server.url})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(*words: str) -> str:
        done = safelight("webhooks", *words, settings={"api": server.url})
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr.removeprefix("safelight: ").removesuffix("\n")

    made = run("add", there.url, "--events", "job.completed,job.failed", "--description", "shop")
    assert made["events"] == ["job.completed", "job.failed"]
    assert [each["id"] for each in run("ls")] == [made["id"]]
    tested = run("test", made["id"])
    assert (tested["status"], tested["event"]) == ("delivered", "webhook.test")
    assert [each["id"] for each in run("deliveries", made["id"])] == [tested["id"]]
    assert run("replay", made["id"], tested["id"])["status"] == "pending"
    first, second = there.wait(2)
    assert first.id == second.id == tested["webhookId"]
    first.verified(made["secret"])
    assert run("rotate", made["id"])["secret"] != made["secret"]
    there.answer = lambda _request: 500
    failed = safelight("webhooks", "test", made["id"], settings={"api": server.url})
    assert failed.returncode == 1
    assert failed.stderr == "The host answered with a status other than 2xx; redirects are not followed.\n"
    assert failed.stdout.startswith("failed  500 not_welcome, ")
    words = safelight("webhooks", "ls", settings={"api": server.url}).stdout
    assert "job.completed,job.failed" in words
    assert "secret" not in words
    assert refused("replay", made["id"], "nope") == (
        f"There is no delivery nope here; `safelight webhooks deliveries {made['id']}` lists those there are."
    )
    assert run("rm", made["id"]) == {"id": made["id"], "deleted": True}
    listed = "`safelight webhooks ls` lists those there are."
    for word, *more in (["rm"], ["rotate"], ["deliveries"], ["replay", tested["id"]], ["test"]):
        assert refused(word, made["id"], *more) == f"There is no webhook {made['id']} here; {listed}"
    for strange in ("", "../jobs"):
        assert refused("rm", strange) == f"{strange!r} is no webhook's id; {listed}"
