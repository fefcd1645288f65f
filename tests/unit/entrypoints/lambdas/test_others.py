"""The notifier, the sweeper and the API as functions."""

import io
import json
import logging
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from tests.unit.entrypoints.lambdas.functions import Context, OnAws, pipeline
from tests.unit.pipeline import ME

from safelight.entrypoints.lambdas import api, notifier, observing, sweeper
from safelight.errors import StorageUnavailable
from safelight.model import InBatch, JobState, Notice

__all__ = ["pipeline"]


def record(number: int, state: str | None = "COMPLETED", *, batch: InBatch | None = None) -> dict[str, Any]:
    """A record of the stream."""
    return {"dynamodb": {"SequenceNumber": str(number), "state": state, "batch": batch}}


def test_every_end_is_told(pipeline: OnAws) -> None:
    """What is no end is passed over."""
    answer = notifier.handler({"Records": [record(1), record(2, None), record(3, "FAILED")]}, Context())
    assert answer == {"batchItemFailures": []}
    bodies = [(each.id, json.loads(body)) for each, body in pipeline.told]
    assert [(each, body["type"], body["data"]["jobId"]) for each, body in bodies] == [
        ("n1", "job.completed", "j1"),
        ("n3", "job.failed", "j3"),
    ]


def test_webhooks_are_sent_to_at_once(pipeline: OnAws) -> None:
    """What the topic is told is what they are sent."""
    pipeline.register()
    notifier.handler({"Records": [record(1)]}, Context())
    [sent] = pipeline.sent
    [(_, body)] = pipeline.told
    assert sent.raw == body
    assert notifier.handler({"Records": [record(1)]}, Context()) == {"batchItemFailures": []}
    assert len(pipeline.sent) == 1


def test_the_stream_waits_for_a_webhook_that_is_down_once(pipeline: OnAws) -> None:
    """After that the sweeper sends to it, until it has answered; nothing is reported as failed."""
    pipeline.register()
    pipeline.answers = lambda _sent: 503
    for number in range(3):
        answer = notifier.handler({"Records": [record(number)]}, Context())
        assert answer == {"batchItemFailures": []}
    assert len(pipeline.sent) == 1
    pipeline.answers = lambda _sent: 204
    pipeline.clock.advance(60.0)
    sweeper.handler({}, Context())
    assert len(pipeline.sent) == 4
    notifier.handler({"Records": [record(9)]}, Context())
    assert len(pipeline.sent) == 5


