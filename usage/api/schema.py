"""The ingest endpoint in the OpenAPI document: it is a plain view, which the generator does not see."""

from typing import Any

from usage.calc import corrections, limits
from usage.calc.media import BATCH, PLAIN, SINGLE

PATH = "/api/v1/events"

Json = dict[str, Any]

_TEXT: Json = {"type": "string", "minLength": 1, "maxLength": limits.ATTRIBUTE_CHARS}
_EVENT: Json = {
    "type": "object",
    "description": "A CloudEvent 1.0. Further attributes are kept as extensions.",
    "required": ["specversion", "id", "source", "type", "subject", "data"],
    "properties": {
        "specversion": {"type": "string", "const": "1.0"},
        "id": _TEXT | {"description": "With source it names the event for ever: sent again, it counts once."},
        "source": _TEXT,
        "type": _TEXT | {"description": "The meter's event type."},
        "subject": _TEXT | {"description": "The account's key."},
        "time": {"type": ["string", "null"], "format": "date-time", "description": "Default: when it is received."},
        "datacontenttype": {"type": ["string", "null"]},
        "data": {
            "type": "object",
            "maxProperties": limits.DATA_KEYS,
            "description": "What meters read: quantity, workflow, outcome, success, attempt, environment. For "
            "reliability and waste also error (a text, or an object with code), status or status_code, fault (vendor "
            "or customer; a status of 500 and more is the vendor's where nothing is said) and input_hash (equal "
            "hashes are the same work again). Events of the types consumption.void and consumption.replace have "
            "VoidData or ReplaceData instead.",
        },
    },
    "example": {
        "specversion": "1.0",
        "id": "call-7f3a",
        "source": "/prod/api",
        "type": "api.call",
        "subject": "northwind",
        "time": "2026-03-01T09:30:00Z",
        "data": {"quantity": 1, "workflow": "invoice-ocr", "success": True},
    },
}
_CORRECTED: Json = {
    "id": _TEXT | {"description": "The id of the event to correct."},
    "source": _TEXT | {"description": "Its source. Default: this event's source."},
    "reason": {
        "type": "string",
        "maxLength": corrections.REASON_CHARS,
        "description": "Why: shown with the event, and with the money that changes.",
    },
}
_VOID: Json = {
    "type": "object",
    "description": "The data of an event of the type consumption.void: the event it names no longer counts. It is not "
    "deleted: an event beside it takes back what it counted, on the day on which it counted. The subject is the "
    "event's account.",
    "required": ["id"],
    "properties": _CORRECTED,
    "additionalProperties": False,
    "example": {"id": "call-7f3a", "source": "/prod/api", "reason": "Sent twice under different ids"},
}
_REPLACE: Json = {
    "type": "object",
    "description": "The data of an event of the type consumption.replace: what stands in data counts instead of the "
    "event it names, read by the same meter. To correct it once more, name this event.",
    "required": ["id", "data"],
    "properties": {
        **_CORRECTED,
        "data": {
            "type": "object",
            "maxProperties": limits.DATA_KEYS,
            "description": "The whole data of the event as it should have been.",
        },
        "time": {"type": ["string", "null"], "format": "date-time", "description": "Default: the event's own time."},
    },
    "additionalProperties": False,
    "example": {"id": "call-7f3a", "reason": "Counted pages twice", "data": {"quantity": 1, "workflow": "ocr"}},
}
_EVENTS: Json = {
    "type": "array",
    "minItems": 1,
    "maxItems": limits.BATCH_EVENTS,
    "items": {"$ref": "#/components/schemas/UsageEvent"},
}
_COUNT: Json = {"type": "integer", "minimum": 0}
_RESULTS: Json = {
    "type": "object",
    "required": ["accepted", "duplicate", "quarantined", "rejected", "results"],
    "properties": {
        "accepted": _COUNT,
        "duplicate": _COUNT,
        "quarantined": _COUNT,
        "rejected": _COUNT,
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "status"],
                "properties": {
                    "index": _COUNT,
                    "status": {"enum": ["accepted", "duplicate", "quarantined", "rejected"]},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "pointer": {"type": "string"},
                    "payload_mismatch": {"type": "boolean"},
                },
            },
        },
    },
}
_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_ANSWERS = {
    "202": "Stored. Nothing was rejected: each event was accepted, a duplicate, or quarantined.",
    "200": "Some events of the batch were rejected and the others stored; see results.",
}
_PROBLEMS = {
    "400": "Not readable as events.",
    "401": "No valid key.",
    "403": "The key lacks the scope events:write.",
    "405": "Only POST.",
    "413": "The body, the batch or the event is too large.",
    "415": "The media type, charset or encoding is not offered.",
    "422": "Every event was rejected; see results.",
    "429": "Too many events; see Retry-After.",
    "503": "The database is not available; see Retry-After. Trying again is safe.",
}


def describe_ingest(result: Json, **_: Any) -> Json:
    """A postprocessing hook of drf-spectacular that adds the endpoint and its schemas."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"VoidData": _VOID, "ReplaceData": _REPLACE}
    schemas |= {"UsageEvent": _EVENT, "IngestResults": _RESULTS, "Problem": _PROBLEM}
    one = {"$ref": "#/components/schemas/UsageEvent"}
    answers = {status: _answer(text, PLAIN, "IngestResults") for status, text in _ANSWERS.items()}
    problems = {status: _answer(text, "application/problem+json", "Problem") for status, text in _PROBLEMS.items()}
    operation = {
        "operationId": "events_create",
        "summary": "Send usage events",
        "description": "CloudEvents as JSON: one, a batch, or binary mode with ce- headers; gzip if you like. "
        "A full retry is always safe.\n\n"
        "To correct an event, send another: the type consumption.void takes back the event that its data names "
        "(see VoidData), consumption.replace puts another in its place (see ReplaceData). Nothing that was accepted "
        "is edited or deleted. In a batch a correction applies to what stands before it. One that cannot be done is "
        "rejected and changes nothing: unknown_original, already_corrected, original_quarantined, is_a_correction, "
        "invalid_correction, or time_too_old when the event is older than this key may send.",
        "tags": ["events"],
        "security": [{"ApiKeyAuth": []}],
        "requestBody": {
            "required": True,
            "content": {
                SINGLE: {"schema": one},
                BATCH: {"schema": _EVENTS},
                PLAIN: {"schema": {"oneOf": [one, _EVENTS]}},
            },
        },
        "responses": answers | problems,
    }
    security = result["components"].setdefault("securitySchemes", {})
    security.setdefault("ApiKeyAuth", {"type": "http", "scheme": "bearer"})
    result.setdefault("paths", {})[PATH] = {"post": operation}
    return result


def _answer(text: str, media_type: str, schema: str) -> Json:
    return {
        "description": text,
        "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
