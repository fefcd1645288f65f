"""Who refused, and what the client says of it: Safelight, its storage, or somebody else at the address."""

from pathlib import Path

import httpx
import pytest
from tests.unit.client.conftest import API, GRANT, Script, problem

from safelight.client import Client, Refused
from safelight.errors import ConfigurationError


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


def test_somebody_sends_on(pauses: list[float]) -> None:
    """No Safelight does: a proxy that wants https, or another server."""
    answer = httpx.Response(301, headers={"Location": "https://safelight.test/jobs"})
    said = "is not a Safelight: it sends on to https://safelight.test/jobs. Give the address of the Safelight itself."
    with Script({"GET /jobs": answer}).client() as client, pytest.raises(Refused) as told:
        list(client.jobs())
    assert (said in told.value.message, told.value.code, pauses) == (True, "not_safelight", [])


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
