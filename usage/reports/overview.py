"""One account's month: what was used, what it cost, what came of it. Reads settled days only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Min, Sum

from accounts.models import Account
from consumption_cs.lib.money import exponent, round_lines
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.intervals import ENOUGH_RUNS, wilson
from usage.calc.pace import Month, Wanted, change, period_of, straight_projection, unit_cost
from usage.calc.trend import Trend, describe
from usage.models import AccountDay, UsageDay, Workflow
from usage.reports.freshness import Freshness, data_through

SPARK_DAYS = 10
TREND_DAYS = 56
_SUMS = ("spend", "events", "finished", "successes", "outcomes")
ADJUSTMENTS = "Adjustments for earlier periods"
MINIMUMS = "Minimum spend"


@dataclass(slots=True)
class Figures:
    """Sums over some days. `spend` is None when nothing among them has a price."""

    spend: Decimal | None = None
    events: int = 0
    unpriced: int = 0
    finished: int = 0
    successes: int = 0
    outcomes: Decimal = Decimal(0)
    adjusted: Decimal = Decimal(0)  # the part of `spend` that is of earlier, closed billing periods

    def add(self, row: dict[str, Any]) -> None:
        """Add one row of sums by name."""
        spend = row["spend"]
        if spend is not None:
            self.spend = (self.spend or Decimal(0)) + spend
        self.unpriced += row.get("unpriced") or 0
        self.adjusted += row.get("adjusted") or 0
        for name in _SUMS[1:]:
            setattr(self, name, getattr(self, name) + (row[name] or 0))

    @property
    def success_rate(self) -> Decimal | None:
        """A ratio; None when nothing said whether it succeeded."""
        return Decimal(self.successes) / self.finished if self.finished else None

    @property
    def is_sure(self) -> bool:
        """Whether there are enough finished runs for a success rate to be quoted."""
        return self.finished >= ENOUGH_RUNS

    @property
    def interval(self) -> tuple[float, float] | None:
        """The Wilson 95 % interval of the success rate."""
        return wilson(self.successes, self.finished) if self.finished else None

    @property
    def unit_cost(self) -> Decimal | None:
        return unit_cost(self.spend, self.outcomes)


@dataclass(slots=True)
class WorkflowLine:
    """One workflow's month. `id` is None for usage that names no workflow, and for money that is not of any use."""

    id: UUID | None
    name: str
    stage: str
    outcome_unit: str
    month: Figures = field(default_factory=Figures)
    compared: Figures = field(default_factory=Figures)  # closed days of this month …
    before: Figures = field(default_factory=Figures)  # … and as many of the month before
    this_week: Figures = field(default_factory=Figures)
    last_week: Figures = field(default_factory=Figures)
    days: dict[date, Decimal] = field(default_factory=dict)
    spark: list[Decimal] = field(default_factory=list)  # the last closed days
    share: Decimal = Decimal(0)  # of the largest workflow's spend
    target: Decimal | None = None
    shown: Decimal | None = None  # the month's spend, rounded so that the lines of a table add up to its total

    @property
    def unit_cost_change(self) -> Decimal | None:
        """Cost per outcome of the closed days against as many of the month before."""
        return change(self.compared.unit_cost, self.before.unit_cost)

    @property
    def is_new(self) -> bool:
        return self.before.events == 0 and self.month.events > 0

    @property
    def week_change(self) -> Decimal:
        return (self.this_week.spend or Decimal(0)) - (self.last_week.spend or Decimal(0))

    @property
    def misses_target(self) -> bool:
        rate = self.month.success_rate
        return self.target is not None and rate is not None and self.month.is_sure and rate < self.target


@dataclass(frozen=True, slots=True)
class Week:
    """Closed days of this week, from Monday, and the same weekdays of the week before."""

    starts: date
    days: int

    @classmethod
    def before(cls, today: date) -> "Week":
        """The running week up to yesterday; on a Monday the whole week that has just ended."""
        monday = today - timedelta(days=today.weekday() or 7)
        return cls(monday, (today - monday).days)

    def holds(self, day: date) -> bool:
        return self.starts <= day < self.starts + timedelta(days=self.days)

    def held_before(self, day: date) -> bool:
        return self.holds(day + timedelta(days=7))

    @property
    def last(self) -> date:
        return self.starts + timedelta(days=self.days - 1)


