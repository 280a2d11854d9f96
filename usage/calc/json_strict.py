"""JSON exactly as RFC 8259 has it, and bounded: what Python's own parsers accept beyond that is refused by name.

Two roads with the same meaning. The fast one lets msgspec decode and proves from a few byte counts that nothing was
lost or hidden on the way. Whatever it cannot prove goes the slow road, which looks at every token and says what is
wrong. A property test holds the two together.
"""

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

from usage.calc import limits
from usage.calc.problems import Unreadable

_EXPONENT = 1000  # 1e400 is a number that is merely too large; an int() of 1e1000000 takes half a minute

_WHITESPACE = b" \t\r\n"
_SHAPE = bytes(byte if byte in b'":{[\\' else ord("0") if byte in b"0123456789-" else ord("x") for byte in range(256))
_LONG_RUN = b"0" * (limits.NUMBER_CHARS + 1)
_TROUBLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# A string that never ends is taken to the end of the text, or each quote in it would be tried again.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def load(body: bytes) -> tuple[Any, bool]:
    """The value, with every number exact (int or Decimal), and whether its strings are known to be storable.

    When the second is False some string may hold NUL or a lone surrogate. Raises Unreadable (400).
    """
    if not body.isascii():
        _check_utf8(body)
    shape = body.translate(_SHAPE, _WHITESPACE)
    if (b"\\" in shape and _TROUBLE.search(body)) or _LONG_RUN in shape:
        return _load_slowly(body), False
    try:
        value = _DECODER.decode(body)
    except (msgspec.MsgspecError, ArithmeticError, RecursionError, UnicodeDecodeError, Unreadable):
        return _load_slowly(body), False  # it says what exactly is wrong
    # A key's closing quote is followed by its colon. A quote inside a string can only add to that count, so when
    # the counts agree, no key was lost to a second one of the same name.
    if shape.count(b'":') != _count_keys(value, shape):
        return _load_slowly(body), False
    return value, True


def number(text: str) -> Decimal:
    """The exact value of a JSON number with a fraction or exponent. Raises Unreadable (400) for absurd lengths."""
    if len(text) > limits.NUMBER_CHARS:
        _too_long()
    exponent = text.lower().partition("e")[2]
    if exponent and (len(exponent) > 6 or abs(int(exponent)) > _EXPONENT):
        _too_long()
    return Decimal(text)


_DECODER = msgspec.json.Decoder(float_hook=number)


def _too_long() -> NoReturn:
    raise Unreadable(
        400,
        "number_too_long",
        f"A number may have {limits.NUMBER_CHARS} characters and an exponent up to {_EXPONENT}.",
    )


def _check_utf8(body: bytes) -> None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(400, "not_utf8", f"The body is not UTF-8 (byte {error.start}).") from error


def _count_keys(value: Any, shape: bytes) -> int:
    """How many keys were decoded. Flat events, the usual case, are counted without a walk."""
    events = value if type(value) is list else (value,)
    opened = shape.count(b"{") + shape.count(b"[")
    if opened == 2 * len(events) + (type(value) is list):
        try:
            return sum([len(event) + len(event["data"]) for event in events])
        except (TypeError, KeyError, IndexError):
            pass
    return _walk(value, 1)


def _walk(value: Any, depth: int) -> int:
    """Count the keys in a decoded value and refuse what is nested too deeply."""
    if type(value) is dict:
        _check_depth(depth)
        return len(value) + sum([_walk(part, depth + 1) for part in value.values() if type(part) in (dict, list)])
    if type(value) is list:
        _check_depth(depth)
        return sum([_walk(part, depth + 1) for part in value if type(part) in (dict, list)])
    return 0


def _check_depth(depth: int) -> None:
    if depth > limits.DEPTH:
        raise Unreadable(400, "json_too_deep", f"Objects and arrays may be nested {limits.DEPTH} deep.")


def _load_slowly(body: bytes) -> Any:
    text = body.decode("utf-8")
    _check_text_depth(text)
    try:
        return _STRICT.decode(text)
    except ValueError as error:
        raise Unreadable(400, "malformed_json", f"The body is not JSON: {error}.") from error
    except RecursionError as error:
        raise Unreadable(400, "json_too_deep", f"Nested deeper than {limits.DEPTH}.") from error


def _check_text_depth(text: str) -> None:
    """Strings are skipped, so brackets in them do not count. Works on text that is not JSON at all."""
    depth = 0
    for match in _TOKENS.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            _check_depth(depth)
        elif mark in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Unreadable(400, "duplicate_key", f"The key {twice[:100]!a} stands twice in one object.")
    return members


def _integer(text: str) -> int:
    if len(text) > limits.NUMBER_CHARS:
        _too_long()
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(400, "json_nan", f"{name} is not a number in JSON.")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=number, parse_int=_integer, parse_constant=_no_constant
)
