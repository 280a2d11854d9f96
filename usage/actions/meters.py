"""Make and change meters. What has been counted stays as it is: a change is for the events that come."""

from typing import Any

from django.db import IntegrityError, transaction

from accounts.actions.audit import audit
from consumption_cs.lib.tenancy import Viewer
from usage.models import IngestBatch, Meter, UsageDay

# What a quantity means must not change under a bill.
LOCKED = ("aggregation", "value_property")


class MeterTaken(ValueError):
    """Another meter has the key, or reads the events, already."""


def has_counted(viewer: Viewer, meter: Meter) -> bool:
    """Whether events were counted with this meter, the ones that wait for the tick included."""
    if UsageDay.objects.visible_to(viewer).filter(meter=meter).exists():
        return True
    waiting = IngestBatch.objects.visible_to(viewer).filter(rolled_at=None)
    return waiting.filter(sums__contains=[{"m": str(meter.pk)}]).exists()


def save_meter(viewer: Viewer, meter: Meter) -> Meter:
    """Store a new or changed meter and say so in the audit log. Raises MeterTaken.

    The aggregation and the value property of a meter that has counted events stay what they were.
    """
    before = Meter.objects.visible_to(viewer).filter(pk=meter.pk).first()
    if before is not None and has_counted(viewer, before):
        for name in LOCKED:
            setattr(meter, name, getattr(before, name))
    meter.organization_id = viewer.organization_id
    try:
        with transaction.atomic():
            meter.save()
    except IntegrityError as error:
        raise MeterTaken("Another meter has this key or reads this event type.") from error
    changes = _changes(before, meter)
    if before is None or changes:
        audit(viewer, "meter.changed" if before else "meter.created", meter, meter.name, changes)
    return meter


def _changes(before: Meter | None, after: Meter) -> dict[str, Any]:
    names = [field.name for field in Meter._meta.fields if field.name not in ("id", "organization", "created_at")]
    if before is None:
        return {name: getattr(after, name) for name in names}
    return {
        name: {"from": getattr(before, name), "to": getattr(after, name)}
        for name in names
        if getattr(before, name) != getattr(after, name)
    }
