"""The exact form of signed URLs, without a network."""

import base64
import json
from datetime import UTC, datetime
from itertools import product
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore import auth
from botocore.credentials import ReadOnlyCredentials

from safelight.backends.aws.border import Clients
from safelight.backends.aws.keys import Buckets
from safelight.backends.aws.links import S3Links
from safelight.errors import InvalidRequest
from safelight.model import content_disposition
from safelight.ports import LINKS_SIGNED_EVERY, UploadGrant
from safelight.testing import Clock

SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
BARE = UploadGrant(key="uploads/j1/a b.jpg", expires_in=300, max_bytes=1000)

each_region = pytest.mark.parametrize("region", ["us-east-1", "ap-south-1"])


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a function: they come with a token."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/+=")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def links(region: str = "ap-south-1", clock: Clock | None = None) -> S3Links:
    """The links of a region."""
    return S3Links(Clients(region), Buckets("our-uploads", "our-processed"), clock=clock or Clock())


def query(url: str) -> dict[str, str]:
    """The parameters of a URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


@each_region
def test_uploads_go_to_the_regional_host(region: str) -> None:
    """The bucket is in the name; the global host would answer with a redirect that breaks a PUT."""
    url = urlsplit(links(region).upload(BARE).url)
    assert (url.scheme, url.netloc) == ("https", f"our-uploads.s3.{region}.amazonaws.com")
    assert url.path == "/uploads/j1/a%20b.jpg"


@each_region
def test_forms_go_to_the_regional_host(region: str) -> None:
    """As URLs do."""
    grant = UploadGrant(key="uploads/j1/a.jpg", expires_in=300, max_bytes=1000, method="POST")
    assert links(region).upload(grant).url == f"https://our-uploads.s3.{region}.amazonaws.com/"


@each_region
def test_downloads_come_from_the_regional_host(region: str) -> None:
    """Of the other bucket."""
    url = urlsplit(links(region).download("processed/a", filename="a.jpg", content_type="image/jpeg"))
    assert url.netloc == f"our-processed.s3.{region}.amazonaws.com"
    assert f"/{region}/s3/aws4_request" in unquote(url.query)


def test_a_bare_put_signs_the_host_alone() -> None:
    """So any client can send it, with whatever headers it likes to send; with Signature Version 4."""
    parameters = query(links().upload(BARE).url)
    assert parameters["X-Amz-SignedHeaders"] == "host"
    assert parameters["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert parameters["X-Amz-Expires"] == "300"
    assert not [name for name in parameters if "checksum" in name.lower()]


def test_whatever_was_declared_is_signed() -> None:
    """Type, exact length, checksum, and that nothing is overwritten."""
    grant = UploadGrant(
        key="uploads/j1/a.jpg",
        expires_in=300,
        max_bytes=1000,
        content_type="image/jpeg",
        size=3,
        sha256=SHA256,
        overwrite=False,
    )
    signed = set(query(links().upload(grant).url)["X-Amz-SignedHeaders"].split(";"))
    assert signed == {"content-length", "content-type", "host", "if-none-match", "x-amz-checksum-sha256"}


def test_a_form_carries_the_policy() -> None:
    """Key, type and checksum exactly; the length as a range up to the limit, or exactly if it was declared."""
    for size, allowed in ((None, [0, 1000]), (3, [3, 3])):
        grant = UploadGrant(
            key="uploads/j1/a.jpg",
            expires_in=300,
            max_bytes=1000,
            method="POST",
            content_type="image/png",
            size=size,
            sha256=SHA256,
        )
        fields = links().upload(grant).fields
        conditions = json.loads(base64.b64decode(fields["policy"]))["conditions"]
        assert ["content-length-range", *allowed] in conditions
        for name in ("key", "Content-Type", "x-amz-checksum-sha256"):
            assert {name: fields[name]} in conditions


def test_a_form_can_not_refuse_to_overwrite() -> None:
    """S3 has no field for it, and a promise that is not kept is worse than none."""
    grant = UploadGrant(
        key="uploads/j1/a.jpg", expires_in=300, max_bytes=1000, method="POST", overwrite=False
    )
    with pytest.raises(InvalidRequest, match="PUT"):
        links().upload(grant)


@pytest.mark.parametrize("key", ["", "a", "other/a", "uploads/../a", "uploads//a"])
def test_an_impossible_key_is_never_signed(key: str) -> None:
    """A signature is a permission."""
    with pytest.raises(InvalidRequest):
        links().upload(UploadGrant(key=key, expires_in=300, max_bytes=1000))


@pytest.mark.parametrize("second", [0, 1, 1799, 1800, 3599])
def test_a_download_url_is_good_for_an_hour(second: int) -> None:
    """At least, whenever it was made; signed as of the last half hour."""
    clock = Clock(1800.0 * 1_000_000 + second)
    parameters = query(
        links(clock=clock).download("processed/a", filename="a.jpg", content_type="image/jpeg")
    )
    signed = datetime.strptime(parameters["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    assert signed % 1800 == 0
    assert signed <= clock()
    assert clock() + 3600 <= signed + int(parameters["X-Amz-Expires"]) <= clock() + 5400


def test_a_download_has_a_name_and_a_type() -> None:
    """Of any characters; S3 sends them as headers."""
    parameters = query(links().download("processed/a", filename="写真 1.jpg", content_type="image/jpeg"))
    assert parameters["response-content-type"] == "image/jpeg"
    assert parameters["response-content-disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''%E5%86%99%E7%9C%9F%201.jpg" in parameters["response-content-disposition"]


KEYS = (
    "processed/a",
    "processed/uploads/5d1c/9a0b/main.jpg",
    "processed/a b+c/ü",
    "processed/100%/%20/%",
    "processed/写真/😀.webp",
    "processed/-_.~!*'()",
    "processed/?&=#;:@$,",
    'processed/"<>\\^`{|}[]',
    "processed/...",
    "processed/\t\n\x7f",
)


@pytest.mark.parametrize(
    ("region", "token", "endpoint"),
    [
        ("us-east-1", "", ""),
        ("ap-south-1", "token/+=", ""),
        ("us-east-1", "token/+=", "http://127.0.0.1:4566"),
        ("ap-south-1", "", "http://[::1]:80/s3"),
        ("ap-south-1", "token/+=", "https://S3.Example.com"),
    ],
)
def test_the_url_is_botocores(
    monkeypatch: pytest.MonkeyPatch, region: str, token: str, endpoint: str
) -> None:
    """At a moment that is now, botocore signs the very same, whatever stands in a key, and wherever buckets are."""
    at = 1800.0 * 1_000_000
    monkeypatch.setattr(auth, "get_current_datetime", lambda: datetime.fromtimestamp(at, UTC))
    for variable, value in (("AWS_SESSION_TOKEN", token), ("AWS_ENDPOINT_URL", endpoint)):
        if value:
            monkeypatch.setenv(variable, value)
        else:
            monkeypatch.delenv(variable, raising=False)
    clients = Clients(region)
    for bucket, key in product(("our-processed", "our.processed"), KEYS):
        name = key.rpartition("/")[2]
        ours = S3Links(clients, Buckets("u", bucket), clock=Clock(at)).download(
            key, filename=name, content_type="image/jpeg", inline=True
        )
        theirs = clients.get("s3").generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": content_disposition(name, inline=True),
                "ResponseContentType": "image/jpeg",
            },
            ExpiresIn=5400,
        )
        assert ours == theirs


def test_one_bucket_is_not_taken_for_the_other() -> None:
    """What was asked about one bucket is not said of the next."""
    both = links()
    for key in ("processed/a", "uploads/a", "processed/b"):
        url = urlsplit(both.download(key, filename="a.jpg", content_type="image/jpeg"))
        assert url.netloc == f"our-{key.partition('/')[0]}.s3.ap-south-1.amazonaws.com"


def test_other_credentials_sign_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a role end: a URL that they signed would, too."""
    clients = Clients("ap-south-1")
    links = S3Links(clients, Buckets("u", "p"), clock=Clock())
    urls = []
    for key in ("AKIDONE", "AKIDTWO"):
        monkeypatch.setattr(clients, "credentials", lambda key=key: ReadOnlyCredentials(key, "secret", None))
        urls.append(query(links.download("processed/a", filename="a.jpg", content_type="image/jpeg")))
    assert [url["X-Amz-Credential"].partition("/")[0] for url in urls] == ["AKIDONE", "AKIDTWO"]
    assert urls[0]["X-Amz-Signature"] != urls[1]["X-Amz-Signature"]


def test_a_key_that_is_no_unicode_is_not_signed() -> None:
    """It can be nobody's."""
    with pytest.raises(InvalidRequest):
        links().download("processed/\ud800", filename="a.jpg", content_type="image/jpeg")


def test_a_download_is_good_for_as_long_as_is_set() -> None:
    """The seconds that the operator sets are what is left at the end of the half hour, too."""
    longer = S3Links(Clients("ap-south-1"), Buckets("u", "p"), clock=Clock(), download_seconds=7200)
    url = longer.download("processed/a", filename="a.jpg", content_type="image/jpeg")
    assert query(url)["X-Amz-Expires"] == str(7200 + LINKS_SIGNED_EVERY)
