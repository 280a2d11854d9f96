"""What the draw reads: money by local day and meter, the ledger's current entries, and why days were touched."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from budgets.calc.drawn_days import DayUse, EntryKey
from usage.models import TouchedDay

# LATERAL, so that the planner walks each account's index whatever its statistics say.
_USE = """
SELECT start.account_id::text, used.day, used.meter_id::text, used.amount
FROM unnest(%(accounts)s::uuid[], %(days)s::date[]) AS start(account_id, from_day)
CROSS JOIN LATERAL (
    SELECT day, meter_id, sum(amount) AS amount FROM (
        SELECT day, meter_id, amount FROM usage_rated_day AS rated
        WHERE rated.organization_id = %(organization)s AND rated.account_id = start.account_id
            AND rated.day >= start.from_day AND rated.amount IS NOT NULL
        UNION ALL
        SELECT day, meter_id, amount FROM usage_adjustment AS adjustment
        WHERE adjustment.organization_id = %(organization)s AND adjustment.account_id = start.account_id
            AND adjustment.day >= start.from_day
    ) AS money GROUP BY day, meter_id OFFSET 0
) AS used
ORDER BY 1, 2, 3
"""

_LIVE = """
SELECT start.account_id::text, entry.id::text, entry.commit_id::text, entry.kind, entry.day, entry.meter_id::text,
    entry.amount
FROM unnest(%(accounts)s::uuid[], %(days)s::date[]) AS start(account_id, from_day)
CROSS JOIN LATERAL (
    SELECT id, commit_id, kind, day, meter_id, amount FROM budgets_ledgerentry AS booked
    WHERE booked.organization_id = %(organization)s AND booked.account_id = start.account_id
        AND booked.day >= start.from_day AND booked.reverses_id IS NULL
        AND NOT EXISTS (SELECT FROM budgets_ledgerentry AS reversal
            WHERE reversal.organization_id = %(organization)s AND reversal.reverses_id = booked.id)
    OFFSET 0
) AS entry
"""


class LiveEntry(NamedTuple):
    """An entry that counts: neither reversed nor a reversal."""

    id: str
    amount: Decimal


def use_since(organization_id: UUID, from_days: Mapping[str, date]) -> dict[str, list[DayUse]]:
    """Return the money of each account's days from its day on; adjustments count on the day they are booked."""
    found: dict[str, list[DayUse]] = defaultdict(list)
    for account, day, meter, amount in _rows(_USE, organization_id, from_days):
        found[account].append(DayUse(day, meter, amount))
    return found


def live_entries(organization_id: UUID, from_days: Mapping[str, date]) -> dict[str, dict[EntryKey, list[LiveEntry]]]:
    """Return each account's current ledger entries from its day on, by what they book."""
    found: dict[str, dict[EntryKey, list[LiveEntry]]] = defaultdict(lambda: defaultdict(list))
    for account, name, commit, kind, day, meter, amount in _rows(_LIVE, organization_id, from_days):
        found[account][EntryKey(commit, kind, day, meter)].append(LiveEntry(name, amount))
    return found


def reasons_of(organization_id: UUID, accounts: Iterable[str]) -> dict[str, list[tuple[date, str]]]:
    """Return the marked days of each account and why they were marked, earliest first."""
    found: dict[str, list[tuple[date, str]]] = defaultdict(list)
    rows = TouchedDay.objects.filter(organization_id=organization_id, account__in=list(accounts)).order_by("day")
    for account, day, reason in rows.values_list("account_id", "day", "reason"):
        found[str(account)].append((day, reason))
    return found


def _rows(statement: str, organization_id: UUID, from_days: Mapping[str, date]) -> list[tuple[Any, ...]]:
    if not from_days:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "organization": organization_id,
                "accounts": list(from_days),
                "days": list(from_days.values()),
            },
        )
        return list(cursor.fetchall())
