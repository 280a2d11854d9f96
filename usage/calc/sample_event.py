"""An event that a meter would count, and the command that sends it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_NOW = "@now@"  # replaced by the shell, so that every run of the command sends an event of its own


def sample_data(
    aggregation: str,
    value_property: str,
    workflow_property: str,
    success_property: str,
    outcome_property: str,
    filters: Mapping[str, Sequence[Any]],
    dimensions: Sequence[str],
) -> dict[str, Any]:
    """Return `data` with everything that a meter of this kind reads and lets through."""
    data: dict[str, Any] = {}
    if aggregation == "unique":
        data[value_property] = "user-42"
    elif aggregation != "count":
        data[value_property] = 1
    data |= {workflow_property: "invoice-ocr", success_property: True, outcome_property: 1}
    data |= {name: "example" for name in dimensions if name not in data}
    return data | {name: values[0] for name, values in filters.items() if values}


def sample_event(event_type: str, subject: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a CloudEvent 1.0 without a time, which means "now"."""
    return {
        "specversion": "1.0",
        "id": f"try-{_NOW}",
        "source": "https://example.com/billing",
        "type": event_type,
        "subject": subject,
        "data": dict(data),
    }


def as_json(event: Mapping[str, Any]) -> str:
    """Return the event as people read it."""
    return json.dumps(event, indent=2, ensure_ascii=False).replace(_NOW, "1")


def as_curl(url: str, key: str, event: Mapping[str, Any]) -> str:
    """Return a shell command that sends the event; its id is new each time the command runs."""
    body = json.dumps(event, ensure_ascii=False).replace("'", "'\\''").replace(_NOW, "'$(date +%s)'")
    return (
        f"curl {url} \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        f"  -H 'Content-Type: application/cloudevents+json' \\\n"
        f"  -d '{body}'"
    )
