"""The contract of `Links`, as far as it shows without a server; `test_storage_http` sends the requests."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.contract.conftest import Backend

from safelight.backends.aws.border import Clients
from safelight.backends.aws.keys import Buckets
from safelight.backends.aws.links import S3Links
from safelight.backends.embedded import Embedded
from safelight.errors import ConfigurationError
from safelight.ports import UploadGrant
from safelight.testing import Clock

PORTS = {"links"}

SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_bare_grant_asks_for_no_headers(backend: Backend) -> None:
    """A client that only knows how to PUT can use it."""
    link = backend.links.upload(UploadGrant(key="uploads/j1/a.jpg", expires_in=300, max_bytes=1000))
    assert (link.method, link.headers, link.fields) == ("PUT", {}, {})
    assert "uploads/j1/a.jpg" in link.url


def test_whatever_was_declared_must_be_sent(backend: Backend) -> None:
    """Type, length, checksum and condition are listed, in the form that S3 has for them."""
    grant = UploadGrant(
        key="uploads/j1/a.jpg",
        expires_in=300,
        max_bytes=1000,
        content_type="image/jpeg",
        size=3,
        sha256=SHA256,
        overwrite=False,
    )
    assert backend.links.upload(grant).headers == {
        "Content-Type": "image/jpeg",
        "Content-Length": "3",
        "x-amz-checksum-sha256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "If-None-Match": "*",
    }


def test_a_form_carries_its_key(backend: Backend) -> None:
    """A grant for POST gives fields instead of headers."""
    grant = UploadGrant(
        key="uploads/j1/a.jpg", expires_in=300, max_bytes=1000, method="POST", content_type="image/png"
    )
    link = backend.links.upload(grant)
    assert (link.method, link.headers) == ("POST", {})
    assert link.fields["key"] == "uploads/j1/a.jpg"
    assert link.fields["Content-Type"] == "image/png"


def test_a_download_url_stays_the_same_for_half_an_hour(backend: Backend, clock: Clock) -> None:
    """Caches can use it; at the boundary it changes."""
    clock.now = 1800.0 * 1000

    def url() -> str:
        return backend.links.download("processed/a", filename="a.jpg", content_type="image/jpeg")

    first = url()
    clock.advance(1799)
    assert url() == first
    clock.advance(1)
    assert url() != first


def test_download_urls_differ_by_what_they_give(backend: Backend) -> None:
    """Name, type and disposition are part of the URL."""
    urls = {
        backend.links.download("processed/a", filename=name, content_type=kind, inline=inline)
        for name in ("a.jpg", "b.jpg")
        for kind in ("image/jpeg", "image/png")
        for inline in (True, False)
    }
    assert len(urls) == 8


@pytest.mark.parametrize("second", [0, 1, 1799, 1800, 3599])
def test_a_download_url_is_good_for_an_hour(embedded: Embedded, clock: Clock, second: int) -> None:
    """At least, whenever it was made."""
    clock.now = 1800.0 * 1000 + second
    url = urlsplit(embedded.links.download("processed/a", filename="a.jpg", content_type="image/jpeg"))
    expires = float(parse_qs(url.query)["X-Safelight-Expires"][0])
    assert clock() + 3600 <= expires <= clock() + 5400


def test_processes_agree_on_the_secret(tmp_path: Path) -> None:
    """It is made once and kept."""
    first, second = Embedded(tmp_path), Embedded(tmp_path)
    assert first.links.sign("GET", "processed/a", 1) == second.links.sign("GET", "processed/a", 1)
    first.close()
    second.close()
    other = Embedded(tmp_path / "other")
    assert other.links.sign("GET", "processed/a", 1) != second.links.sign("GET", "processed/a", 1)
    other.close()


def test_a_damaged_secret_is_not_used(tmp_path: Path) -> None:
    """Not silently replaced either: links that are out would stop working without a word."""
    Embedded(tmp_path).close()
    (tmp_path / "signing.key").write_text("short")
    with pytest.raises(ConfigurationError, match=r"signing\.key"):
        Embedded(tmp_path)


def test_the_address_may_be_known_late(tmp_path: Path) -> None:
    """`base_url` is asked when a URL is made."""
    address = "http://127.0.0.1:1"
    embedded = Embedded(tmp_path, base_url=lambda: address)
    address = "https://photos.example"
    url = embedded.links.download("processed/a b+c", filename="a", content_type="image/png")
    assert url.startswith("https://photos.example/files/processed/a%20b%2Bc?")
    embedded.close()


PUBLIC = "processed/uploads/5d1c/9a0b/public/thumb.webp"


def test_public_outputs_have_a_lasting_address(backend: Backend, clock: Clock) -> None:
    """It is not signed, ends never, and holds all of the key that could be guessed."""
    assert backend.links.publishes
    url = backend.links.public(PUBLIC)
    assert url is not None
    assert urlsplit(url).path.endswith("/5d1c/9a0b/public/thumb.webp")
    assert urlsplit(url).query == ""
    clock.now += 10_000
    assert backend.links.public(PUBLIC) == url


@pytest.mark.parametrize(
    "key",
    [
        "processed/uploads/5d1c/9a0b/thumb.webp",
        "processed/uploads/5d1c/public/thumb.webp",
        "processed/uploads/5d1c/9a0b/public/more/thumb.webp",
        "processed/uploads/5d1c/../public/thumb.webp",
        "uploads/5d1c/9a0b/public/thumb.webp",
        "uploads/public/thumb.webp",
    ],
)
def test_nothing_else_has_one(backend: Backend, key: str) -> None:
    """Private outputs, originals and what is no key at all."""
    assert backend.links.public(key) is None


def test_who_publishes_nothing_gives_no_address(tmp_path: Path) -> None:
    """Neither on one machine nor without a distribution on AWS."""
    quiet = Embedded(tmp_path, publishes=False)
    assert (quiet.links.publishes, quiet.links.public(PUBLIC)) == (False, None)
    quiet.close()
    on_aws = S3Links(Clients("eu-central-1"), Buckets("u", "p"), clock=Clock())
    assert (on_aws.publishes, on_aws.public(PUBLIC)) == (False, None)
