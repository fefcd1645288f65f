"""Where Safelight sends requests that callers asked for: to hosts of the public internet over TLS, and nowhere else.

A caller chooses the address, so it could choose one that only this machine can reach: a database, a router, the
service that hands out a cloud's credentials. A name is judged by all the addresses that it leads to, at the moment of
connecting, and the connection goes to one of these very addresses: where the name leads a moment later does not count.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from safelight.errors import AddressRefused, HostUnknown

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
"""The IP addresses of a host. Raises OSError if there are none."""

MAX_URL: Final = 2048
PORTS: Final = {"https": 443, "http": 80}

_HOST: Final = re.compile(r"[0-9A-Za-z._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")

_NOT_FOR_US: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # of protocols
        "192.88.99.0/24",  # relays to 6to4
        "::/96",  # IPv4 in the lowest bits, as it was written once
        "2001::/32",  # Teredo: IPv4 inside
        "2002::/16",  # 6to4: IPv4 inside
        "fec0::/10",  # of a site, as it was once
        "64:ff9b:1::/48",  # translation inside one network
    )
)
"""Networks that are not the public internet, though not every version of Python's registry says so."""

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Place(NamedTuple):
    """Where a URL leads. `target` is its path and query."""

    scheme: str
    host: str
    port: int
    target: str


def place_of(url: str, *, loopback: bool = False) -> Place:
    """Where a request to this URL would go, judged by its form alone. Raise AddressRefused.

    With `loopback`, plain http is of the right form, too: `addresses_of` then asks for this very machine.
    """
    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url):
        raise AddressRefused(f"The URL: expected at most {MAX_URL} visible ASCII characters without spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused(
            "The URL can not be read; expected one such as https://example.org/hook."
        ) from None
    if parts.scheme != "https" and not (loopback and parts.scheme == "http"):
        raise AddressRefused("The URL: expected one that begins with https://.")
    host = parts.hostname or ""
    if "@" in parts.netloc or "\\" in url or parts.fragment or not _HOST.fullmatch(host):
        raise AddressRefused(
            "The URL: expected a host, maybe a port and a path; without user, password or #fragment."
        )
    if port == 0:
        raise AddressRefused("The URL: expected a port from 1 to 65535.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port or PORTS[parts.scheme], target)


def addresses_of(place: Place, *, loopback: bool = False, resolve: Resolve | None = None) -> list[str]:
    """The addresses that a request may be sent to, in the order in which to try them.

    Raise HostUnknown, or AddressRefused if any of them is not to be reached: one good address does not excuse another.
    """
    try:
        found = (resolve or _resolve)(place.host, place.port)
    except (OSError, UnicodeError):
        raise HostUnknown from None
    if not found:
        raise HostUnknown
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    here = [address.is_loopback for address in addresses]
    if loopback and all(here):
        return found
    if place.scheme != "https" or not all(map(is_public, addresses)):
        raise AddressRefused
    return found


def is_public(address: Address) -> bool:
    """Whether the address is one host of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return False
        if address in _NAT64:  # a translator sends it to the IPv4 address inside
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    if any(address in network for network in _NOT_FOR_US if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
