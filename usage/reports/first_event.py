"""How to send an event that counts: the command, and what is still missing for it."""

from dataclasses import dataclass
from typing import Any

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.calc.sample_event import as_curl, as_json, sample_data, sample_event
from usage.models import Meter

ENDPOINT = "/api/v1/events"
NO_KEY = "YOUR_API_KEY"


@dataclass(frozen=True, slots=True)
class FirstEvent:
    """A command to copy. `meter` and `account` are what it names, None where there is none yet."""

    command: str
    meter: Meter | None
    account: Account | None


def first_event(viewer: Viewer, account: Account | None, site_url: str, key: str) -> FirstEvent:
    """Return the command for `account`, or for the oldest one; without a `key` it holds a placeholder."""
    meter = Meter.objects.visible_to(viewer).filter(is_active=True).order_by("created_at", "pk").first()
    subject = account or Account.objects.visible_to(viewer).order_by("created_at", "pk").first()
    event = sample_event(
        meter.event_type if meter else "api.call",
        subject.key if subject else "your-account-key",
        data_of(meter) if meter else {"quantity": 1},
    )
    return FirstEvent(as_curl(site_url + ENDPOINT, key or NO_KEY, event), meter, subject)


def sample_of(meter: Meter, subject: str) -> str:
    """Return an event that this meter counts, as JSON to read."""
    return as_json(sample_event(meter.event_type, subject, data_of(meter)))


def data_of(meter: Meter) -> dict[str, Any]:
    """Return the `data` of an event that this meter counts."""
    return sample_data(
        meter.aggregation,
        meter.value_property,
        meter.workflow_property,
        meter.success_property,
        meter.outcome_property,
        meter.filters,
        meter.dimensions,
    )
