"""Why an event was rejected or put aside, in words, and what its sender can do about it."""

from typing import NamedTuple


class Reason(NamedTuple):
    """What happened, and what to do."""

    title: str
    advice: str


QUARANTINED = {
    "unknown_subject": Reason(
        "No account has this key",
        "Add an account whose key is the event’s subject, or correct the subject that you send. Then replay.",
    ),
    "unknown_type": Reason(
        "No meter reads this type",
        "Add a meter for the event’s type, or correct the type that you send. Then replay.",
    ),
}

_ATTRIBUTE = "Send a text of at most 256 characters without control characters or spaces around it."
_JSON = "Encode the body with a JSON library, as UTF-8, and send it whole."
_SIZE = "Send less at once: split the batch, or leave out what no meter reads."
REJECTED = {
    "payload_mismatch": Reason(
        "The same id came with other content",
        "The first event stands. Give every event an id of its own; to correct one, send consumption.replace.",
    ),
    "unknown_original": Reason(
        "A correction names an event that was never accepted",
        "Check data.id, data.source and subject: they are those of the event to correct, which must have come before.",
    ),
    "already_corrected": Reason(
        "A correction names an event that was corrected before",
        "Correct the event that replaced it; if it was voided and should count after all, send it under a new id.",
    ),
    "original_quarantined": Reason(
        "A correction names an event that waits in quarantine",
        "It costs nothing while it waits. Replay it first, then send the correction again.",
    ),
    "is_a_correction": Reason(
        "A correction names another correction", "To count the event again after all, send it under a new id."
    ),
    "invalid_correction": Reason(
        "A correction cannot be read",
        "Send data with id, source and reason; consumption.replace also has data, and time if it changes.",
    ),
    "invalid_quantity": Reason("The quantity is missing or no number", "Send the meter’s property as a JSON number."),
    "negative_quantity": Reason("The quantity is negative", "Send zero or more."),
    "quantity_scale": Reason(
        "The quantity has too many decimals", "Send at most 12 decimal places; nothing is rounded silently."
    ),
    "quantity_too_large": Reason("The quantity is too large", "Send at most 26 digits before the point."),
    "number_too_long": Reason("A number has too many characters", "Write numbers with at most 64 characters."),
    "time_too_old": Reason(
        "The event is too old for this key", "Use a key with the right to send old events, or correct the time."
    ),
    "time_in_future": Reason("The time lies in the future", "Check the sender’s clock; five minutes ahead is all."),
    "invalid_time": Reason("The time cannot be read", "Send RFC 3339 with an offset, such as 2026-03-01T09:30:00Z."),
    "invalid_id": Reason("The id is missing or malformed", _ATTRIBUTE),
    "invalid_source": Reason("The source is missing or malformed", _ATTRIBUTE),
    "invalid_type": Reason("The type is missing or malformed", _ATTRIBUTE),
    "invalid_subject": Reason("The subject is missing or malformed", _ATTRIBUTE),
    "invalid_data": Reason("The data is no JSON object", "Send data as an object, for example {\"quantity\": 1}."),
    "invalid_datacontenttype": Reason("The data is not JSON", "Leave datacontenttype out, or send application/json."),
    "too_many_keys": Reason("The data has too many keys", "Send at most 100 keys."),
    "unsupported_character": Reason(
        "A text has characters that cannot be stored", "Remove NUL characters and lone surrogates."
    ),
    "unsupported_specversion": Reason("This is no CloudEvent 1.0", "Send \"specversion\": \"1.0\" as a text."),
    "not_an_object": Reason("This is no event", "Every item of a batch is a JSON object."),
    "malformed_json": Reason("The body is not JSON", _JSON),
    "duplicate_key": Reason("A key stands twice in one object", _JSON),
    "json_nan": Reason("NaN and Infinity are not JSON", "Leave the property out when there is no number."),
    "json_too_deep": Reason("The body is nested too deeply", "Send flat data; 32 levels is the most."),
    "not_utf8": Reason("The body is not UTF-8", _JSON),
    "bad_gzip": Reason("The body is damaged or not gzip", "Compress the whole body once, or send it plain."),
    "empty_batch": Reason("The batch is empty", "Send at least one event."),
    "expected_array": Reason("A batch was announced, but none came", "Send an array, or another Content-Type."),
    "expected_object": Reason("One event was announced, but none came", "Send an object, or another Content-Type."),
    "body_too_large": Reason("The request is too large", _SIZE),
    "event_too_large": Reason("An event is too large", _SIZE),
    "too_many_events": Reason("The batch has too many events", "Send at most 1,000 events at once."),
    "unsupported_charset": Reason("The charset is not supported", _JSON),
    "unsupported_encoding": Reason("The encoding is not supported", "Send the body plain or as gzip."),
    "unsupported_media_type": Reason(
        "The media type is not supported", "Send application/cloudevents+json or application/cloudevents-batch+json."
    ),
}  # fmt: skip


def quarantine_reason(code: str) -> Reason:
    """Return why an event waits, and what frees it."""
    return QUARANTINED.get(code, rejection_reason(code))


def rejection_reason(code: str) -> Reason:
    """Return why an event was refused, and how to send it right."""
    unknown = Reason(code.replace("_", " ").capitalize(), "Correct the event and send it again.")
    return REJECTED.get(code, unknown)
