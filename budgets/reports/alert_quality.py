"""The quality of alerts of an organization, by month, for its staff."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.db import connection

from budgets.calc.alert_quality import Invoice, Quality, ToldAlert, quality
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from usage.models import AccountDay

MONTHS = 6

# When a budget was reached: its first crossing of 100 % in the same period, told or not.
_ALERTS = """
SELECT alert.account_id::text, alert.raised_at, alert.feedback, alert.acknowledged_at, reached.at
FROM budgets_alert AS alert LEFT JOIN LATERAL (
    SELECT min(later.raised_at) AS at FROM budgets_alert AS later
    WHERE later.organization_id = alert.organization_id AND later.account_id = alert.account_id
        AND later.budget_id = alert.budget_id AND later.period_start = alert.period_start
        AND later.kind = 'actual_percent' AND later.threshold >= 100 AND later.raised_at > alert.raised_at
        AND (alert.kind LIKE 'forecast%%' OR alert.kind = 'actual_percent' AND alert.threshold < 100)
) AS reached ON true
WHERE alert.organization_id = %s AND NOT alert.is_silent AND alert.raised_at >= %s AND alert.raised_at < %s
"""

_INVOICES = """
SELECT coalesce(period.invoiced, period.amount), GREATEST(budget.amount, forecast.p90),
    (period.ends_on::timestamp AT TIME ZONE account.timezone), warned.at
FROM usage_billingperiod AS period
JOIN accounts_account AS account ON account.organization_id = period.organization_id AND account.id = period.account_id
LEFT JOIN LATERAL (
    SELECT max(latest.amount) AS amount FROM (
        SELECT DISTINCT ON (version.budget_id) version.amount FROM budgets_budgetversion AS version
        JOIN budgets_budget AS own ON own.organization_id = version.organization_id AND own.id = version.budget_id
        WHERE version.organization_id = period.organization_id AND version.account_id = period.account_id
            AND own.scope = 'account' AND own.period = 'month'
            AND version.created_at < period.ends_on::timestamp AT TIME ZONE account.timezone
        ORDER BY version.budget_id, version.number DESC) AS latest
) AS budget ON true
LEFT JOIN LATERAL (
    SELECT run.period_p90 AS p90 FROM budgets_forecastrun AS run
    WHERE run.organization_id = period.organization_id AND run.account_id = period.account_id
        AND run.as_of >= period.starts_on AND run.as_of <= period.starts_on + 10 AND run.period_p90 IS NOT NULL
    ORDER BY run.as_of DESC, run.made_at DESC LIMIT 1
) AS forecast ON true
LEFT JOIN LATERAL (
    SELECT min(delivery.delivered_at) AS at FROM budgets_delivery AS delivery
    JOIN budgets_alert AS alert
        ON alert.organization_id = delivery.organization_id AND alert.id = delivery.alert_id
    WHERE delivery.organization_id = period.organization_id AND alert.account_id = period.account_id
        AND alert.raised_at >= period.starts_on::timestamp AT TIME ZONE account.timezone
        AND delivery.delivered_at < period.ends_on::timestamp AT TIME ZONE account.timezone
) AS warned ON true
WHERE period.organization_id = %s AND period.ends_on > %s AND period.ends_on <= %s
"""

DEFINITIONS = (
    (
        "Bill shocks",
        "Invoices above 1.2 times the greater of the budget and the P90 forecast on the tenth day, with no alert"
        " delivered 72 hours or more before the period ended; of 1,000 invoices that had a budget or a forecast.",
    ),
    ("Precision", "Alerts judged useful, of all that were judged."),
    ("Lead time", "Median from a warning until its budget was reached in the same period."),
    ("Time to acknowledge", "Median from an alert until somebody acknowledged it."),
    ("Alerts a week", "Told alerts for each account with use and week. Above 3, later ones are bundled."),
)


@dataclass(frozen=True, slots=True)
class MonthQuality:
    """The figures of one month (UTC); `is_open`: it has not ended."""

    month: date
    found: Quality
    is_open: bool


def alert_quality(viewer: Viewer, now: datetime, months: int = MONTHS) -> tuple[Quality, list[MonthQuality]]:
    """Return the figures of the last months together, and of each month, the latest first."""
    today = now.astimezone(UTC).date()
    first = add_months(today.replace(day=1), 1 - months)
    starts = [add_months(first, index) for index in range(months + 1)]
    found = [MonthQuality(start, _quality(viewer, start, end, today), end > today) for start, end in pairwise(starts)]
    return _quality(viewer, first, starts[-1], today), found[::-1]


def _quality(viewer: Viewer, first: date, after: date, today: date) -> Quality:
    span = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, after)]
    alerts = [ToldAlert(*row) for row in _rows(_ALERTS, viewer, *span)]
    invoices = [
        Invoice(amount, expected, ends_at, warned_at)
        for amount, expected, ends_at, warned_at in _rows(_INVOICES, viewer, first, after)
    ]
    used = _accounts(viewer, first, after)
    days = Decimal((min(after, today) - first).days or 1)
    return quality(alerts, invoices, used, days)


def _accounts(viewer: Viewer, first: date, after: date) -> int:
    rows = AccountDay.objects.filter(organization_id=viewer.organization_id, day__gte=first, day__lt=after)
    return rows.values("account_id").distinct().count()


def _rows(query: str, viewer: Viewer, *span: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, [viewer.organization_id, *span])
        return cursor.fetchall()
