"""Requests to addresses that users typed: only to the open internet, never to a network of ours (SSRF).

A name is resolved once, all its addresses are checked, and the connection goes to a checked one, so that a name
cannot change its mind between check and use. TLS still proves the name. No redirects, no proxies, a deadline for all.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore
from django.conf import settings

MOST_READ = 64 * 1024
MOST_TRIED = 3  # addresses of one name: the first may be of a kind that this machine cannot reach
PORTS = (443, 8443)
# Said one by one: `is_global` changed its mind between versions, and lets addresses through that carry others.
_DENIED = [
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's own services, at a public address
        "::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48",
        "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
        "fec0::/10", "ff00::/8",
    )
]  # fmt: skip
_OPEN_IPV6 = ip_network("2000::/3")  # all that is given out; whatever else comes is not ours to reach

Resolve = Callable[[str, int], list[str]]


class AddressError(Exception):
    """An address we do not send to; the text says why, to whoever typed it."""


class SendError(Exception):
    """No answer came; the text says why, without a word of what the other side sent."""


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name. Raises SendError if it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SendError("The host's name is not known to the internet.") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def checked_url(text: str) -> SplitResult:
    """Return the parts of an address that may be sent to as far as its text tells. Raises AddressError in words."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise AddressError("This is not an address.") from None
    host = parts.hostname or ""
    if not host or any(ord(sign) <= 32 or ord(sign) > 126 for sign in text.strip()):
        raise AddressError("Enter a full address, such as https://example.com/hooks.")
    if parts.username or parts.password or parts.fragment:
        raise AddressError("The address must not hold a name, a password or a # part.")
    if settings.WEBHOOKS_TO_LOOPBACK and parts.scheme in ("http", "https") and _is_loopback(host):
        return parts
    if parts.scheme != "https":
        raise AddressError("The address must begin with https://.")
    if port not in (None, *PORTS):
        raise AddressError("Only the ports 443 and 8443 are open to webhooks.")
    if _literal(host):
        check_addresses([host])
    return parts


def check_reachable(text: str, names: Resolve = resolve) -> None:
    """Check an address and all that its name leads to, when it is saved. Raises AddressError or SendError."""
    parts = checked_url(text)
    check_addresses(names(parts.hostname or "", parts.port or 443))


def check_addresses(addresses: Iterable[str]) -> list[str]:
    """Return the addresses if every one of them is of the open internet. Raises AddressError."""
    found = list(addresses)
    if not found or not all(_is_open(address) for address in found):
        raise AddressError("The address leads into a private or reserved network. We do not send there.")
    return found


def _is_open(text: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if settings.WEBHOOKS_TO_LOOPBACK and address.is_loopback:
        return True
    if any(address.version == net.version and address in net for net in _DENIED):
        return False
    return address.is_global and (address.version == 4 or address in _OPEN_IPV6)


def _literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit() or host.startswith("0x")
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status only, since the body is nobody's business."""

    status: int
    milliseconds: int


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends at one deadline, and that reads no more than it may."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self.inner, self.deadline, self.left = inner, deadline, MOST_READ

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.left <= 0:
            raise httpcore.ReadError("too long")
        data = self.inner.read(min(max_bytes, self.left), self._rest())
        self.left -= len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, self._rest())

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self.inner.start_tls(ssl_context, server_hostname, self._rest()), self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)

    def _rest(self) -> float:
        rest = self.deadline - time.monotonic()
        if rest <= 0:
            raise httpcore.ReadTimeout("too late")
        return rest


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to names only through addresses that were checked; `names` and `inner` are for tests."""

    def __init__(
        self, deadline: float, names: Resolve = resolve, inner: httpcore.NetworkBackend | None = None
    ) -> None:
        self.deadline, self.names, self.inner = deadline, names, inner or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        for address in (found := check_addresses(self.names(host, port)))[:MOST_TRIED]:
            rest = max(self.deadline - time.monotonic(), 0.1)
            try:
                return _Stream(self.inner.connect_tcp(address, port, timeout=rest), self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if address == found[:MOST_TRIED][-1]:
                    raise
        raise AddressError("The address leads nowhere.")


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float = 15,
    names: Resolve = resolve,
    inner: httpcore.NetworkBackend | None = None,
) -> Answer:
    """Send a POST and return the status of the answer. Raises AddressError or SendError, in words."""
    parts, started = checked_url(url), time.monotonic()
    backend = CheckedBackend(started + seconds, names, inner)
    sent = {"Host": parts.netloc, "Content-Length": str(len(body)), "Connection": "close", **headers}
    with httpcore.ConnectionPool(ssl_context=_trust(), network_backend=backend, max_connections=1) as pool:
        try:
            with pool.stream("POST", url.strip(), headers=list(sent.items()), content=body) as answer:
                return Answer(answer.status, round((time.monotonic() - started) * 1000))
        except httpcore.TimeoutException:
            raise SendError(f"No answer within {seconds:.0f} seconds.") from None
        except httpcore.ConnectError as error:
            reason = "Its certificate is not valid." if "CERTIFICATE" in str(error) else "Nobody answers there."
            raise SendError(f"No connection: {reason}") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, ssl.SSLError, OSError):
            raise SendError("The connection broke before an answer came.") from None


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()
