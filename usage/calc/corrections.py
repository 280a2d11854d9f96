"""Events that take back (`consumption.void`) or replace (`consumption.replace`) another one. Pure.

What was accepted is never edited: a correction adds an event that counts against the original and, to replace it,
one that counts instead.
"""

import re
from datetime import datetime
from typing import Any

import msgspec

from usage.calc import limits
from usage.calc.cloudevents import Event, Window, canonical_json
from usage.calc.problems import Problem, excerpt_of
from usage.calc.quantities import Quantity
from usage.calc.sums import Counted, ZoneOf, batch_sums
from usage.calc.times import read_time

OWN_TYPES = "consumption."  # no meter reads a type that starts so
VOID = "consumption.void"
REPLACE = "consumption.replace"
TYPES = {VOID: "void", REPLACE: "replace"}
DONE = {"void": "voided", "replace": "replaced"}
REASON_CHARS = 500

_MEMBERS = {VOID: ("id", "source", "reason"), REPLACE: ("id", "source", "reason", "data", "time")}
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class CorrectionEvent(msgspec.Struct):
    """A correction as it was sent. `kind` is "void" or "replace"; `data` and `time` are the replacement's.

    `earliest` is the oldest original that its sender may correct.
    """

    event: Event
    kind: str
    original_id: str
    original_source: str
    reason: str
    earliest: datetime
    data: dict[str, Any] | None = None
    time: datetime | None = None

    @property
    def index(self) -> int:
        """Its place in the request."""
        return self.event.index

    @property
    def type(self) -> str:
        """The event's type, one of TYPES."""
        return self.event.type

    @property
    def subject(self) -> str:
        """The key of the account whose event it corrects."""
        return self.event.subject

    @property
    def words(self) -> str:
        """What it did and why, for whoever asks why the money changed."""
        return f"Event {self.original_id} was {DONE[self.kind]}" + (f": {self.reason}" if self.reason else "")


class _Bad(Exception):
    def __init__(self, code: str, detail: str, pointer: str) -> None:
        super().__init__(detail)
        self.code, self.detail, self.pointer = code, detail, pointer


def read_correction(event: Event, window: Window) -> CorrectionEvent | Problem:
    """The correction in an event of one of the TYPES, or the first thing that is wrong with it."""
    try:
        return _read(event, window)
    except _Bad as bad:
        return Problem(event.index, bad.code, bad.detail, bad.pointer, excerpt_of(canonical_json(event.data)))


def _read(event: Event, window: Window) -> CorrectionEvent:
    given, allowed = event.data, _MEMBERS[event.type]
    strange = next((name for name in given if name not in allowed), None)
    if strange is not None:
        detail = f"data of {event.type} has {', '.join(allowed)} and nothing else."
        raise _Bad("invalid_correction", detail, f"/data/{strange}")
    correction = CorrectionEvent(
        event,
        TYPES[event.type],
        _name(given.get("id"), "id", "the id of the event to correct"),
        event.source if given.get("source") is None else _name(given["source"], "source", "its source"),
        _reason(given.get("reason")),
        window.earliest,
    )
    if event.type == REPLACE:
        correction.data = _properties(given.get("data"))
        correction.time = None if given.get("time") is None else _time(given["time"], window)
    return correction


def _name(value: object, member: str, what: str) -> str:
    if type(value) is not str or not 0 < len(value) <= limits.ATTRIBUTE_CHARS:
        detail = f"data.{member} must be {what}: a text of 1 to {limits.ATTRIBUTE_CHARS} characters."
        raise _Bad("invalid_correction", detail, f"/data/{member}")
    if value != value.strip() or _CONTROL.search(value):
        detail = f"data.{member} must not have control characters, nor spaces around it; no event has such a name."
        raise _Bad("invalid_correction", detail, f"/data/{member}")
    return value


def _reason(value: object) -> str:
    """On one line, for it is shown beside the money that it changed."""
    if value is None:
        return ""
    if type(value) is not str or len(value) > REASON_CHARS:
        detail = f"data.reason must be a text of at most {REASON_CHARS} characters."
        raise _Bad("invalid_correction", detail, "/data/reason")
    return _SPACE.sub(" ", value).strip()


def _properties(value: object) -> dict[str, Any]:
    if type(value) is not dict:
        detail = "data.data must be a JSON object: the whole data of the event as it should have been."
        raise _Bad("invalid_correction", detail, "/data/data")
    if len(value) > limits.DATA_KEYS:
        raise _Bad("too_many_keys", f"data.data may have {limits.DATA_KEYS} keys.", "/data/data")
    return value


def _time(value: object, window: Window) -> datetime:
    try:
        instant = read_time(value)
    except ValueError as error:
        raise _Bad("invalid_time", f"data.time: {error}.", "/data/time") from error
    if instant < window.earliest:
        raise _Bad("time_too_old", f"data.time {too_old(window.earliest)}", "/data/time")
    if instant > window.latest:
        raise _Bad("time_in_future", f"data.time may be {limits.FUTURE_SECONDS} s ahead at most.", "/data/time")
    return instant


def too_old(earliest: datetime) -> str:
    """How a sentence ends that says that something lies before what a key may send."""
    return (
        f"must not be before {earliest:%Y-%m-%d %H:%M} UTC with this key; "
        "a key with the scope events:backfill may correct older events."
    )


def against(original: Counted) -> Counted:
    """What the reversal of an event says: the same, and the quantity and the outcomes negative. Exact."""
    reading = original.reading
    return msgspec.structs.replace(
        original,
        reading=msgspec.structs.replace(
            reading,
            quantity=_minus(reading.quantity),
            outcomes=None if reading.outcomes is None else _minus(reading.outcomes),
        ),
    )


def sums_against(original: Counted, zone_of: ZoneOf, reason: str) -> list[dict[str, Any]]:
    """What the reversal of an event adds to the roll-ups (see `batch_sums`): what the event added, negative.

    A greatest, latest or different value cannot be subtracted: `x` asks the tick to read it from the events anew.
    `r` is the reason, to be shown with the money that changes.
    """
    sums = batch_sums([original] if original.reading.counted else [], zone_of)
    for part in sums:
        for name in ("n", "f", "s"):
            part[name] = -part[name]
        part["o"] = _minus_text(part["o"])
        if original.aggregation in ("sum", "count"):
            part["q"] = _minus_text(part["q"])
        else:
            part.pop("u", None)
            part.pop("lt", None)
            part |= {"q": "0", "x": True}
        part["r"] = reason
    return sums


def sums_instead(replacement: Counted, zone_of: ZoneOf, reason: str) -> list[dict[str, Any]]:
    """What an event adds to the roll-ups that stands for another one."""
    sums = batch_sums([replacement] if replacement.reading.counted else [], zone_of)
    return [part | {"r": reason} for part in sums]


def _minus(number: Quantity) -> Quantity:
    return -number if type(number) is int else number.copy_negate()  # type: ignore[union-attr]


def _minus_text(number: str) -> str:
    """A negative number as text; its sign alone changes, so that no digit can be lost."""
    return number if number == "0" else number[1:] if number.startswith("-") else f"-{number}"
