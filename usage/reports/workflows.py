"""One workflow over time: its month, its last twelve months, its weeks, what it used, and its last events."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Sum

from accounts.models import Account
from consumption_cs.lib.periods import add_months, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.pace import DAY, Month, Wanted, change, period_of
from usage.models import Event, UsageDay, Workflow
from usage.reports.freshness import Freshness, data_through
from usage.reports.overview import Figures

MONTHS = 12
WEEKS = 13
LAST_EVENTS = 5
_SUMS = ("spend", "events", "finished", "successes", "outcomes")


@dataclass(slots=True)
class Used:
    """What the workflow used of one meter, and of one group of its dimensions, in the month."""

    meter: str
    unit: str
    group: str
    quantity: Decimal
    events: int
    spend: Decimal | None

    @property
    def group_words(self) -> str:
        """The dimensions as words: "model large, region eu"."""
        return ", ".join(f"{name} {value}" for name, value in json.loads(self.group or "{}").items())


@dataclass(slots=True)
class WorkflowSeen:
    """All that a workflow's page says."""

    workflow: Workflow
    month: Month
    freshness: Freshness
    days: dict[date, Figures]
    months: list[tuple[date, Figures]]
    weeks: list[tuple[date, Figures]]
    used: list[Used]
    events: list[Event]

    @property
    def total(self) -> Figures:
        """Of the whole period so far."""
        return self.over(self.month.first, self.month.length)

    def over(self, first: date, days: int) -> Figures:
        """Of `days` local days from `first`."""
        figures = Figures()
        for number in range(days):
            day = self.days.get(first + timedelta(days=number))
            if day:
                figures.add({name: getattr(day, name) for name in _SUMS})
        return figures

    @property
    def compared(self) -> Figures:
        return self.over(self.month.first, self.month.compared)

    @property
    def before(self) -> Figures:
        return self.over(self.month.before.first, self.month.compared)

    @property
    def change(self) -> Decimal | None:
        """Spend of the closed days against as many of the month before, as a ratio."""
        return change(self.compared.spend, self.before.spend)

    @property
    def unit_cost_change(self) -> Decimal | None:
        return change(self.compared.unit_cost, self.before.unit_cost)


def workflow_page(viewer: Viewer, account: Account, workflow: Workflow, wanted: Wanted, now: datetime) -> WorkflowSeen:
    """Read a workflow's month around `wanted`, or its last 90 days. Within `act_as(viewer)`; 6 queries."""
    today = day_of(now, zone_of(account.timezone))
    month = period_of(wanted, today)
    end = month.end if month.end < today else max(month.end, today + DAY)  # the running month has today in it
    days = _days(viewer, workflow, add_months(month.last.replace(day=1), 1 - MONTHS), end)
    return WorkflowSeen(
        workflow=workflow,
        month=month,
        freshness=data_through(Viewer(viewer.organization_id, account.pk, viewer.role), now),
        days=days,
        months=_grouped(days, lambda day: day.replace(day=1)),
        weeks=_weeks(days, min(today, month.end)),
        used=_used(viewer, workflow, month),
        events=_last_events(viewer, account, workflow, now),
    )


def _days(viewer: Viewer, workflow: Workflow, first: date, end: date) -> dict[date, Figures]:
    rows = (
        UsageDay.objects.visible_to(viewer)
        .filter(account_id=workflow.account_id, workflow=workflow, day__gte=first, day__lt=end)
        .values("day")
        .annotate(**{f"sum_{name}": Sum(name) for name in _SUMS})
        .order_by("day")
    )
    days = {}
    for row in rows:
        days[row["day"]] = figures = Figures()
        figures.add({name: row[f"sum_{name}"] for name in _SUMS})
    return days


def _grouped(days: dict[date, Figures], by: Callable[[date], date]) -> list[tuple[date, Figures]]:
    groups: dict[date, Figures] = {}
    for day, figures in days.items():
        groups.setdefault(by(day), Figures()).add({name: getattr(figures, name) for name in _SUMS})
    return sorted(groups.items())


def _weeks(days: dict[date, Figures], end: date) -> list[tuple[date, Figures]]:
    """Whole weeks from Monday, the last ones that are over."""
    monday = end - timedelta(days=end.weekday())
    first = monday - timedelta(weeks=WEEKS)
    chosen = {day: figures for day, figures in days.items() if first <= day < monday}
    found = dict(_grouped(chosen, lambda day: day - timedelta(days=day.weekday())))
    weeks = [first + timedelta(weeks=number) for number in range(WEEKS)]
    return [(week, found.get(week, Figures())) for week in weeks]


def _used(viewer: Viewer, workflow: Workflow, month: Month) -> list[Used]:
    rows = (
        UsageDay.objects.visible_to(viewer)
        .filter(account_id=workflow.account_id, workflow=workflow, day__gte=month.first, day__lt=month.end)
        .values("meter__name", "meter__unit", "group")
        .annotate(total=Sum("quantity"), count=Sum("events"), money=Sum("spend"))
        .order_by("meter__name", "-total")
    )
    return [
        Used(row["meter__name"], row["meter__unit"], row["group"], row["total"], row["count"], row["money"])
        for row in rows
    ]


def _last_events(viewer: Viewer, account: Account, workflow: Workflow, now: datetime) -> list[Event]:
    """The latest events of the last week: a longer look would read every partition."""
    since = now - timedelta(days=7)
    return list(
        Event.objects.visible_to(viewer)
        .filter(account=account, workflow=workflow, occurred_at__gte=since)
        .select_related("meter")
        .order_by("-occurred_at")[:LAST_EVENTS]
    )
