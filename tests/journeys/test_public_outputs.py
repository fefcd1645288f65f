"""Outputs that a recipe makes public, from one machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journeys.serving import Server, client, decoded, image, submit, wait

pytestmark = pytest.mark.embedded

RECIPE: dict[str, Any] = {
    "version": 1,
    "steps": {"small": {"op": "resize", "width": 64}},
    "outputs": {"main": {}, "thumb": {"use": "small", "format": "webp", "delivery": "public"}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Safelight that the tests share."""
    with Server(tmp_path_factory.mktemp("public") / "data", "--workers", "1") as server:
        yield server


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client of it."""
    with client(server.url) as http:
        yield http


def outputs(http: httpx.Client) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A job with a private and a public output."""
    job_id = submit(http, image(), recipe=RECIPE)
    job = wait(http, job_id)
    assert job["status"] == "COMPLETED", job
    main, thumb = job["outputs"]
    return job_id, main, thumb


def test_everybody_gets_a_public_output_until_its_job_is_gone(http: httpx.Client) -> None:
    """Without a signature, shown and not saved, cached for an hour, on any page; the address stays the same."""
    job_id, main, thumb = outputs(http)
    assert main["publicUrl"] is None
    url = thumb["publicUrl"]
    answer = httpx.get(url, trust_env=False)
    assert answer.status_code == 200
    assert decoded(answer.content).size == (64, 48)
    said = answer.headers
    assert said["content-type"] == "image/webp"
    assert said["cache-control"] == "public, max-age=3600"
    assert said["x-content-type-options"] == "nosniff"
    assert said["content-security-policy"] == "default-src 'none'; sandbox"
    assert said["access-control-allow-origin"] == "*"
    assert "content-disposition" not in said
    again = httpx.get(url, headers={"If-None-Match": said["etag"]}, trust_env=False)
    assert (again.status_code, again.headers["cache-control"]) == (304, "public, max-age=3600")
    assert httpx.head(url, trust_env=False).headers["content-length"] == str(len(answer.content))
    part = httpx.get(url, headers={"Range": "bytes=0-3"}, trust_env=False)
    assert (part.status_code, part.content) == (206, b"RIFF")
    signed = httpx.get(thumb["url"], trust_env=False)
    assert (signed.content, signed.headers["content-disposition"][:10]) == (answer.content, "attachment")
    assert http.get(f"/jobs/{job_id}").json()["outputs"][1]["publicUrl"] == url
    http.delete(f"/jobs/{job_id}").raise_for_status()
    assert httpx.get(url, trust_env=False).status_code == 404


def test_the_public_path_leads_to_nothing_else(server: Server, http: httpx.Client) -> None:
    """Neither to private outputs and originals, nor out of the folder; and nothing can be written there."""
    job_id, main, thumb = outputs(http)
    private = main["url"].partition("?")[0].partition("/files/processed/uploads/")[2]
    public = thumb["publicUrl"].partition("/public/")[2]
    token = private.split("/")[1]
    for path in (
        private,
        f"{job_id}/{token}/public/main.jpg",
        f"{job_id}/{token}/public/../main.jpg",
        f"{job_id}/{token}/public/%2e%2e/main.jpg",
        public.replace(job_id, "0" * 8 + job_id[8:]),
        "",
        public.rpartition("/")[0],
        public + "/",
        public + "%00",
        "..%2fsafelight.db",
    ):
        answer = httpx.get(f"{server.url}/public/{path}", trust_env=False)
        assert answer.status_code in (404, 400), path
    for method in ("PUT", "POST", "DELETE"):
        assert httpx.request(method, thumb["publicUrl"], trust_env=False).status_code == 405


def test_an_operator_may_turn_it_off(tmp_path: Path) -> None:
    """Then recipes that ask for it are refused when a job is asked for."""
    with (
        Server(tmp_path / "data", "--workers", "1", public_outputs="off") as server,
        client(server.url) as http,
    ):
        answer = http.post("/uploads", json={"recipe": RECIPE})
        assert (answer.status_code, answer.json()["code"]) == (422, "public_outputs_off")
        assert httpx.get(f"{server.url}/public/a/b/public/c.png", trust_env=False).status_code == 404
