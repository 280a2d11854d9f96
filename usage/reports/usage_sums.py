"""One account's usage over some local days, summed by day, workflow or meter: what the API answers."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Case, Exists, F, Max, OuterRef, Q, QuerySet, Sum, When

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.models import AccountDay, Adjustment, Meter, RatedDay, UsageDay

MOST_DAYS = 400
GROUPINGS = ("day", "workflow", "meter")
ZERO = Decimal(0)
_NOTHING: dict[str, Any] = {
    "spend": None, "unpriced_events": 0, "events": 0, "finished": 0, "successes": 0, "outcomes": ZERO,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Sums over [start, end). Each row is a dictionary; money and quantities are exact decimals, None if not known.

    The spend of the total is that of the rows. By workflow it is that and two amounts that are of no workflow, which
    the total names: `adjustments` for earlier billing periods, and `minimums`, what minimum spends added.
    """

    rows: list[dict[str, Any]]
    total: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Asked:
    viewer: Viewer
    account: Account
    start: date
    end: date

    def of(self, model: Any) -> QuerySet[Any]:
        rows = model.objects.visible_to(self.viewer)
        found: QuerySet[Any] = rows.filter(account=self.account, day__gte=self.start, day__lt=self.end)
        return found


def usage_sums(viewer: Viewer, account: Account, start: date, end: date, group_by: str) -> UsageSums:
    """Return what `account` used on its local days from `start` to just before `end`. At most MOST_DAYS of them.

    Quantities of different meters have different units, so only rows by meter have one: the sum, or for a meter
    that is no sum the greatest or the latest value.
    """
    asked = _Asked(viewer, account, start, end)
    days = asked.of(UsageDay)
    total = {name.removeprefix("sum_"): value for name, value in days.aggregate(**_named()).items()}
    kept = asked.of(AccountDay).aggregate(spend=Sum("spend", default=ZERO), late=Sum("adjustment", default=ZERO))
    total["adjustments"] = kept["late"]
    total["minimums"] = kept["spend"] - kept["late"] - (total["spend"] or ZERO)
    total["spend"] = _with(total["spend"], kept["late"] + total["minimums"])
    return UsageSums(_GROUPED[group_by](asked, days), total)


def _with(spend: Decimal | None, more: Decimal) -> Decimal | None:
    return spend if not more else (spend or ZERO) + more


def _sums() -> dict[str, Any]:
    return {
        "spend": Sum("spend"),
        "unpriced_events": Sum("events", filter=Q(spend=None), default=0),
        "events": Sum("events", default=0),
        "finished": Sum("finished", default=0),
        "successes": Sum("successes", default=0),
        "outcomes": Sum("outcomes", default=Decimal(0)),
    }


def _by_day(asked: _Asked, days: QuerySet[Any]) -> list[dict[str, Any]]:
    # An aggregate may not be called like a column that another one reads, hence the detour over sum_….
    rows = {row["day"]: row for row in _plain(days.values("day").annotate(**_named()))}
    for day, spend in asked.of(AccountDay).values_list("day", "spend"):
        row = rows.setdefault(day, {"day": day} | _NOTHING)
        row["spend"] = _with(row["spend"], spend - (row["spend"] or ZERO))
    return [rows[day] for day in sorted(rows)]


def _by_workflow(_: _Asked, days: QuerySet[Any]) -> list[dict[str, Any]]:
    grouped = days.values(workflow_key=F("workflow__key"), workflow_name=F("workflow__name"))
    return _plain(grouped.annotate(**_named()).order_by(F("sum_spend").desc(nulls_last=True), "workflow_key"))


def _by_meter(asked: _Asked, days: QuerySet[Any]) -> list[dict[str, Any]]:
    grouped = days.values("meter_id", meter_key=F("meter__key"), meter_unit=F("meter__unit"))
    quantity = Case(When(meter__aggregation=Meter.Aggregation.MAX, then=Max("quantity")), default=Sum("quantity"))
    rows = _plain(grouped.annotate(sum_quantity=quantity, **_named()).order_by("meter_key"))
    latest = days.filter(meter__aggregation=Meter.Aggregation.LATEST).order_by("meter_id", "-last_event_at")
    values = dict(latest.distinct("meter_id").values_list("meter_id", "quantity"))
    more = _beside_use(asked)
    for row in rows:
        row["quantity"] = values.get(row["meter_id"], row["quantity"])
        row["spend"] = _with(row["spend"], more.pop(row.pop("meter_id"), ZERO))
    others = Meter.objects.visible_to(asked.viewer).filter(pk__in=[pk for pk, spend in more.items() if spend])
    rows += [
        {"meter_key": meter.key, "meter_unit": meter.unit, "quantity": ZERO} | _NOTHING | {"spend": more[meter.pk]}
        for meter in others
    ]
    return sorted(rows, key=lambda row: str(row["meter_key"]))


def _beside_use(asked: _Asked) -> dict[UUID, Decimal]:
    """Meter → adjustments, and what was rated on days without use."""
    used = UsageDay.objects.filter(
        organization_id=OuterRef("organization_id"),
        account_id=OuterRef("account_id"),
        day=OuterRef("day"),
        meter_id=OuterRef("meter_id"),
    )
    more: dict[UUID, Decimal] = {}
    for rows in (asked.of(Adjustment), asked.of(RatedDay).filter(~Exists(used), events=0)):
        for meter, amount in rows.values_list("meter_id").annotate(Sum("amount", default=ZERO)):
            more[meter] = more.get(meter, ZERO) + amount
    return more


def _named() -> dict[str, Any]:
    return {f"sum_{name}": expression for name, expression in _sums().items()}


def _plain(rows: QuerySet[Any]) -> list[dict[str, Any]]:
    return [{name.removeprefix("sum_"): value for name, value in row.items()} for row in rows]


_GROUPED = {"day": _by_day, "workflow": _by_workflow, "meter": _by_meter}
