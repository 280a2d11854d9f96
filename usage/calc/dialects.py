"""Requests in the shapes of other products, translated to CloudEvents, so that a vendor changes only a base URL."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from usage.calc.cloudevents import Window
from usage.calc.json_strict import load
from usage.calc.media import plain_bytes
from usage.calc.parsing import Item, parse_items
from usage.calc.problems import Problem, Unreadable

LAGO_SOURCE = "lago"
SEGMENT_SOURCE = "segment"

_EPOCH = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


def parse_lago(body: bytes, encoding: str, window: Window, *, member: str) -> tuple[list[Item], list[Any]]:
    """The events in `{"event": {…}}` or `{"events": […]}`, and the objects as sent, for the answer.

    Raises Unreadable when the body is not of that shape.
    """
    sent = _member(body, encoding, member)
    if member == "event":
        sent = [sent]
    elif type(sent) is not list:
        raise Unreadable(400, "expected_array", f"“{member}” must be an array.")
    return parse_items([_from_lago(event) for event in sent], window), sent


def parse_segment(body: bytes, encoding: str, window: Window) -> list[Item]:
    """The track calls in `{"batch": […]}`; calls of other kinds carry no usage and are rejected by name.

    Raises Unreadable when the body is not of that shape.
    """
    sent = _member(body, encoding, "batch")
    if type(sent) is not list:
        raise Unreadable(400, "expected_array", "“batch” must be an array.")
    return parse_items([_from_segment(call, index) for index, call in enumerate(sent)], window)


def _member(body: bytes, encoding: str, name: str) -> Any:
    value, _ = load(plain_bytes(body, encoding))
    if type(value) is not dict or name not in value:
        raise Unreadable(400, "expected_object", f"The body must be an object with “{name}”.")
    return value[name]


def _from_lago(event: Any) -> Any:
    if type(event) is not dict:
        return event
    return {
        "specversion": "1.0",
        "id": event.get("transaction_id"),
        "source": LAGO_SOURCE,
        "type": event.get("code"),
        "subject": event.get("external_subscription_id") or event.get("external_customer_id"),
        "time": _time_of(event.get("timestamp")),
        "data": event.get("properties") or {},
    }


def _time_of(timestamp: Any) -> Any:
    """Seconds since 1970, as a number or a text, as RFC 3339; anything else is left to the usual check."""
    if type(timestamp) not in (str, int, Decimal) or not _EPOCH.fullmatch(str(timestamp)):
        return timestamp
    seconds = Decimal(str(timestamp))
    try:
        whole = datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        return timestamp
    return whole.replace(microsecond=int(seconds % 1 * 1_000_000)).isoformat()


def _from_segment(call: Any, index: int) -> Any:
    if type(call) is not dict:
        return call
    if call.get("type") != "track":
        return Problem(index, "unsupported_call", "Only track calls carry usage.", "/type")
    return {
        "specversion": "1.0",
        "id": call.get("messageId"),
        "source": SEGMENT_SOURCE,
        "type": call.get("event"),
        "subject": call.get("userId") or call.get("anonymousId"),
        "time": call.get("timestamp") or call.get("originalTimestamp"),
        "data": call.get("properties") or {},
    }