@dataclass(slots=True)
class Overview:
    """All that the overview page, its downloads and the API say about one account and month."""

    account: Account
    month: Month
    week: Week
    freshness: Freshness
    total: Figures
    compared: Figures
    before: Figures
    whole_before: Figures
    days: dict[date, Figures]
    workflows: list[WorkflowLine]
    trend: Trend
    first_day: date | None  # with usage, ever
    with_cents: bool

    @property
    def has_usage(self) -> bool:
        return self.first_day is not None

    @property
    def closed_spend(self) -> Decimal | None:
        """Spend of the closed days of the month: today's part would bend every rate."""
        amounts = [self.days[day].spend for day in self.month.days[: self.month.closed] if day in self.days]
        known = [amount for amount in amounts if amount is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def projection(self) -> Decimal | None:
        """A straight line through the closed days to the month's end; never less than what is spent already."""
        spent = self.closed_spend
        if not self.month.is_running or spent is None:
            return None
        line = straight_projection(spent, self.month.closed, self.month.length)
        return None if line is None else max(line, self.total.spend or Decimal(0))

    @property
    def change(self) -> Decimal | None:
        """Spend of the closed days against as many of the month before, as a ratio."""
        return change(self.compared.spend, self.before.spend)

    @property
    def success_change(self) -> Decimal | None:
        """Percentage points against the same days of the month before; None unless both have enough runs."""
        now, then = self.compared.success_rate, self.before.success_rate
        sure = self.compared.is_sure and self.before.is_sure
        return (now - then) * 100 if sure and now is not None and then is not None else None

    @property
    def changed(self) -> list[WorkflowLine]:
        """Workflows whose spend moved this week, the largest move first."""
        moved = [line for line in self.workflows if line.week_change]
        return sorted(moved, key=lambda line: abs(line.week_change), reverse=True)

    @property
    def week_change(self) -> Decimal:
        return sum((line.week_change for line in self.workflows), Decimal(0))

    @property
    def last_week_spend(self) -> Decimal:
        return sum((line.last_week.spend or Decimal(0) for line in self.workflows), Decimal(0))

    @property
    def driver(self) -> WorkflowLine | None:
        """The workflow that explains most of the change against the month before, if one does."""
        total = (self.compared.spend or Decimal(0)) - (self.before.spend or Decimal(0))
        if not total or not self.workflows:
            return None
        top = max(self.workflows, key=lambda line: _difference(line) * (1 if total > 0 else -1))
        return top if _difference(top) / total >= Decimal("0.4") else None


def _difference(line: WorkflowLine) -> Decimal:
    return (line.compared.spend or Decimal(0)) - (line.before.spend or Decimal(0))


def overview(viewer: Viewer, account: Account, wanted: Wanted, now: datetime) -> Overview:
    """Read the account's month around `wanted`, or its last 90 days. Within `act_as(viewer)`; 8 queries."""
    today = day_of(now, zone_of(account.timezone))
    month = period_of(wanted, today)
    week = Week.before(min(today, month.end))
    days = _days(viewer, account, month)
    lines = _workflows(viewer, account, month, week, days)
    with_cents = _round(lines, account.currency)
    sums = {name: Figures() for name in ("total", "compared", "before", "whole_before")}
    for day, row in days.items():
        for name in _buckets(month, day):
            sums[name].add(_as_row(row))
    closed_days = _without_gaps(days, min(today, month.end))
    return Overview(
        account=account,
        month=month,
        week=week,
        freshness=data_through(viewer, now) if viewer.account_id else _of_account(viewer, account, now),
        days=days,
        workflows=lines,
        trend=describe(closed_days),
        first_day=AccountDay.objects.visible_to(viewer).filter(account=account).aggregate(first=Min("day"))["first"],
        with_cents=with_cents,
        **sums,
    )


def _of_account(viewer: Viewer, account: Account, now: datetime) -> Freshness:
    """Staff see the freshness that the account's own people see, not that of the whole organization."""
    return data_through(Viewer(viewer.organization_id, account.pk, viewer.role), now)


def _buckets(month: Month, day: date) -> Iterator[str]:
    if month.first <= day < month.end:
        yield "total"
        if month.is_compared(day):
            yield "compared"
    elif month.before.first <= day < month.first:
        yield "whole_before"
        if month.is_compared_before(day):
            yield "before"


def _days(viewer: Viewer, account: Account, month: Month) -> dict[date, Figures]:
    """Totals by local day, for the month, the one before, and as many days as a trend needs."""
    first = min(month.before.first, min(month.today, month.end) - timedelta(days=TREND_DAYS))
    rows = (
        AccountDay.objects.visible_to(viewer)
        .filter(account=account, day__gte=first, day__lt=month.end)
        .order_by("day")
        .values("day", "unpriced_events", "adjustment", *_SUMS)
    )
    days = {}
    for row in rows:
        figures = Figures()
        priced = row["unpriced_events"] < row["events"] or row["events"] == 0 or row["spend"]
        figures.add(row | {"spend": row["spend"] if priced else None} | _renamed(row))
        days[row["day"]] = figures
    return days


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    return {"unpriced": row["unpriced_events"], "adjusted": row["adjustment"]}


def _as_row(figures: Figures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in (*_SUMS, "unpriced", "adjusted")}


def _without_gaps(days: dict[date, Figures], end: date) -> list[tuple[date, Decimal]]:
    """Every closed day from the first with usage; a day without usage cost nothing."""
    closed = [day for day in days if day < end]
    if not closed:
        return []
    first = closed[0]
    every = [first + timedelta(days=number) for number in range((end - first).days)]
    return [(day, (days[day].spend if day in days else None) or Decimal(0)) for day in every]


def _workflows(
    viewer: Viewer, account: Account, month: Month, week: Week, totals: dict[date, Figures]
) -> list[WorkflowLine]:
    lines: dict[UUID | None, WorkflowLine] = {
        workflow.pk: WorkflowLine(
            workflow.pk,
            workflow.name,
            workflow.get_stage_display(),
            workflow.outcome_unit,
            target=workflow.success_target,
        )
        for workflow in Workflow.objects.visible_to(viewer).filter(account=account)
    }
    for row in _by_workflow_and_day(viewer, account, month, week):
        line = lines.get(row["workflow_id"])
        if line is None:
            line = lines[row["workflow_id"]] = WorkflowLine(None, "Not assigned to a workflow", "", "outcome")
        _count(line, row, month, week)
    found = [*lines.values(), *_beside_use(list(lines.values()), totals, month, week)]
    used = [line for line in found if line.month.events or line.month.spend or line.before.events or line.week_change]
    largest = max((line.month.spend or Decimal(0) for line in used), default=Decimal(0))
    for line in used:
        line.spark = [line.days.get(day, Decimal(0)) for day in spark_days(month)]
        line.share = (line.month.spend or Decimal(0)) / largest if largest else Decimal(0)
    return sorted(used, key=lambda line: (-(line.month.spend or Decimal(0)), line.name))


def _beside_use(
    lines: list[WorkflowLine], totals: dict[date, Figures], month: Month, week: Week
) -> Iterator[WorkflowLine]:
    """Lines for the money that no workflow used, so that the table adds up: adjustments, and minimum spends."""
    adjusted, minimum = (WorkflowLine(None, name, "", "outcome") for name in (ADJUSTMENTS, MINIMUMS))
    for day, figures in totals.items():
        if day < _first_read(month, week):
            continue
        used = sum((line.days.get(day, Decimal(0)) for line in lines), Decimal(0))
        rest = (figures.spend or Decimal(0)) - figures.adjusted - used
        for line, amount in ((adjusted, figures.adjusted), (minimum, rest)):
            if amount:
                _count(line, {"day": day, "sum_spend": amount} | {f"sum_{name}": 0 for name in _SUMS[1:]}, month, week)
    yield from (line for line in (adjusted, minimum) if line.days)


def _round(lines: list[WorkflowLine], currency: str) -> bool:
    """Fill `shown` of the priced lines; returns whether cents are shown: with one small amount among them, all are."""
    priced = [line for line in lines if line.month.spend is not None]
    amounts = [line.month.spend or Decimal(0) for line in priced]
    with_cents = any(0 < abs(amount) < 10 for amount in amounts)
    rounded = round_lines(amounts, exponent(currency) if with_cents else 0)
    for line, amount in zip(priced, rounded, strict=True):
        line.shown = amount
    return with_cents


def _by_workflow_and_day(viewer: Viewer, account: Account, month: Month, week: Week) -> Iterable[dict[str, Any]]:
    return (
        UsageDay.objects.visible_to(viewer)
        .filter(account=account, day__gte=_first_read(month, week), day__lt=month.end)
        .values("workflow_id", "day")
        .annotate(**{f"sum_{name}": Sum(name) for name in _SUMS})
        .order_by()
        .values("workflow_id", "day", *(f"sum_{name}" for name in _SUMS))
    )


def _first_read(month: Month, week: Week) -> date:
    return min(month.before.first, week.starts - timedelta(days=7))


def _count(line: WorkflowLine, row: dict[str, Any], month: Month, week: Week) -> None:
    day: date = row["day"]
    sums = {name: row[f"sum_{name}"] for name in _SUMS}
    into = {"total": line.month, "compared": line.compared, "before": line.before}
    for bucket in _buckets(month, day):
        if bucket in into:
            into[bucket].add(sums)
    if week.holds(day):
        line.this_week.add(sums)
    if week.held_before(day):
        line.last_week.add(sums)
    line.days[day] = sums["spend"] or Decimal(0)


def spark_days(month: Month) -> list[date]:
    """The last closed days that a sparkline shows."""
    end = min(month.today, month.end)
    return [end - timedelta(days=number) for number in range(SPARK_DAYS, 0, -1)]