def test_webhooks_that_can_not_be_sent_to_stop_no_stream(
    pipeline: OnAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept, and the sweeper goes on with them."""
    pipeline.register()

    def run(seconds: float, *, quick: bool = False) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as away:
        away.setattr(pipeline.courier, "run", run)
        assert notifier.handler({"Records": [record(1)]}, Context()) == {"batchItemFailures": []}
    sweeper.handler({}, Context())
    assert len(pipeline.sent) == 1


@pytest.mark.parametrize(("left", "given"), [(100.0, [22.0]), (20.0, [15.0]), (5.0, [])])
def test_webhooks_get_the_time_that_telling_has_left(
    pipeline: OnAws, monkeypatch: pytest.MonkeyPatch, left: float, given: list[float]
) -> None:
    """A call that is nearly over sends nothing: it would be cut off, and told again."""
    pipeline.register()
    ran: list[float] = []

    def run(seconds: float, *, quick: bool) -> None:
        ran.append(seconds)

    monkeypatch.setattr(pipeline.courier, "run", run)
    assert notifier.handler({"Records": [record(1)]}, Context(left)) == {"batchItemFailures": []}
    assert ran == given


def test_the_stream_goes_on_where_telling_failed(pipeline: OnAws) -> None:
    """The first notice that can not be delivered is where the next call begins."""
    pipeline.hears = 0
    answer = notifier.handler({"Records": [record(1, None), record(2), record(3)]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert pipeline.counted == 0


@pytest.mark.parametrize("heard", [1, 9, 10, 24])
def test_a_topic_that_takes_a_part(pipeline: OnAws, heard: int) -> None:
    """What it took is told to webhooks and counted; the next call begins with the first that it did not take."""
    pipeline.register()
    pipeline.hears = heard
    answer = notifier.handler({"Records": [record(number) for number in range(25)]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(heard)}]}
    assert [notice.id for notice, _ in pipeline.told] == [f"n{number}" for number in range(heard)]
    assert (len(pipeline.sent), pipeline.counted) == (heard, heard)


@pytest.mark.parametrize("heard", [0, 1, 2, 3])
def test_a_topic_that_hears_of_a_batch_and_not_of_its_last_job(pipeline: OnAws, heard: int) -> None:
    """Both stand in one record, which comes again unless both were told; so no job and no batch is left out."""
    last = [record(number, batch=InBatch("b1", number, 2)) for number in range(2)]
    pipeline.hears = heard
    answer = notifier.handler({"Records": last}, Context())
    left = {0: ["0"], 1: ["1"], 2: ["1"], 3: []}[heard]
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == left
    done = int(left[0]) if left else 2
    assert pipeline.counted == done
    pipeline.hears = 10
    assert notifier.handler({"Records": last[done:]}, Context()) == {"batchItemFailures": []}
    told = [notice.id for notice, _ in pipeline.told]
    assert list(dict.fromkeys(told)) == ["n0", "b1.completed", "n1"]
    assert pipeline.counted == 2


def test_a_record_that_can_not_be_read(pipeline: OnAws) -> None:
    """What stands before it is told; it comes again, and what stands after it."""
    answer = notifier.handler({"Records": [record(1), record(2, "NONSENSE"), record(3)]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert [notice.id for notice, _ in pipeline.told] == ["n1"]


def test_jobs_that_can_not_be_read(pipeline: OnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told of them; the next call begins with the first that is to be told."""

    def read(job_ids: Any) -> Any:
        raise StorageUnavailable

    with monkeypatch.context() as away:
        away.setattr(pipeline.ports.jobs, "read", read)
        answer = notifier.handler({"Records": [record(1, None), record(2), record(3, "NONSENSE")]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert not pipeline.told


@pytest.mark.parametrize("bad", [1, 7, 10, 25])
def test_a_job_that_can_not_be_read_holds_up_none_before_it(
    pipeline: OnAws, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    """Whether others were to be told of in the same request or not; those after it come again with it."""
    read = pipeline.ports.jobs.read

    def reading(job_ids: Any) -> Any:
        if f"j{bad}" in job_ids:
            raise StorageUnavailable
        return read(job_ids)

    monkeypatch.setattr(pipeline.ports.jobs, "read", reading)
    answer = notifier.handler({"Records": [record(number) for number in range(1, 26)]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(bad)}]}
    assert [notice.id for notice, _ in pipeline.told] == [f"n{number}" for number in range(1, bad)]
    assert pipeline.counted == bad - 1


def test_the_log_names_the_job_that_it_is_about(pipeline: OnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """While many are told of together it is about none of them."""
    out = io.StringIO()
    for handler in observing._logger().handlers:
        monkeypatch.setattr(handler, "stream", out)

    def announce(letters: Any) -> int:
        logging.getLogger("safelight.backends").error("of all")
        return len(letters)

    monkeypatch.setattr(pipeline, "announce", announce)
    notifier.handler({"Records": [record(1), record(2)]}, Context())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    jobs = [(line["message"], line.get("job")) for line in lines]
    assert jobs == [("of all", None), ("told", "j1"), ("told", "j2")]


def test_webhooks_that_can_not_be_kept(pipeline: OnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic may hear of it twice; no webhook is forgotten."""
    pipeline.register()
    spread = pipeline.webhooks.spread

    def failing(notice: Notice, *about: Any) -> Any:
        if notice.id == "n2":
            raise StorageUnavailable
        return spread(notice, *about)

    with monkeypatch.context() as away:
        away.setattr(pipeline.webhooks, "spread", failing)
        answer = notifier.handler({"Records": [record(1), record(2), record(3)]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert (len(pipeline.sent), pipeline.counted) == (1, 1)
    notifier.handler({"Records": [record(2), record(3)]}, Context())
    assert (len(pipeline.sent), pipeline.counted) == (3, 3)


def test_the_webhooks_of_a_caller_are_asked_for_once(
    pipeline: OnAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of its jobs ended; and anew by every call."""
    asked: list[str] = []
    of = pipeline.webhooks.endpoints.of

    def counted(owner: str) -> Any:
        asked.append(owner)
        return of(owner)

    monkeypatch.setattr(pipeline.webhooks.endpoints, "of", counted)
    for _ in range(2):
        notifier.handler({"Records": [record(number) for number in range(30)]}, Context())
    assert asked == [ME, ME]


def test_the_sweeper_repairs_and_counts(pipeline: OnAws, capsys: pytest.CaptureFixture[str]) -> None:
    """A lost event is made good; jobs that should have ended long ago are counted for the alarm."""
    job = pipeline.request()
    pipeline.store(job)
    pipeline.clock.advance(700)
    assert sweeper.handler({}, Context()) == {"dispatched": 1}
    pipeline.clock.advance(3 * 3600)
    sweeper.handler({}, Context())
    figures = [line for line in capsys.readouterr().out.splitlines() if "JobsOpenTooLong" in line]
    assert [json.loads(line)["JobsOpenTooLong"] for line in figures] == [[0.0], [1.0]]


def test_a_retry_begins_anew_for_the_alarm(pipeline: OnAws) -> None:
    """A job that was retried just now is not open for too long, however old it is."""
    job = pipeline.request()
    old = msgspec.structs.replace(job, state=JobState.FAILED)
    later = job.created_at + 10 * 3600
    assert sweeper.open_too_long(job, later)
    assert not sweeper.open_too_long(old, later)
    assert not sweeper.open_too_long(old.retried(now=later - 60, due_at=later), later)


def ask(
    method: str, path: str, body: str | None = None, claims: dict[str, str] | None = None, **parameters: str
) -> dict[str, Any]:
    """A request as API Gateway hands it in, with the claims of a token that it has checked."""
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "host": "api.example",
            "content-type": "application/json",
            "authorization": "Bearer secret",
        },
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"},
            "stage": "$default",
            **({"authorizer": {"jwt": {"claims": claims, "scopes": None}}} if claims else {}),
        },
        "pathParameters": parameters,
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = body
    return api.handler(event, Context())


def test_the_api_answers_as_everywhere(pipeline: OnAws) -> None:
    """One application behind both functions; each line of the log names the job and nothing that is secret."""
    written = io.StringIO()
    handler = observing._logger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    made = json.loads(ask("POST", "/uploads")["body"])
    seen = json.loads(ask("GET", f"/jobs/{made['jobId']}", jobId=made["jobId"])["body"])
    assert (seen["jobId"], seen["status"]) == (made["jobId"], "PENDING")
    assert ask("GET", "/jobs/nobody", jobId="nobody")["statusCode"] == 404
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["job"], line["status"]) for line in lines] == [
        (made["jobId"], 200),
        (made["jobId"], 200),
        ("nobody", 404),
    ]
    assert "secret" not in str(lines)
    assert made["uploadUrl"] not in str(lines)


def test_callers_are_those_of_the_claims(pipeline: OnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """With jwt the gateway's claims say who calls and what for; an event without them comes from nobody, whatever its
    headers say. The signature is the gateway's to check, and it is not checked again."""
    settings = msgspec.structs.replace(
        pipeline.settings,
        auth="jwt",
        backend="aws",
        jwt_scope_claim="cognito:groups",
        jwt_scope_prefix="shop-",
    )
    monkeypatch.setattr(pipeline.service, "settings", settings)
    api._application.cache_clear()
    monkeypatch.setattr(api, "_application", api._application.__wrapped__)
    writer = {"sub": "anna", "cognito:groups": "[shop-upload shop-read]"}
    made = json.loads(ask("POST", "/uploads", claims=writer)["body"])
    path = f"/jobs/{made['jobId']}"
    assert ask("GET", path, claims=writer, jobId=made["jobId"])["statusCode"] == 200
    reader = {"sub": "bert", "cognito:groups": "shop-read"}
    assert ask("GET", path, claims=reader, jobId=made["jobId"])["statusCode"] == 404
    assert ask("POST", "/uploads", claims=reader)["statusCode"] == 403
    assert ask("GET", "/jobs", claims={"sub": "anna", "cognito:groups": "upload read"})["statusCode"] == 403
    assert ask("GET", "/jobs")["statusCode"] == 401
    assert ask("GET", "/health")["statusCode"] == 200


def test_an_event_stream_tells_the_state_now_and_ends(pipeline: OnAws) -> None:
    """API Gateway can not keep an answer open; the client comes back by itself."""
    job = pipeline.request()
    answer = ask("GET", f"/jobs/{job.id}/events", jobId=job.id)
    assert answer["statusCode"] == 200
    assert answer["body"].startswith("retry: 2000")
    assert answer["body"].count("event: job") == 1


@pytest.mark.parametrize("module", ["api", "dispatcher", "worker", "sweeper", "notifier"])
def test_importing_a_function_makes_nothing(module: str) -> None:
    """No client, no thread, no codec; and the functions that have no API load no web framework."""
    script = (
        f"import sys, threading, safelight.entrypoints.lambdas.{module}\n"
        "heavy = {'boto3', 'pyvips', 'PIL', 'apsw', 'litestar', 'httpx', 'httpcore'} & set(sys.modules)\n"
        "print(threading.active_count(), *sorted(heavy))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.split() == ["1", *(["litestar"] if module == "api" else [])], result.stderr
