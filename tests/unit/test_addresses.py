"""Where requests may be sent that callers asked for."""

import ipaddress

import pytest

from safelight.addresses import Resolve, addresses_of, is_public, place_of
from safelight.errors import AddressRefused, HostUnknown

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"]
NOT_PUBLIC = [
    *("10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "fd00::1", "fc00::1"),  # private
    *("127.0.0.1", "127.8.9.10", "::1"),  # this machine
    *("169.254.169.254", "fe80::1", "fd00:ec2::254"),  # the link, and where clouds hand out credentials
    *("100.64.0.1", "100.127.255.254"),  # the provider's own
    *("224.0.0.1", "239.255.255.250", "ff02::1"),  # many at once
    *("0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"),
    *("::ffff:93.184.216.34", "::ffff:127.0.0.1", "::7f00:1"),  # IPv4 in IPv6
    *("2002:7f00:1::", "2001:0:7f00:1::", "192.88.99.1", "fec0::1", "64:ff9b:1::1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),  # translated to 127.0.0.1 and 169.254.169.254
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet(address: str) -> None:
    """Hosts of it may be reached, also behind the public prefix for translation."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_the_public_internet(address: str) -> None:
    """No address of another kind may be reached, however it is written, as a URL's host or behind a name."""
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    for resolve in (None, lambda _host, _port: [address]):
        url = f"https://{host}/" if resolve is None else "https://example.org/"
        with pytest.raises(AddressRefused):
            addresses_of(place_of(url), resolve=resolve)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::1%25lo]"]
)
def test_this_machine_by_other_names(host: str) -> None:
    """What the resolver makes of it counts, not how it is spelled."""
    with pytest.raises((AddressRefused, HostUnknown)):
        addresses_of(place_of(f"https://{host}/"))


def test_one_good_address_excuses_no_other() -> None:
    """A name that leads to both, a public host and this machine, is refused."""
    with pytest.raises(AddressRefused):
        addresses_of(place_of("https://example.org/"), resolve=lambda _h, _p: [PUBLIC[0], "127.0.0.1"])
    assert addresses_of(place_of("https://example.org/"), resolve=lambda _h, _p: PUBLIC[:2]) == PUBLIC[:2]


def test_a_name_that_leads_nowhere() -> None:
    """Is told apart, so that a slip of the pen is found."""

    def resolve(_host: str, _port: int) -> list[str]:
        raise OSError

    nowhere: list[Resolve] = [resolve, lambda _h, _p: []]
    for unknown in nowhere:
        with pytest.raises(HostUnknown):
            addresses_of(place_of("https://exmaple.org/"), resolve=unknown)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "//example.org",
        ),
        *(
            "https://",
            "https:///x",
            "https://user@example.org/",
            "https://a:b@example.org/",
            "https://example.org/#a",
        ),
        *(
            "https://example.org:0/",
            "https://example.org:65536/",
            "https://example.org:x/",
            "https://[::1/",
            "",
        ),
        *(
            "https://exa mple.org/",
            "https://example.org/\r\nHost: x",
            "https://exämple.org/",
            "https://example.org/ä",
        ),
        *("https://example.org\\@127.0.0.1/", "https://example.org/" + "x" * 2048, "https://exam%70le.org/"),
    ],
)
def test_urls_of_the_wrong_form(url: str) -> None:
    """Refused with a sentence that says what was expected, before anything is asked of the DNS."""
    with pytest.raises(AddressRefused, match="The URL"):
        place_of(url)


def test_what_a_url_names() -> None:
    """Host, port, and what is asked for there."""
    assert place_of("https://Example.org:8443/a/b?c=%20d") == ("https", "example.org", 8443, "/a/b?c=%20d")
    assert place_of("https://example.org") == ("https", "example.org", 443, "/")


def test_loopback_is_for_development() -> None:
    """With the setting, this machine may be reached, by http too; nothing else may be reached by http, and no
    private address at all."""
    for url in ("http://127.0.0.1:1234/", "https://127.0.0.1/", "http://[::1]/"):
        assert addresses_of(place_of(url, loopback=True), loopback=True)
    for url in ("http://93.184.216.34/", "https://10.0.0.1/", "http://169.254.169.254/"):
        with pytest.raises(AddressRefused):
            addresses_of(place_of(url, loopback=True), loopback=True)
    with pytest.raises(AddressRefused):
        addresses_of(
            place_of("http://example.org/", loopback=True),
            loopback=True,
            resolve=lambda _h, _p: ["127.0.0.1", PUBLIC[0]],
        )
