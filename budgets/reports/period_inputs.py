"""What the open billing period has used so far, line by line, and the days behind it: to forecast it by quantity."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.db import connection

from budgets.calc.usage_windows import Floats
from usage.calc.billing_periods import Span
from usage.calc.prices import ZERO

QUANTITY_DAYS = 120

# One row a line: its last running totals of the period, and its days of the last months as text for numpy.
_LINES = """
SELECT wanted.account_id::text, line.meter_id::text, line.cell, line.days, totals.total_quantity,
    totals.total_events, totals.total_amount
FROM unnest(%(accounts)s::uuid[], %(today)s::date[], %(starts)s::date[]) AS wanted(account_id, today, starts_on)
CROSS JOIN LATERAL (
    SELECT meter_id, cell, string_agg((wanted.today - day)::text || ' ' || quantity::text, ' ') AS days
    FROM usage_rated_day WHERE organization_id = %(organization)s AND account_id = wanted.account_id
        AND day < wanted.today AND day >= wanted.today - %(days)s
    GROUP BY meter_id, cell OFFSET 0
) AS line
LEFT JOIN LATERAL (
    SELECT total_quantity, total_events, total_amount FROM usage_rated_day
    WHERE organization_id = %(organization)s AND account_id = wanted.account_id AND meter_id = line.meter_id
        AND cell = line.cell AND day < wanted.today AND day >= wanted.starts_on
    ORDER BY day DESC LIMIT 1
) AS totals ON true
ORDER BY 1, 2, 3
"""

_SPENT = """
SELECT wanted.account_id::text, coalesce(sum(spend), 0)
FROM unnest(%(accounts)s::uuid[], %(today)s::date[], %(starts)s::date[]) AS wanted(account_id, today, starts_on)
LEFT JOIN account_day ON account_day.organization_id = %(organization)s
    AND account_day.account_id = wanted.account_id AND day >= wanted.starts_on AND day < wanted.today
GROUP BY 1
"""


class PeriodLine(NamedTuple):
    """One meter and cell: `days` of quantity, oldest first, ending yesterday; the totals of the period until then."""

    meter: str
    cell: str
    days: Floats
    quantity: Decimal
    events: int
    amount: Decimal


def period_lines(
    organization_id: UUID, today: Mapping[str, date], spans: Mapping[str, Span]
) -> dict[str, list[PeriodLine]]:
    """Return each account's lines."""
    found: dict[str, list[PeriodLine]] = {name: [] for name in today}
    for name, meter, cell, days, quantity, events, amount in _rows(_LINES, organization_id, today, spans):
        found[name].append(PeriodLine(meter, cell, _days(days), quantity or ZERO, events or 0, amount or ZERO))
    return found


def spent_so_far(organization_id: UUID, today: Mapping[str, date], spans: Mapping[str, Span]) -> dict[str, Decimal]:
    """Return what each account's open period has cost before today, adjustments included."""
    return dict(_rows(_SPENT, organization_id, today, spans))


def _rows(
    query: str, organization_id: UUID, today: Mapping[str, date], spans: Mapping[str, Span]
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            query,
            {
                "organization": organization_id,
                "accounts": list(today),
                "today": list(today.values()),
                "starts": [spans[name].start for name in today],
                "days": QUANTITY_DAYS,
            },
        )
        return cursor.fetchall()


def _days(text: str) -> Floats:
    pairs = np.fromstring(text, sep=" ").reshape(-1, 2)
    ago = pairs[:, 0].astype(int)
    found = np.zeros(ago.max())
    found[len(found) - ago] = np.maximum(pairs[:, 1], 0.0)
    return found
