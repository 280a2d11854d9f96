"""One CloudEvent 1.0 from its decoded JSON: either an `Event` ready to be stored, or the `Problem` with it."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from usage.calc import limits
from usage.calc.media import is_json_type
from usage.calc.problems import Problem, excerpt_of
from usage.calc.times import read_time

NAMES = ("source", "type", "subject")
_KNOWN = frozenset({"specversion", "id", "source", "type", "subject", "time", "data", "datacontenttype"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")

canonical_json = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Event(msgspec.Struct):
    """A valid event. `time` is UTC, or None when the sender gave none; `extensions` are kept, not billed."""

    index: int
    id: str
    source: str
    type: str
    subject: str
    time: datetime | None
    data: dict[str, Any]
    extensions: dict[str, Any] | None = None


class Window(msgspec.Struct, frozen=True):
    """The times that are taken: from `earliest` to `latest`, both included."""

    earliest: datetime
    latest: datetime

    @classmethod
    def around(cls, now: datetime, floor: datetime | None = None) -> "Window":
        """The usual window; with a `floor` (a key that may backfill) everything since then."""
        earliest = floor or now - timedelta(seconds=limits.PAST_SECONDS)
        return cls(earliest, now + timedelta(seconds=limits.FUTURE_SECONDS))


class _Bad(Exception):
    def __init__(self, code: str, detail: str, pointer: str) -> None:
        super().__init__(detail)
        self.code, self.detail, self.pointer = code, detail, pointer


class EventReader:
    """Reads the events of one request; remembers names and times already checked, for batches repeat them."""

    def __init__(self, window: Window, *, clean: bool) -> None:
        self.window = window
        self._clean = clean
        self._names: set[str] = set()
        self._times: dict[str, datetime] = {}

    def read(self, item: Any, index: int) -> Event | Problem:
        """The event in a decoded item, or the first thing that is wrong with it."""
        try:
            return self._read(item, index)
        except _Bad as bad:
            return Problem(index, bad.code, bad.detail, bad.pointer, excerpt_of(_shown(item)))

    def saw_none_of(self, names: Collection[str]) -> bool:
        """Whether no event read so far had one of these as source, type or subject."""
        return self._names.isdisjoint(names)

    def _read(self, item: Any, index: int) -> Event:
        if type(item) is not dict:
            raise _Bad("not_an_object", "An event is a JSON object.", "")
        if not self._clean:
            _check_storable(item, "")
        if item.get("specversion") != "1.0":
            raise _Bad("unsupported_specversion", 'specversion must be the text "1.0".', "/specversion")
        event_id: Any = item.get("id")
        if not _is_plain(event_id):
            _check_name(event_id, "id")
        self._check_names(item)
        time = item.get("time")
        instant = None if time is None else self._times.get(time) if type(time) is str else None
        if instant is None and time is not None:
            instant = self._time(time)
        data: Any = item.get("data")
        # Seven members that were all asked for leave no room for an extension.
        extensions = None if len(item) == 7 and time is not None and data is not None else _extensions(item)
        if type(data) is not dict or len(data) > limits.DATA_KEYS:
            _refuse_data(item)
        return Event(index, event_id, item["source"], item["type"], item["subject"], instant, data, extensions)

    def _check_names(self, item: dict[str, Any]) -> None:
        """Batches repeat these three, so those that passed are remembered."""
        for attribute in NAMES:
            name = item.get(attribute)
            if type(name) is not str or name not in self._names:
                _check_name(name, attribute)
                self._names.add(name)  # type: ignore[arg-type]

    def _time(self, text: object) -> datetime:
        try:
            instant = read_time(text)
        except ValueError as error:
            raise _Bad("invalid_time", f"time: {error}.", "/time") from error
        if instant < self.window.earliest:
            detail = (
                f"With this key, time must not be before {self.window.earliest:%Y-%m-%d %H:%M} UTC; "
                "a key with the scope events:backfill may send older events."
            )
            raise _Bad("time_too_old", detail, "/time")
        if instant > self.window.latest:
            raise _Bad("time_in_future", f"time may be {limits.FUTURE_SECONDS} s ahead at most.", "/time")
        self._times[text] = instant  # type: ignore[index]
        return instant


def _is_plain(event_id: object) -> bool:
    """Whether an id has only visible ASCII and a fair length: nearly all do, the rest is looked at closely."""
    return (
        type(event_id) is str
        and 0 < len(event_id) <= limits.ATTRIBUTE_CHARS
        and event_id.isascii()
        and event_id.isprintable()
        and " " not in event_id
    )


def _check_name(value: object, attribute: str) -> None:
    if type(value) is not str or not value:
        raise _Bad(f"invalid_{attribute}", f"{attribute} must be a text that is not empty.", f"/{attribute}")
    if len(value) > limits.ATTRIBUTE_CHARS:
        raise _Bad(
            f"invalid_{attribute}", f"{attribute} may have {limits.ATTRIBUTE_CHARS} characters.", f"/{attribute}"
        )
    if value != value.strip() or _CONTROL.search(value):
        raise _Bad(
            f"invalid_{attribute}",
            f"{attribute} must not have control characters, nor spaces around it.",
            f"/{attribute}",
        )


def _extensions(item: dict[str, Any]) -> dict[str, Any] | None:
    content_type = item.get("datacontenttype")
    if content_type is not None and not (type(content_type) is str and is_json_type(content_type)):
        raise _Bad("invalid_datacontenttype", "datacontenttype must be JSON.", "/datacontenttype")
    if item.get("data_base64") is not None:
        raise _Bad("invalid_data", "data must be a JSON object, not data_base64.", "/data_base64")
    return {name: value for name, value in item.items() if name not in _KNOWN and value is not None} or None


def _refuse_data(item: dict[str, Any]) -> None:
    if type(item.get("data")) is dict:
        raise _Bad("too_many_keys", f"data may have {limits.DATA_KEYS} keys.", "/data")
    raise _Bad("invalid_data", "data must be a JSON object.", "/data")


def _check_storable(value: Any, pointer: str) -> None:
    for text, where in _texts(value, pointer):
        if _NOT_STORABLE.search(text):
            raise _Bad("unsupported_character", "NUL and lone surrogates cannot be stored.", excerpt_of(where))


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if type(value) is str:
        yield value, pointer
    elif type(value) is dict:
        for key, part in value.items():
            yield key, pointer
            yield from _texts(part, f"{pointer}/{key}")
    elif type(value) is list:
        for number, part in enumerate(value):
            yield from _texts(part, f"{pointer}/{number}")


def _shown(item: Any) -> str:
    """Something of the item to show to the sender; it may hold what JSON encoders refuse."""
    try:
        return canonical_json(item).decode("utf-8")
    except (ValueError, TypeError, msgspec.MsgspecError):
        return ascii(item)
