"""What accounts spent day by day, read at once for many: what their forecasts learn from."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import numpy as np
from django.db import connection

from accounts.models import Account
from budgets.calc.usage_windows import Floats

HISTORY_DAYS = 400
HORIZON_DAYS = 400  # what is forecast from it
_EPOCH = date(2000, 1, 1)

# As text, in any order: numpy reads a list of numbers in one go, where a row a day would be a million objects.
_SPEND = """
SELECT wanted.account_id::text,
    string_agg((day - date '2000-01-01')::text || ' ' || (spend - adjustment)::text, ' ')
FROM unnest(%(accounts)s::uuid[], %(today)s::date[], %(currencies)s::text[]) AS wanted(account_id, today, currency)
JOIN account_day ON account_day.organization_id = %(organization)s AND account_day.account_id = wanted.account_id
    AND account_day.day < wanted.today AND account_day.day >= wanted.today - %(days)s
    AND account_day.currency = wanted.currency
GROUP BY wanted.account_id
"""


def histories(organization_id: UUID, accounts: Mapping[str, Account], today: Mapping[str, date]) -> dict[str, Floats]:
    """Return the spend of each of the accounts in `today` per day, from its first day with spend to yesterday.

    In its currency, without adjustments, of 400 days at most. Accounts without any are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _SPEND,
            {
                "organization": organization_id,
                "accounts": list(today),
                "today": list(today.values()),
                "currencies": [accounts[name].currency for name in today],
                "days": HISTORY_DAYS,
            },
        )
        return {name: _filled(text, today[name]) for name, text in cursor.fetchall()}


def _filled(text: str, today: date) -> Floats:
    """Return the days from the first with spend to yesterday; a day without a row is a day without use."""
    pairs = np.fromstring(text, sep=" ").reshape(-1, 2)
    pairs = pairs[pairs[:, 1] > 0]
    if not len(pairs):
        return np.empty(0)
    days = pairs[:, 0].astype(np.intp)
    first = int(days.min())
    found = np.zeros((today - _EPOCH).days - first)
    found[days - first] = pairs[:, 1]
    return found


def matrix(histories: Sequence[Floats]) -> Floats:
    """Return histories of different length as one array [accounts, days], right-aligned with NaN before."""
    width = max((len(one) for one in histories), default=0)
    found = np.full((len(histories), width), np.nan)
    for row, one in enumerate(histories):
        if len(one):
            found[row, width - len(one) :] = one
    return found
