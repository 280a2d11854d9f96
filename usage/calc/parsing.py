"""A request for events, as bytes and headers, read into events and problems. Pure: no clock, no database."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from usage.calc import limits
from usage.calc.cloudevents import Event, EventReader, Window
from usage.calc.corrections import TYPES, CorrectionEvent, read_correction
from usage.calc.json_strict import load
from usage.calc.media import Layout, attributes_of, layout_of, plain_bytes
from usage.calc.problems import Problem, Unreadable, excerpt_of

Item = Event | CorrectionEvent | Problem


_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def parse_request(body: bytes, headers: dict[str, str], window: Window) -> list[Item]:
    """The events of a request in their order, each an Event, a CorrectionEvent or the Problem with it.

    `headers` have lower-case names. Raises Unreadable when no event can be told apart, with the status to answer.
    """
    content_type = headers.get("content-type", "")
    attributes = frozenset(name for name in headers if name.startswith("ce-"))
    if not (body or content_type or attributes):
        raise Unreadable(400, "malformed_json", "The request has no body.")
    layout = layout_of(content_type, attributes)
    text = plain_bytes(body, headers.get("content-encoding", ""))
    if layout is Layout.BINARY:
        return _parse_binary(text, headers, window)
    value, clean = load(text)
    if type(value) is list and layout is not Layout.SINGLE:
        return _parse_batch(text, value, EventReader(window, clean=clean))
    if type(value) is not dict or layout is Layout.BATCH:
        raise _wrong_top(layout)
    _check_single_size(text)
    return _read_all([value], EventReader(window, clean=clean))


def parse_items(items: list[Any], window: Window) -> list[Item]:
    """Events from decoded items that another dialect translated: the same checks of meaning.

    A Problem that the translation found stands for its item.
    """
    check_count(len(items))
    return _read_all(items, EventReader(window, clean=False))


def _read_all(items: list[Any], reader: EventReader) -> list[Item]:
    read = reader.read
    parsed: list[Item] = [item if type(item) is Problem else read(item, index) for index, item in enumerate(items)]
    if reader.saw_none_of(TYPES):
        return parsed
    return [
        read_correction(item, reader.window) if type(item) is Event and item.type in TYPES else item for item in parsed
    ]


def check_count(count: int) -> None:
    """Raise Unreadable unless a batch has 1 to 1,000 events."""
    if count == 0:
        raise Unreadable(400, "empty_batch", "A batch needs at least one event.")
    if count > limits.BATCH_EVENTS:
        raise Unreadable(413, "too_many_events", f"A batch may have {limits.BATCH_EVENTS} events, not {count}.")


def _parse_binary(text: bytes, headers: dict[str, str], window: Window) -> list[Item]:
    _check_single_size(text)
    attributes = attributes_of(headers)
    attributes.pop("datacontenttype", None)  # in this mode the Content-Type says it
    clean = False  # header values were not seen by the JSON reader
    if text:
        attributes["data"], _ = load(text)
    else:
        attributes.pop("data", None)
    return _read_all([attributes], EventReader(window, clean=clean))


def _parse_batch(text: bytes, items: list[Any], reader: EventReader) -> list[Item]:
    check_count(len(items))
    parsed = _read_all(items, reader)
    if len(text) > limits.EVENT_BYTES:
        _refuse_large(parsed, _sizes(text, items), items)
    return parsed


def _refuse_large(parsed: list[Item], sizes: Iterable[int], items: list[Any]) -> None:
    for index, size in enumerate(sizes):
        if size > limits.EVENT_BYTES:
            detail = f"An event may have {limits.EVENT_BYTES} bytes, not {size}."
            parsed[index] = Problem(
                index, "event_too_large", detail, "", excerpt_of(json.dumps(items[index], default=str))
            )


def _sizes(text: bytes, items: list[Any]) -> list[int]:
    """How many bytes each item of the batch has as it was sent."""
    try:
        return [len(memoryview(raw)) for raw in _raw_items(text)]
    except msgspec.MsgspecError:  # a lone surrogate somewhere, which only the strict reader gets past
        return [len(json.dumps(item, ensure_ascii=False, default=str)) for item in items]


def _check_single_size(text: bytes) -> None:
    if len(text) > limits.EVENT_BYTES:
        raise Unreadable(413, "event_too_large", f"An event may have {limits.EVENT_BYTES} bytes, not {len(text)}.")


def _wrong_top(layout: Layout) -> Unreadable:
    if layout is Layout.BATCH:
        return Unreadable(400, "expected_array", "The body of this media type is an array of events.")
    return Unreadable(400, "expected_object", "The body is not an event, which is a JSON object.")
