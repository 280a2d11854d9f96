"""Meters with what they counted lately."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Max, Sum

from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, Price, UsageDay

RECENT = timedelta(days=30)
_WORDS: dict[str, str] = {
    "sum": "Sum of",
    "count": "Number of events",
    "max": "Greatest",
    "latest": "Latest",
    "unique": "Different values of",
}


@dataclass(slots=True)
class MeterLine:
    """A meter, how many events it counted in 30 days, the last day with any, and whether anything prices it."""

    meter: Meter
    events: int
    last_day: date | None
    is_priced: bool
    sample: str = ""

    @property
    def counts(self) -> str:
        """What it does with the property that it reads, in words that the property's name follows."""
        return _WORDS[self.meter.aggregation]


def meter_list(viewer: Viewer, today: date) -> list[MeterLine]:
    """Return the viewer's meters by name."""
    since = today - RECENT
    recent = UsageDay.objects.visible_to(viewer).filter(day__gte=since).values("meter_id")
    used = {row["meter_id"]: row for row in recent.annotate(total=Sum("events"), last=Max("day")).order_by()}
    priced = set(Price.objects.visible_to(viewer).values_list("meter_id", flat=True).distinct())
    return [
        MeterLine(
            meter,
            used.get(meter.pk, {}).get("total", 0),
            used.get(meter.pk, {}).get("last"),
            meter.pk in priced,
        )
        for meter in Meter.objects.visible_to(viewer).order_by("-is_active", "name", "pk")
    ]
