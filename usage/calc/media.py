"""From headers and wire bytes to JSON bytes: media types, charsets, gzip, and how the event lies in the request."""

import zlib
from enum import Enum
from urllib.parse import unquote_to_bytes

from usage.calc import limits
from usage.calc.problems import Unreadable

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PLAIN = "application/json"
OFFERED = (SINGLE, BATCH, PLAIN)

_BINARY_MARKS = frozenset({"ce-specversion", "ce-id", "ce-source", "ce-type"})
_GZIP_MAGIC = b"\x1f\x8b"
_BOTH_HEADERS = 31  # zlib: expect a gzip header and check its CRC at the end


class Layout(Enum):
    """Where the events of a request are."""

    SINGLE = "one event is the body"
    BATCH = "the body is an array of events"
    EITHER = "plain JSON: one event or an array"
    BINARY = "attributes in ce- headers, the body is the data"


def layout_of(content_type: str, header_names: frozenset[str]) -> Layout:
    """How to read a body sent with this Content-Type ("" for none) beside headers of these lower-case names.

    Raises Unreadable (415) for media types and charsets that are not offered.
    """
    media_type, charset = _split(content_type)
    if charset not in ("", "utf-8", "utf8"):
        raise Unreadable(415, "unsupported_charset", f"The charset must be utf-8, not {charset!r}.")
    if media_type == SINGLE:
        return Layout.SINGLE
    if media_type == BATCH:
        return Layout.BATCH
    # The official SDK sends binary mode without a Content-Type; the data is JSON all the same.
    if header_names & _BINARY_MARKS and (media_type in ("", PLAIN) or _is_json_suffix(media_type)):
        return Layout.BINARY
    if media_type == PLAIN:
        return Layout.EITHER
    offered = ", ".join(OFFERED)
    raise Unreadable(415, "unsupported_media_type", f"Send one of {offered}; not {media_type or 'no media type'!r}.")


def is_json_type(content_type: str) -> bool:
    """Whether a `datacontenttype` says JSON in UTF-8."""
    media_type, charset = _split(content_type)
    return (media_type == PLAIN or _is_json_suffix(media_type)) and charset in ("", "utf-8", "utf8")


def _is_json_suffix(media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    return bool(kind) and subtype.endswith("+json") and not subtype.startswith("cloudevents") and "," not in subtype


def _split(content_type: str) -> tuple[str, str]:
    media_type, *parameters = content_type.split(";")
    charset = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower() or "(empty)"
    return media_type.strip().lower(), charset


def plain_bytes(body: bytes, content_encoding: str) -> bytes:
    """The body as the client wrote it before compressing.

    Raises Unreadable: 413 above the body's limit (also once unpacked), 415 for other encodings, 400 for bad gzip.
    """
    check_length(len(body))
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding in ("gzip", "x-gzip"):
        return _gunzip(body)
    raise Unreadable(415, "unsupported_encoding", f"Content-Encoding may be gzip or absent, not {encoding!r}.")


def check_length(length: int) -> None:
    """Raise Unreadable (413) when a body of this many bytes is too large."""
    if length > limits.BODY_BYTES:
        raise Unreadable(413, "body_too_large", f"The body may have {limits.BODY_BYTES} bytes, also once unpacked.")


def _gunzip(body: bytes) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:  # a gzip file may be several members in a row; each turn consumes at least a header
        unpack = zlib.decompressobj(_BOTH_HEADERS)
        try:
            part = unpack.decompress(body, limits.BODY_BYTES + 1 - size)
        except zlib.error as error:
            raise Unreadable(400, "bad_gzip", "The body is not gzip, or is damaged.") from error
        size += len(part)
        check_length(size)
        parts.append(part)
        if not unpack.eof:
            raise Unreadable(400, "bad_gzip", "The gzip body ends too early.")
        body = unpack.unused_data
        if not body:
            return b"".join(parts)
        if not body.startswith(_GZIP_MAGIC):
            raise Unreadable(400, "bad_gzip", "Something follows the gzip body.")


def attributes_of(headers: dict[str, str]) -> dict[str, object]:
    """The event's attributes in binary mode, from lower-case header names; values are percent-encoded UTF-8."""
    return {name[3:]: _header_text(value) for name, value in headers.items() if name.startswith("ce-")}


def _header_text(value: str) -> str:
    raw = unquote_to_bytes(value.encode("latin-1", "replace"))
    # What is not UTF-8 becomes lone surrogates, which the check of each event then rejects by name.
    return raw.decode("utf-8", "surrogateescape")
