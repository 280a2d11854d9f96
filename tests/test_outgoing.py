"""Addresses that users typed: what is refused, and that the connection goes to a checked address. Nothing is sent."""

import time
from typing import Any

import httpcore
import pytest

from consumption_cs.lib.outgoing import (
    AddressError,
    CheckedBackend,
    SendError,
    check_addresses,
    check_reachable,
    checked_url,
    post,
)


@pytest.fixture(autouse=True)
def strict(settings: Any) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False


class Spy(httpcore.NetworkBackend):
    """Notes where a connection would go, and answers from memory."""

    def __init__(self, answer: bytes = b"") -> None:
        self.calls: list[tuple[str, int]] = []
        self.answer = answer

    def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        self.calls.append((host, port))
        return Wire(self)


class Wire(httpcore.NetworkStream):
    def __init__(self, spy: Spy) -> None:
        self.spy, self.left, self.sent = spy, spy.answer, b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data, self.left = self.left[:max_bytes], self.left[max_bytes:]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.sent += buffer

    def close(self) -> None: ...

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> "Wire":
        self.spy.calls.append((f"tls {server_hostname}", 0))
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.1.1", "172.31.9.9", "192.168.1.1", "192.0.0.8", "0.0.0.0",  # noqa: S104
        "198.18.0.1", "203.0.113.7", "224.0.0.1", "239.255.255.250", "255.255.255.255", "168.63.129.16",
        "192.88.99.1", "::1", "::", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001::1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "100::1", "2001:db8::1",
        "5f00::1",
    ],
)  # fmt: skip
def test_private_and_reserved_addresses_are_refused(address: str) -> None:
    with pytest.raises(AddressError):
        check_addresses(["93.184.216.34", address])  # one bad one among good ones is enough


def test_open_addresses_are_taken() -> None:
    assert check_addresses(["93.184.216.34", "2606:2800:220:1::1"])


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "https://example.com:22/", "https://example.com:80/", "https://user:pw@example.com/",
        "https://example.com/#part", "ftp://example.com/", "https:///x", "example.com", "https://exa mple.com/",
        "https://example.com/\r\nX: y", "https://10.0.0.1/", "https://[::1]/", "https://2130706433/",
        "https://0x7f000001/", "https://127.1/", "http://localhost/", "https://ex\u00e4mple.com/",
        "https://example.com:x/",
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_right_are_refused_as_text(url: str) -> None:
    with pytest.raises(AddressError):
        checked_url(url)


def test_a_name_that_leads_inside_is_refused_when_it_is_saved() -> None:
    with pytest.raises(AddressError, match="private or reserved"):
        check_reachable("https://example.com/", lambda host, port: ["93.184.216.34", "10.0.0.7"])


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked() -> None:
    asked: list[str] = []

    def names(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["10.0.0.7"]  # changes its mind

    spy = Spy(b"HTTP/1.1 302 Found\r\nLocation: https://10.0.0.7/\r\nContent-Length: 0\r\n\r\n")
    assert post("https://example.com/hook", b"{}", {}, 5, names, spy).status == 302  # and is not followed
    assert asked == ["example.com"]
    assert spy.calls == [("93.184.216.34", 443), ("tls example.com", 0)]


def test_a_name_that_leads_inside_when_it_is_sent_is_never_connected_to() -> None:
    spy = Spy()
    with pytest.raises(AddressError):
        post("https://example.com/hook", b"{}", {}, 5, lambda host, port: ["169.254.169.254"], spy)
    assert spy.calls == []


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    spy = Spy(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000)
    with pytest.raises(SendError):
        post("https://example.com/hook", b"{}", {}, 5, lambda host, port: ["93.184.216.34"], spy)


def test_all_steps_end_at_one_deadline() -> None:
    backend = CheckedBackend(
        time.monotonic() - 1, lambda host, port: ["93.184.216.34"], Spy(b"HTTP/1.1 200 OK\r\n\r\n")
    )
    with pytest.raises(httpcore.ReadTimeout):
        backend.connect_tcp("example.com", 443).read(10)


def test_this_machine_is_reached_for_tries_only(settings: Any) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    assert checked_url("http://127.0.0.1:9000/hook").port == 9000
    assert check_addresses(["127.0.0.1"])
    with pytest.raises(AddressError):
        check_addresses(["10.0.0.1"])
