"""The console, and public outputs, behind a distribution: deployed by the command, asked for as a browser asks."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.infra.test_template import RESOURCES, TEMPLATE, properties
from tests.journeys.serving import client, decoded, image, submit, wait
from tests.support.stack import Emulated, Stack, deployed

from safelight.backends.embedded.downloads import PUBLIC_HEADERS
from safelight.entrypoints.api import console
from safelight.entrypoints.deploy import console as site

pytestmark = pytest.mark.timeout(300)

RECIPE: dict[str, Any] = {
    "version": 1,
    "steps": {"small": {"op": "resize", "width": 64}},
    "outputs": {"main": {}, "thumb": {"use": "small", "format": "webp", "delivery": "public"}},
}


@pytest.fixture(scope="module")
def shown(account: Emulated) -> Iterator[Stack]:
    """A stack with a console, whose API is not for every origin. Destroyed at the end, with nothing left."""
    with deployed(account, "shown", "--console", AppName="shown", CorsOrigins="https://app.example") as stack:
        account.allow_http(stack.outputs["ConsoleBucketName"])
        yield stack


def at_the_edge(stack: Stack, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """What the distribution answers: it is known by its host, and takes TLS for granted that comes from a proxy."""
    host = urlsplit(stack.outputs["ConsoleUrl"]).netloc
    said = {"Host": host, "X-Forwarded-Proto": "https", **headers}
    return httpx.request(method, stack.account.endpoint + path, headers=said, trust_env=False)


def test_the_pages_are_served(shown: Stack) -> None:
    """All that `safelight serve` has, as it has it, with the API's address beside them."""
    page = at_the_edge(shown, "/")
    assert page.status_code == 200
    assert page.content == (console.FOLDER / "index.html").read_bytes()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    for path in console.FOLDER.rglob("assets/*"):
        part = at_the_edge(shown, f"/assets/{path.name}")
        assert (part.status_code, part.content) == (200, path.read_bytes())
        assert part.headers["cache-control"] == console.FOREVER
        assert part.headers["content-type"].startswith(("text/javascript", "text/css"))
    assert at_the_edge(shown, "/config.json").json() == {"api": shown.outputs["ApiUrl"]}
    missing = at_the_edge(shown, "/nothing.js")
    assert (missing.status_code, missing.content) == (404, site.MISSING)
    assert at_the_edge(shown, "/", "PUT").status_code == 403
    assert at_the_edge(shown, "/", **{"X-Forwarded-Proto": "http"}).status_code == 301


def test_the_pages_are_guarded(shown: Stack) -> None:
    """No inline code, and no host but the API's and the buckets'; everything else as from `safelight serve`."""
    headers = at_the_edge(shown, "/").headers
    here = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    there = dict(part.split(" ", 1) for part in console.policy("").split("; "))
    hosts = {name: value.split() for name, value in here.items()}
    ours = {
        "img-src": [f"https://{shown.outputs['ProcessedBucketName']}.s3.ap-south-1.amazonaws.com"],
        "connect-src": [
            shown.outputs["ApiUrl"],
            f"https://{shown.outputs['UploadsBucketName']}.s3.ap-south-1.amazonaws.com",
            f"https://{shown.outputs['ProcessedBucketName']}.s3.ap-south-1.amazonaws.com",
        ],
    }
    assert {name: [host for host in value if host not in ours.get(name, ())] for name, value in hosts.items()} == {
        name: value.split() for name, value in there.items()
    }
    assert all(set(extra) <= set(hosts[name]) for name, extra in ours.items())
    assert "unsafe" not in headers["content-security-policy"]
    for name in ("cross-origin-opener-policy", "permissions-policy", "referrer-policy"):
        [served] = [v.decode() for n, v in console.guard("") if n.decode() == name]
        assert headers[name] == served
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_nobody_gets_round_the_distribution(shown: Stack) -> None:
    """Its buckets give nothing to strangers."""
    for bucket, key in ((shown.outputs["ConsoleBucketName"], "index.html"), (shown.outputs["ProcessedBucketName"], "x")):
        answer = httpx.get(f"{shown.account.endpoint}/{bucket}/{key}", trust_env=False)
        assert answer.status_code == 403


def test_the_console_may_use_the_api(shown: Stack) -> None:
    """Its origin is allowed beside those that the operator names: by the API and by both buckets."""
    console_url = shown.outputs["ConsoleUrl"]
    wanted = ["https://app.example", console_url]
    for name in ("UploadsBucketName", "ProcessedBucketName"):
        [rule] = shown.account.client("s3").get_bucket_cors(Bucket=shown.outputs[name])["CORSRules"]
        assert rule["AllowedOrigins"] == wanted
    # The emulator does not look at the CORS of an API that a template makes; it is the same expression.
    [rule] = properties("UploadsBucket")["CorsConfiguration"]["CorsRules"]
    assert properties("Api")["CorsConfiguration"]["AllowOrigins"] == rule["AllowedOrigins"]


