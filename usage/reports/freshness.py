"""How fresh the numbers are: through when everything that was accepted is in them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Max, Min, Sum

from consumption_cs.lib.tenancy import Viewer
from usage.models import MAX_FAILURES, AccountDay, IngestBatch, TouchedDay

STALE_AFTER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Freshness:
    """All events accepted before `data_through` are counted and rated; `last_event_at` is when the last one was."""

    data_through: datetime
    last_event_at: datetime | None
    lag_seconds: float

    @property
    def is_stale(self) -> bool:
        return self.lag_seconds > STALE_AFTER_SECONDS


def data_through(viewer: Viewer, now: datetime) -> Freshness:
    """Return how fresh the viewer's numbers are at `now`. Within `act_as(viewer)`.

    When nothing waits they are of this moment; else they are of when the oldest thing that waits was accepted.
    """
    waiting = [moment for moment in (_oldest_batch(), _oldest_mark(viewer)) if moment is not None]
    through = min([now, *waiting])
    return Freshness(through, _last_event_at(viewer), (now - through).total_seconds())


def events_set_aside(viewer: Viewer) -> int:
    """How many accepted events are in batches that could not be counted in three attempts. None for a customer."""
    batches = IngestBatch.objects.visible_to(viewer).filter(rolled_at=None, failures__gte=MAX_FAILURES)
    total: int | None = batches.aggregate(total=Sum("events"))["total"]
    return total or 0


def _oldest_batch() -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_oldest_waiting()")
        moment: datetime | None = cursor.fetchone()[0]
        return moment


def _oldest_mark(viewer: Viewer) -> datetime | None:
    oldest: datetime | None = TouchedDay.objects.visible_to(viewer).aggregate(at=Min("received_at"))["at"]
    return oldest


def _last_event_at(viewer: Viewer) -> datetime | None:
    """Of the last local day that has usage, and the one before: where it is still yesterday may be later in time."""
    days = AccountDay.objects.visible_to(viewer)
    last_day = days.aggregate(day=Max("day"))["day"]
    if last_day is None:
        return None
    last: datetime | None = days.filter(day__gte=last_day - timedelta(days=1)).aggregate(at=Max("last_event_at"))["at"]
    return last
