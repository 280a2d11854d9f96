"""The chart of an alert: the hours around something unusual, or the days of a budget's period."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from zoneinfo import ZoneInfo

from accounts.models import Account
from budgets.models import Alert, Anomaly, Budget
from budgets.reports.hourly_spend import hourly_spend
from budgets.reports.scope_days import scope_days
from consumption_cs.lib.display import money_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series
from consumption_cs.lib.periods import HOUR, day_of, hour_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.reports.overview_words import short_date

HOURS_BEFORE, MOST_HOURS = 36, 120
MOST_DAYS = 400


def alert_figure(viewer: Viewer, account: Account, alert: Alert, now: datetime) -> Figure | None:
    """Return what there is to draw; None for an alert about neither a stretch of hours nor a period."""
    if alert.anomaly is not None:
        return _hours(viewer, account, alert, alert.anomaly, now)
    if alert.budget is not None and alert.period_start is not None and alert.period_end is not None:
        zone = zone_of(account.timezone)
        return _days(
            viewer, account, alert, alert.budget, day_of(alert.period_start, zone), day_of(alert.period_end, zone), now
        )
    return None


def _hours(viewer: Viewer, account: Account, alert: Alert, anomaly: Anomaly, now: datetime) -> Figure:
    """Spend by hour from before it began until it ended, at most five days."""
    zone = zone_of(account.timezone)
    begins = hour_of(anomaly.started_at - HOURS_BEFORE * HOUR, zone).start
    ends = min(max(anomaly.seen_until, alert.raised_at) + 6 * HOUR, now, begins + MOST_HOURS * HOUR)
    hours = hourly_spend(viewer, account, begins, ends, anomaly.workflow_id)
    labels = [_label(start, zone) for start, _ in hours]
    during = [index for index, (start, _) in enumerate(hours) if anomaly.started_at <= start < anomaly.seen_until]
    usual = anomaly.expected / anomaly.window_hours if anomaly.window_hours else None
    rules = [Rule("Usual, an hour", y=usual)] if usual is not None else []
    told = _label(hour_of(alert.raised_at, zone).start, zone)
    at_told = dict(zip(labels, (spent for _, spent in hours), strict=True)).get(told)
    return Figure(
        id="alert",
        headline=_hours_finding(anomaly, account),
        sub=f"{account.currency} per hour at the contract rate, {account.timezone}.",
        summary=f"Bar chart of spend by hour around the alert. {_hours_finding(anomaly, account)}",
        series=[Series("Spent", labels, [spent for _, spent in hours], flagged=during)],
        marks=[Mark(told, at_told, "Told", "ink")] if at_told is not None else [],
        rules=rules,
        currency=account.currency,
        numbers=Numbers(
            ["Hour", "Spent"],
            [
                [f"{label:%b %-d, %H:%M}", money_text(spent, account.currency)]
                for label, (_, spent) in zip(labels, hours, strict=True)
            ],
        ),
    )


def _hours_finding(anomaly: Anomaly, account: Account) -> str:
    if anomaly.kind == "silence":
        return "Usage stopped where it never does"
    if anomaly.expected > 0 and anomaly.actual >= 2 * anomaly.expected:
        return f"Spend was {anomaly.actual / anomaly.expected:.1f} times the usual"
    return f"{money_text(anomaly.impact, account.currency, signed=True)} beyond the usual"


def _label(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _days(
    viewer: Viewer, account: Account, alert: Alert, budget: Budget, first: date, after: date, now: datetime
) -> Figure:
    """Cumulative spend of the budget's period, beside the budget and the threshold."""
    zone = zone_of(account.timezone)
    days = [first + timedelta(days=index) for index in range(min((after - first).days, MOST_DAYS))]
    spent = scope_days(viewer, budget, first, after)
    last = min(day_of(now, zone), after - timedelta(days=1))
    known = [day for day in days if day <= last]
    sums: list[Decimal | None] = list(accumulate(spent.get(day, Decimal(0)) for day in known))
    told_on = day_of(alert.raised_at, zone)
    at_told = sums[known.index(told_on)] if told_on in known else None
    amount = Decimal(alert.version.amount) if alert.version else None
    marks = [Mark(told_on, at_told, "Told", "ink")] if at_told is not None else []
    return _so_far("alert", account, days, known, sums, amount, marks)


def _so_far(
    name: str,
    account: Account,
    days: list[date],
    known: list[date],
    sums: list[Decimal | None],
    amount: Decimal | None,
    marks: list[Mark],
) -> Figure:
    return Figure(
        id=name,
        headline=_days_finding(sums, amount, account),
        sub=f"{account.currency}, added up from {short_date(days[0])}, at the contract rate.",
        summary="Line chart of the spend of the period, added up day by day, with the budget.",
        series=[Series("Spent so far", days, [*sums, *[None] * (len(days) - len(sums))], kind="area")],
        rules=[Rule("Budget", y=amount)] if amount is not None else [],
        marks=marks,
        currency=account.currency,
        numbers=Numbers(
            ["Day", "Spent so far"], [_row(day, total, account) for day, total in zip(known, sums, strict=True)]
        ),
    )


def _row(day: date, total: Decimal | None, account: Account) -> list[str]:
    return [short_date(day), money_text(total or Decimal(0), account.currency)]


def _days_finding(sums: list[Decimal | None], amount: Decimal | None, account: Account) -> str:
    used = sums[-1] if sums else Decimal(0)
    words = money_text(used or Decimal(0), account.currency, places=0)
    if not amount:
        return f"{words} spent in this period"
    return f"{words} of {money_text(amount, account.currency, places=0)} spent in this period"
