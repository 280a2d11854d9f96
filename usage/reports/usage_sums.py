"""One account's usage over some local days, summed by day, workflow or meter: what the API answers."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Case, F, Max, Q, QuerySet, Sum, When

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, UsageDay

MOST_DAYS = 400
GROUPINGS = ("day", "workflow", "meter")


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Sums over [start, end). Each row is a dictionary; money and quantities are exact decimals, None if not known."""

    rows: list[dict[str, Any]]
    total: dict[str, Any]


def usage_sums(viewer: Viewer, account: Account, start: date, end: date, group_by: str) -> UsageSums:
    """Return what `account` used on its local days from `start` to just before `end`. At most MOST_DAYS of them.

    Quantities of different meters have different units, so only rows by meter have one: the sum, or for a meter
    that is no sum the greatest or the latest value.
    """
    days = UsageDay.objects.visible_to(viewer).filter(account=account, day__gte=start, day__lt=end)
    total = {name.removeprefix("sum_"): value for name, value in days.aggregate(**_named()).items()}
    return UsageSums(_GROUPED[group_by](days), total)


def _sums() -> dict[str, Any]:
    return {
        "spend": Sum("spend"),
        "unpriced_events": Sum("events", filter=Q(spend=None), default=0),
        "events": Sum("events", default=0),
        "finished": Sum("finished", default=0),
        "successes": Sum("successes", default=0),
        "outcomes": Sum("outcomes", default=Decimal(0)),
    }


def _by_day(days: QuerySet[Any]) -> list[dict[str, Any]]:
    # An aggregate may not be called like a column that another one reads, hence the detour over sum_….
    return _plain(days.values("day").annotate(**_named()).order_by("day"))


def _by_workflow(days: QuerySet[Any]) -> list[dict[str, Any]]:
    grouped = days.values(workflow_key=F("workflow__key"), workflow_name=F("workflow__name"))
    return _plain(grouped.annotate(**_named()).order_by(F("sum_spend").desc(nulls_last=True), "workflow_key"))


def _by_meter(days: QuerySet[Any]) -> list[dict[str, Any]]:
    grouped = days.values("meter_id", meter_key=F("meter__key"), meter_unit=F("meter__unit"))
    quantity = Case(When(meter__aggregation=Meter.Aggregation.MAX, then=Max("quantity")), default=Sum("quantity"))
    rows = _plain(grouped.annotate(sum_quantity=quantity, **_named()).order_by("meter_key"))
    latest = days.filter(meter__aggregation=Meter.Aggregation.LATEST).order_by("meter_id", "-last_event_at")
    values = dict(latest.distinct("meter_id").values_list("meter_id", "quantity"))
    return [row | {"quantity": values.get(row.pop("meter_id"), row["quantity"])} for row in rows]


def _named() -> dict[str, Any]:
    return {f"sum_{name}": expression for name, expression in _sums().items()}


def _plain(rows: QuerySet[Any]) -> list[dict[str, Any]]:
    return [{name.removeprefix("sum_"): value for name, value in row.items()} for row in rows]


_GROUPED = {"day": _by_day, "workflow": _by_workflow, "meter": _by_meter}
