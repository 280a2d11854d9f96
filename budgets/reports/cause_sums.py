"""What an account did in windows of hours, by workflow, meter and group: what a cause card and a credit rest on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from budgets.calc.cause import Line
from consumption_cs.lib.periods import HOUR, as_utc, zone_of
from consumption_cs.lib.tenancy import Viewer

ZERO = Decimal(0)
WEEKS = 8
Span = tuple[datetime, datetime]

# An hour's money is its share of its day's by quantity, or by events where nothing was measured.
_SUMS = """
SELECT wanted.number, coalesce(hours.workflow_id::text, ''), hours.meter_id::text, hours."group",
    sum(hours.quantity), sum(hours.events)::bigint, sum(hours.finished)::bigint, sum(hours.successes)::bigint,
    sum(spent.money), coalesce(sum(spent.money) FILTER (WHERE hours.starts_at = wanted.starts_at), 0)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS wanted(starts_at, ends_at, number)
JOIN usage_hour AS hours ON hours.starts_at >= wanted.starts_at AND hours.starts_at < wanted.ends_at
LEFT JOIN usage_day AS days ON days.organization_id = hours.organization_id
    AND days.account_id = hours.account_id AND days.meter_id = hours.meter_id
    AND days.workflow_id IS NOT DISTINCT FROM hours.workflow_id AND days."group" = hours."group"
    AND days.day = (hours.starts_at AT TIME ZONE %(zone)s)::date
CROSS JOIN LATERAL (SELECT coalesce(CASE WHEN days.quantity <> 0 THEN days.spend * hours.quantity / days.quantity
    WHEN days.events <> 0 THEN days.spend * hours.events / days.events END, 0) AS money) AS spent
WHERE hours.organization_id = %(organization)s AND hours.account_id = %(account)s
    AND (%(workflow)s::uuid IS NULL OR hours.workflow_id = %(workflow)s::uuid)
GROUP BY 1, 2, 3, 4
"""

_FIRST_ATTEMPTS = """
SELECT wanted.number, coalesce(events.workflow_id::text, ''), events.meter_id::text,
    count(*) FILTER (WHERE events.attempt = 1), count(events.attempt)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS wanted(starts_at, ends_at, number)
JOIN usage_event AS events ON events.occurred_at >= wanted.starts_at AND events.occurred_at < wanted.ends_at
WHERE events.organization_id = %(organization)s AND events.account_id = %(account)s AND events.counted
    AND (%(workflow)s::uuid IS NULL OR events.workflow_id = %(workflow)s::uuid)
GROUP BY 1, 2, 3
"""

_BY_HOUR = """
SELECT wanted.number, (extract(epoch FROM hours.starts_at - wanted.starts_at) / 3600)::int, sum(spent.money)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS wanted(starts_at, ends_at, number)
JOIN usage_hour AS hours ON hours.starts_at >= wanted.starts_at AND hours.starts_at < wanted.ends_at
LEFT JOIN usage_day AS days ON days.organization_id = hours.organization_id
    AND days.account_id = hours.account_id AND days.meter_id = hours.meter_id
    AND days.workflow_id IS NOT DISTINCT FROM hours.workflow_id AND days."group" = hours."group"
    AND days.day = (hours.starts_at AT TIME ZONE %(zone)s)::date
CROSS JOIN LATERAL (SELECT coalesce(CASE WHEN days.quantity <> 0 THEN days.spend * hours.quantity / days.quantity
    WHEN days.events <> 0 THEN days.spend * hours.events / days.events END, 0) AS money) AS spent
WHERE hours.organization_id = %(organization)s AND hours.account_id = %(account)s
    AND (%(workflow)s::uuid IS NULL OR hours.workflow_id = %(workflow)s::uuid)
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one workflow, meter and group did in a window."""

    workflow: str
    meter: str
    group: str
    units: Decimal
    attempts: int
    finished: int
    successes: int
    spend: Decimal
    first_hour: Decimal


Firsts = dict[Line, Decimal | None]


def same_hours_before(account: Account, start: datetime, end: datetime, weeks: int = WEEKS) -> list[Span]:
    """Return the same local hours of the same weekday in the weeks before, the latest first."""
    zone = zone_of(account.timezone)
    spans = []
    for week in range(1, weeks + 1):
        local = start.astimezone(zone).replace(tzinfo=None) - timedelta(days=7 * week)
        begin = as_utc(local.replace(tzinfo=zone))
        spans.append((begin, begin + (end - start)))
    return [span for span in spans if span[1] <= start]


def anomaly_window(started_at: datetime, seen_until: datetime) -> Span:
    """Return the hours of an anomaly that a card can look at: its last week at most, one hour at least."""
    return max(started_at, seen_until - 7 * 24 * HOUR), max(seen_until, started_at + HOUR)


def window_sums(
    viewer: Viewer, account: Account, windows: Sequence[Span], workflow_id: UUID | None = None
) -> dict[int, list[Row]]:
    """Return what was done in each window, by its number, of the account or of one workflow."""
    found: dict[int, list[Row]] = defaultdict(list)
    for number, *row in _fetch(_SUMS, viewer, account, windows, workflow_id):
        found[number - 1].append(Row(*row))
    return found


def first_attempts(
    viewer: Viewer, account: Account, windows: Sequence[Span], workflow_id: UUID | None = None
) -> dict[int, Firsts]:
    """Return the first attempts of each line; None where events do not number them."""
    found: dict[int, Firsts] = defaultdict(dict)
    for number, workflow, meter, firsts, numbered in _fetch(_FIRST_ATTEMPTS, viewer, account, windows, workflow_id):
        found[number - 1][workflow, meter] = Decimal(firsts) if numbered else None
    return found


def hours_of(
    viewer: Viewer, account: Account, windows: Sequence[Span], workflow_id: UUID | None = None
) -> dict[int, tuple[Decimal, ...]]:
    """Return the money of each hour of each window, the first hour first."""
    found: dict[int, list[Decimal]] = {
        number: [ZERO] * max((end - start) // HOUR, 1) for number, (start, end) in enumerate(windows)
    }
    for number, hour, money in _fetch(_BY_HOUR, viewer, account, windows, workflow_id):
        own = found[number - 1]
        own[min(hour, len(own) - 1)] += money
    return {number: tuple(own) for number, own in found.items()}


def _fetch(
    query: str, viewer: Viewer, account: Account, windows: Sequence[Span], workflow_id: UUID | None
) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            query,
            {
                "organization": viewer.organization_id,
                "account": account.pk,
                "zone": account.timezone,
                "starts": [span[0] for span in windows],
                "ends": [span[1] for span in windows],
                "workflow": workflow_id,
            },
        )
        return cursor.fetchall()


def median_window(sums: dict[int, list[Row]], count: int) -> int:
    """Return the number of the window whose spend is the (lower) median of those with use; 0: there is none."""
    used = [number for number in range(1, count + 1) if sums.get(number)]
    used.sort(key=lambda number: sum((row.spend for row in sums[number]), ZERO))
    return used[(len(used) - 1) // 2] if used else 0
