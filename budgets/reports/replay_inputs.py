"""What a replay reads: hours, days, anomalies, plans, what people judged, and forecasts. One query each."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from accounts.models import Account
from budgets.calc.replay_hours import Used
from budgets.models import Alert, Anomaly, PlannedActivity
from budgets.reports.budget_figures import OLD_DAYS
from consumption_cs.lib.money import exactly
from consumption_cs.lib.tenancy import Viewer

ZERO = Decimal(0)
Work = UUID | None

# The rows that a budget counts, as in budget_use; `named` workflows by themselves, all others together.
_SCOPE = """
    {t}.organization_id = %(organization)s AND {t}.account_id = %(account)s
    AND (%(workflow)s::uuid IS NULL OR {t}.workflow_id = %(workflow)s::uuid)
    AND (%(meter)s::uuid IS NULL OR {t}.meter_id = %(meter)s::uuid)
    AND (%(dimension)s = '' OR CASE WHEN {t}."group" = '' THEN false
        ELSE {t}."group"::jsonb ->> %(dimension)s = %(value)s END)
"""
_DAYS = f"""
SELECT CASE WHEN days.workflow_id = ANY(%(named)s::uuid[]) THEN days.workflow_id END, days.day,
    coalesce(sum(days.spend), 0), sum(days.outcomes), sum(days.finished)::bigint,
    sum(days.successes)::bigint
FROM usage_day AS days WHERE {_SCOPE.format(t="days")} AND days.day >= %(first)s AND days.day < %(after)s
GROUP BY 1, 2
"""  # noqa: S608 - our own texts
# Money of a day that no usage has: a fee, or what rounding left.
_REST = """
SELECT total.day, total.spend - total.adjustment - coalesce(sum(days.spend), 0)
FROM account_day AS total LEFT JOIN usage_day AS days ON days.organization_id = total.organization_id
    AND days.account_id = total.account_id AND days.day = total.day
WHERE total.organization_id = %(organization)s AND total.account_id = %(account)s AND total.day >= %(first)s
    AND total.day < %(after)s
GROUP BY total.day, total.spend, total.adjustment
HAVING total.spend - total.adjustment <> coalesce(sum(days.spend), 0)
"""
# An hour's money is its row's share of the day's, by quantity; of a day's row without quantity, by events. It is but a
# weight: the hours of a day are made to add up to the day exactly.
_HOURS = f"""
WITH days AS MATERIALIZED (
    SELECT coalesce(days.workflow_id, %(none)s::uuid) AS work, days.meter_id, days."group", days.day,
        CASE WHEN quantity <> 0 THEN (spend / quantity)::float8 ELSE 0 END AS of_one,
        CASE WHEN quantity = 0 AND events <> 0 THEN (spend / events)::float8 ELSE 0 END AS of_event
    FROM usage_day AS days WHERE {_SCOPE.format(t="days")} AND days.day >= %(first)s AND days.day < %(after)s
)
SELECT CASE WHEN hours.workflow_id = ANY(%(named)s::uuid[]) THEN hours.workflow_id END, hours.starts_at,
    coalesce(sum(days.of_one * hours.quantity::float8 + days.of_event * hours.events), 0),
    sum(hours.outcomes), sum(hours.finished)::bigint, sum(hours.successes)::bigint
FROM usage_hour AS hours JOIN days ON days.work = coalesce(hours.workflow_id, %(none)s::uuid)
    AND days.meter_id = hours.meter_id AND days."group" = hours."group"
    AND days.day = (hours.starts_at AT TIME ZONE %(zone)s)::date
WHERE {_SCOPE.format(t="hours")} AND hours.starts_at >= %(start)s AND hours.starts_at < %(end)s
GROUP BY 1, 2
"""  # noqa: S608 - our own texts
# The planner expects a handful of rows, and would walk the days once for every hour and sort what it found.
_HASHED = "SET LOCAL enable_nestloop = off; SET LOCAL enable_sort = off"
_PLANNED = "SET LOCAL enable_nestloop = on; SET LOCAL enable_sort = on"
# The runs that were in force on any of the days, with as much of their paths as periods that long need.
_RUNS = """
SELECT as_of, made_at, spend_p10[1:%(most)s], spend_p50[1:%(most)s], spend_p90[1:%(most)s]
FROM budgets_forecastrun
WHERE organization_id = %(organization)s AND account_id = %(account)s AND as_of > %(first)s - %(old)s
    AND as_of < %(after)s