def test_public_outputs_come_from_the_distribution(shown: Stack) -> None:
    """Without a signature, for everybody; private outputs do not, and after the job's end nothing does."""
    with client(shown.api) as http:
        job_id = submit(http, image(), recipe=RECIPE)
        job = wait(http, job_id, within=60)
        main, thumb = job["outputs"]
        assert main["publicUrl"] is None
        assert thumb["publicUrl"].startswith(shown.outputs["ConsoleUrl"] + "/")
        path = urlsplit(thumb["publicUrl"]).path
        answer = at_the_edge(shown, path, Origin="https://blog.example")
        assert answer.status_code == 200
        assert decoded(answer.content).size == (64, 48)
        said = {name: answer.headers[name] for name in PUBLIC_HEADERS}
        assert said == PUBLIC_HEADERS
        assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("image/webp", "nosniff")
        assert "content-disposition" not in answer.headers
        private = urlsplit(main["url"]).path.partition("processed/uploads/")[2]
        for other in (private, f"{job_id}/public/{private}", path.replace("thumb", "main"), "uploads/x"):
            assert at_the_edge(shown, f"/{other.lstrip('/')}").status_code in (403, 404), other
        http.delete(f"/jobs/{job_id}").raise_for_status()
        assert at_the_edge(shown, path).status_code == 404


@pytest.mark.long
def test_without_a_console_nothing_is_public(deployed_stack: Stack) -> None:
    """A recipe that asks for it is refused."""
    with client(deployed_stack.api) as http:
        answer = http.post("/uploads", json={"recipe": RECIPE})
        assert (answer.status_code, answer.json()["code"]) == (422, "public_outputs_off")


@pytest.mark.long
def test_it_can_be_taken_away_again(shown: Stack) -> None:
    """`--no-console` removes the distribution and all that belongs to it; the rest of the stack goes on."""
    account = shown.account
    done = account.deploy("shown", "--no-console", AppName="shown")
    assert done.code == 0, done.told
    assert "ConsoleUrl" not in done.json["outputs"]
    left = json.loads(account.run("status", "--stack", "shown", "--json").said)["outputs"]
    assert "ConsoleBucketName" not in left
    buckets = [each["Name"] for each in account.client("s3").list_buckets()["Buckets"]]
    assert shown.outputs["ConsoleBucketName"] not in buckets
    assert account.client("cloudfront").list_distributions()["DistributionList"].get("Items", []) == []
    with client(shown.api) as http:
        assert http.get("/health").status_code == 200


# --- what the emulator does not look at ---


def test_only_public_keys_are_for_the_distribution() -> None:
    """By the bucket's policy, and for this distribution alone."""
    [_, allowed] = properties("ProcessedBucketPolicy")["PolicyDocument"]["Statement"]
    condition, statement, _ = allowed["Fn::If"]
    assert condition == "HasConsole"
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"] == {"Fn::Sub": "${ProcessedBucket.Arn}/processed/uploads/*/*/public/*"}
    assert list(statement["Condition"]) == ["StringEquals"]
    assert list(statement["Condition"]["StringEquals"]) == ["aws:SourceArn"]


def test_all_of_it_is_a_choice() -> None:
    """Whatever CloudFront is asked for, and the console's bucket, is there with Console=yes alone."""
    for name, one in RESOURCES.items():
        if one["Type"].startswith("AWS::CloudFront::") or name.startswith("Console"):
            assert one["Condition"] == "HasConsole", name
    assert TEMPLATE["Parameters"]["Console"]["Default"] == "no"


def test_every_way_in_is_encrypted_and_signed() -> None:
    """Viewers are sent to TLS, origins are asked with a signature, and nothing is cached for longer than an hour."""
    config: dict[str, Any] = properties("Distribution")["DistributionConfig"]
    ways = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    assert {way["ViewerProtocolPolicy"] for way in ways} == {"redirect-to-https"}
    assert all(way["AllowedMethods"] == ["GET", "HEAD"] for way in ways)
    access = {"Fn::GetAtt": ["DistributionAccess", "Id"]}
    assert all(origin["OriginAccessControlId"] == access for origin in config["Origins"])
    assert properties("DistributionAccess")["OriginAccessControlConfig"]["SigningBehavior"] == "always"
    assert properties("PublicOutputsCache")["CachePolicyConfig"]["MaxTTL"] == 3600