ORDER BY as_of, made_at
"""
_NEW = """
WITH begun AS MATERIALIZED (
    SELECT workflow_id, min(day) AS day FROM usage_day
    WHERE organization_id = %(organization)s AND account_id = %(account)s AND workflow_id IS NOT NULL
        AND (%(workflow)s::uuid IS NULL OR workflow_id = %(workflow)s::uuid)
    GROUP BY workflow_id HAVING min(day) >= %(first)s AND min(day) < %(after)s
)
SELECT begun.day, used.spent
FROM begun CROSS JOIN LATERAL (
    SELECT sum(spend) AS spent FROM usage_day AS days
    WHERE days.organization_id = %(organization)s AND days.account_id = %(account)s AND days.day = begun.day
        AND days.workflow_id = begun.workflow_id AND (%(meter)s::uuid IS NULL OR days.meter_id = %(meter)s::uuid)
) AS used
WHERE used.spent > 0
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which usage of which account is read: what a budget counts, and the workflows to keep apart."""

    viewer: Viewer
    account: Account
    workflow_id: UUID | None = None
    meter_id: UUID | None = None
    dimension: str = ""
    dimension_value: str = ""
    named: tuple[UUID, ...] = ()

    @property
    def is_whole(self) -> bool:
        return self.workflow_id is None and self.meter_id is None and not self.dimension

    def values(self, first: date, after: date) -> dict[str, Any]:
        return {
            "organization": self.viewer.organization_id,
            "account": self.account.pk,
            "zone": self.account.timezone,
            "workflow": self.workflow_id,
            "meter": self.meter_id,
            "dimension": self.dimension,
            "value": self.dimension_value,
            "named": list(self.named),
            "none": UUID(int=0),
            "first": first,
            "after": after,
        }


def used_days(wanted: Wanted, first: date, after: date) -> dict[Work, dict[date, Used]]:
    """Return what each local day of [first, after) has, by named workflow; None: all others."""
    found: dict[Work, dict[date, Used]] = defaultdict(dict)
    for work, day, *used in _rows(_DAYS, wanted.values(first, after)):
        found[work][day] = Used(*used)
    if wanted.is_whole:
        for day, rest in _rows(_REST, wanted.values(first, after)):
            was = found[None].get(day, Used())
            found[None][day] = Used(was.spent + rest, was.outcomes, was.finished, was.successes)
    return found


def used_hours(
    wanted: Wanted, first: date, after: date, start: datetime, end: datetime
) -> dict[Work, dict[datetime, Used]]:
    """Return what each hour that is kept of [start, end), in local days [first, after), has, in the same way."""
    found: dict[Work, dict[datetime, Used]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(_HASHED)
        cursor.execute(_HOURS, wanted.values(first, after) | {"start": start, "end": end})
        rows = cursor.fetchall()
        cursor.execute(_PLANNED)
    for work, starts_at, weight, *counted in rows:
        found[work][starts_at] = Used(Decimal(f"{weight:.9f}"), *counted)
    return found


def anomalies(wanted: Wanted, start: datetime, end: datetime) -> list[Anomaly]:
    """Return what was unusual and unwanted: more than expected, not muted, and by nobody judged expected or wrong."""
    judged = Alert.objects.filter(anomaly=OuterRef("pk"), feedback__in=(Alert.Feedback.EXPECTED, Alert.Feedback.WRONG))
    rows = Anomaly.objects.visible_to(wanted.viewer).filter(
        ~Exists(judged), account=wanted.account, muted_by=None, impact__gt=0, actual__gt=0, started_at__lt=end,
        seen_until__gt=start,
    )  # fmt: skip
    if wanted.workflow_id:
        rows = rows.filter(workflow_id=wanted.workflow_id)
    return list(rows.exclude(kind=Anomaly.Kind.SILENCE).select_related("workflow").order_by("started_at"))


def plans(wanted: Wanted, first: date, after: date) -> list[PlannedActivity]:
    """Return what was planned on these days, of all meters or of the one that is looked at."""
    rows = PlannedActivity.objects.visible_to(wanted.viewer).filter(
        account=wanted.account, cancelled_at=None, starts_on__lt=after, ends_on__gt=first
    )
    return [one for one in rows.order_by("starts_on") if not (one.meter_id and wanted.meter_id != one.meter_id)]


def judged_alerts(wanted: Wanted, start: datetime, end: datetime) -> list[Alert]:
    """Return the alerts of these days that somebody has judged."""
    rows = Alert.objects.visible_to(wanted.viewer).filter(
        account=wanted.account, raised_at__gte=start, raised_at__lt=end
    )
    if wanted.workflow_id:
        rows = rows.filter(workflow_id=wanted.workflow_id)
    return list(rows.exclude(feedback="").only("kind", "feedback", "raised_at", "workflow_id").order_by("raised_at"))


@dataclass(frozen=True, slots=True)
class Run:
    """A forecast run: cumulative P10, P50 and P90 of the days from `as_of` on."""

    as_of: date
    made_at: datetime
    paths: tuple[Sequence[float], ...]

    @exactly
    def ahead(self, today: date, after: date) -> tuple[Decimal, ...] | None:
        """Return what the days [today, after) were forecast to cost, as in budget_figures; None beyond its path."""
        start, end = (today - self.as_of).days, (after - self.as_of).days
        if any(len(path) < end for path in self.paths):
            return None
        found = [path[end - 1] - (path[start - 1] if start else 0.0) for path in self.paths]
        return tuple(sorted(round(Decimal(one), 6) for one in found))


def forecasts(wanted: Wanted, first: date, after: date, longest: int) -> list[Run]:
    """Return the runs that were in force on the days [first, after), in order of their first days, the latest last.

    `longest`: how many days ahead of a day its period may end.
    """
    if not wanted.is_whole:
        return []
    named = wanted.values(first, after) | {"old": OLD_DAYS, "most": longest + OLD_DAYS}
    return [Run(as_of, made_at, tuple(paths)) for as_of, made_at, *paths in _rows(_RUNS, named)]


def new_workflows(wanted: Wanted, first: date, after: date) -> list[tuple[date, Decimal]]:
    """Return for each workflow whose first day ever lies in [first, after) that day and what it spent on it."""
    return [(day, spent) for day, spent in _rows(_NEW, wanted.values(first, after))]


def _rows(statement: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
