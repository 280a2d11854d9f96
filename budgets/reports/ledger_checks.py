"""The comparisons of verify_ledger: each finds the first rows on which two steps of the way disagree, in words."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from budgets.calc.commit_terms import spelled

# Each: account, day, meter, commit, and the two numbers that should be the same.
_QUANTITIES = """
WITH used AS (
    SELECT account_id, day, meter_id, sum(quantity) AS quantity FROM usage_day
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) GROUP BY 1, 2, 3
), rated AS (
    SELECT account_id, day, meter_id, sum(quantity) AS quantity FROM usage_rated_day
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) GROUP BY 1, 2, 3
)
SELECT account_id, day, meter_id, NULL::uuid, coalesce(used.quantity, 0), coalesce(rated.quantity, 0)
FROM used FULL JOIN rated USING (account_id, day, meter_id)
JOIN usage_settlement AS kept USING (account_id)
WHERE kept.organization_id = %(organization)s AND (kept.closed_until IS NULL OR day >= kept.closed_until)
    AND coalesce(used.quantity, 0) <> coalesce(rated.quantity, 0)
ORDER BY 1, 2, 3 LIMIT 1
"""

# Late use of a closed period has no rated day, but an adjustment.
_CLOSED_QUANTITIES = """
WITH used AS (
    SELECT period.id, account_id, meter_id, sum(quantity) AS quantity
    FROM usage_day JOIN usage_billingperiod AS period USING (organization_id, account_id)
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
        AND day >= period.starts_on AND day < period.ends_on GROUP BY 1, 2, 3
), booked AS (
    SELECT id, account_id, meter_id, sum(quantity) AS quantity FROM (
        SELECT period.id, account_id, meter_id, quantity
        FROM usage_rated_day JOIN usage_billingperiod AS period USING (organization_id, account_id)
        WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
            AND day >= period.starts_on AND day < period.ends_on
        UNION ALL
        SELECT period_id, account_id, meter_id, quantity FROM usage_adjustment
        WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
    ) AS rows GROUP BY 1, 2, 3
)
SELECT account_id, period.starts_on, meter_id, NULL::uuid, coalesce(used.quantity, 0), coalesce(booked.quantity, 0)
FROM used FULL JOIN booked USING (id, account_id, meter_id)
JOIN usage_billingperiod AS period USING (id, account_id)
WHERE period.organization_id = %(organization)s AND coalesce(used.quantity, 0) <> coalesce(booked.quantity, 0)
ORDER BY 1, 2, 3 LIMIT 1
"""

# A minimum spend may be rated on a day on which the meter has no use.
_SHARES = """
WITH used AS (
    SELECT account_id, day, meter_id, coalesce(sum(spend), 0) AS amount FROM usage_day
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) GROUP BY 1, 2, 3
), rated AS (
    SELECT account_id, day, meter_id, coalesce(sum(amount), 0) AS amount FROM usage_rated_day
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) GROUP BY 1, 2, 3
)
SELECT account_id, day, meter_id, NULL::uuid, coalesce(rated.amount, 0), used.amount
FROM used LEFT JOIN rated USING (account_id, day, meter_id) WHERE used.amount <> coalesce(rated.amount, 0)
ORDER BY 1, 2, 3 LIMIT 1
"""

_MONEY = """
    SELECT account_id, day, meter_id, amount FROM usage_rated_day
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) AND amount IS NOT NULL
    UNION ALL
    SELECT account_id, day, meter_id, amount FROM usage_adjustment
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
"""

_DAY_TOTALS = """
WITH money AS (SELECT account_id, day, sum(amount) AS amount FROM ({money}) AS rows GROUP BY 1, 2),
totals AS (
    SELECT account_id, day, spend AS amount FROM account_day
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
)
SELECT account_id, day, NULL::uuid, NULL::uuid, coalesce(money.amount, 0), coalesce(totals.amount, 0)
FROM money FULL JOIN totals USING (account_id, day)
WHERE coalesce(money.amount, 0) <> coalesce(totals.amount, 0)
ORDER BY 1, 2 LIMIT 1
"""

_BOOKED = """
WITH money AS (
    SELECT account_id, day, meter_id, sum(amount) AS amount FROM ({money}) AS rows
    JOIN usage_settlement AS kept USING (account_id)
    WHERE kept.organization_id = %(organization)s AND day < kept.booked_until GROUP BY 1, 2, 3
), ledger AS (
    SELECT account_id, day, meter_id, sum(CASE WHEN kind = 'drawn' THEN -amount ELSE amount END) AS amount
    FROM budgets_ledgerentry
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
        AND kind IN ('drawn', 'overage') GROUP BY 1, 2, 3
)
SELECT account_id, day, meter_id, NULL::uuid, coalesce(money.amount, 0), coalesce(ledger.amount, 0)
FROM money FULL JOIN ledger USING (account_id, day, meter_id)
WHERE coalesce(money.amount, 0) <> coalesce(ledger.amount, 0)
ORDER BY 1, 2, 3 LIMIT 1
"""

_ONGOING_ROWS = """
    SELECT state.account_id, state.latest_on AS day, (today->>'meter')::uuid AS meter_id,
        (today->>'commit')::uuid AS commit_id, (today->>'amount')::numeric AS amount
    FROM budgets_ledgerstate AS state CROSS JOIN jsonb_array_elements(state.ongoing) AS today
    WHERE state.organization_id = %(organization)s AND state.account_id = ANY(%(accounts)s::uuid[])
"""

_ONGOING = """
WITH money AS (
    SELECT account_id, day, meter_id, sum(amount) AS amount FROM ({money}) AS rows
    JOIN budgets_ledgerstate AS state USING (account_id)
    WHERE state.organization_id = %(organization)s AND day = state.latest_on GROUP BY 1, 2, 3
), today AS (
    SELECT account_id, day, meter_id, sum(CASE WHEN commit_id IS NULL THEN amount ELSE -amount END) AS amount
    FROM ({today}) AS rows GROUP BY 1, 2, 3
)
SELECT account_id, day, meter_id, NULL::uuid, coalesce(money.amount, 0), coalesce(today.amount, 0)
FROM money FULL JOIN today USING (account_id, day, meter_id)
WHERE coalesce(money.amount, 0) <> coalesce(today.amount, 0)
ORDER BY 1, 2, 3 LIMIT 1
"""

_BALANCES = """
WITH ledger AS (
    SELECT commit_id, sum(amount) AS amount FROM budgets_ledgerentry
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) AND commit_id IS NOT NULL
    GROUP BY 1
), today AS (SELECT commit_id, sum(amount) AS amount FROM ({today}) AS rows GROUP BY 1),
sums AS (
    SELECT given.account_id, given.id AS commit_id, coalesce(ledger.amount, 0) AS settled,
        coalesce(ledger.amount, 0) + coalesce(today.amount, 0) AS ongoing
    FROM budgets_commit AS given LEFT JOIN ledger ON ledger.commit_id = given.id
    LEFT JOIN today ON today.commit_id = given.id
    WHERE given.organization_id = %(organization)s AND given.account_id = ANY(%(accounts)s::uuid[])
)
SELECT sums.account_id, NULL::date, NULL::uuid, sums.commit_id,
    CASE WHEN sums.settled <> coalesce(kept.settled, 0) THEN sums.settled ELSE sums.ongoing END,
    CASE WHEN sums.settled <> coalesce(kept.settled, 0) THEN coalesce(kept.settled, 0) ELSE coalesce(kept.ongoing, 0)
    END
FROM sums LEFT JOIN budgets_commitbalance AS kept
    ON kept.organization_id = %(organization)s AND kept.commit_id = sums.commit_id
WHERE (sums.settled, sums.ongoing) IS DISTINCT FROM (coalesce(kept.settled, 0), coalesce(kept.ongoing, 0))
ORDER BY 1, 4 LIMIT 1
"""

_CLOSED = """
WITH money AS (
    SELECT period.id, sum(rows.amount) AS amount FROM ({money}) AS rows
    JOIN usage_billingperiod AS period USING (account_id)
    WHERE period.organization_id = %(organization)s AND day >= period.starts_on AND day < period.ends_on GROUP BY 1
)
SELECT period.account_id, period.starts_on, NULL::uuid, NULL::uuid, period.amount, coalesce(money.amount, 0)
FROM usage_billingperiod AS period LEFT JOIN money USING (id)
WHERE period.organization_id = %(organization)s AND period.account_id = ANY(%(accounts)s::uuid[])
    AND period.amount <> coalesce(money.amount, 0)
ORDER BY 1, 2 LIMIT 1
"""

# Also in closed periods, which are not drawn anew. A recurrence may be given with its amendments, so those are left to
# the drawing anew.
_GRANTS = """
SELECT given.account_id, given.effective_on, NULL::uuid, given.id, given.value, sum(entry.amount)
FROM budgets_commit AS given
JOIN budgets_ledgerentry AS entry ON entry.organization_id = given.organization_id
    AND entry.account_id = given.account_id AND entry.commit_id = given.id AND entry.kind = 'granted'
WHERE given.organization_id = %(organization)s AND given.account_id = ANY(%(accounts)s::uuid[])
    AND given.recurs_months IS NULL
GROUP BY given.id HAVING sum(entry.amount) NOT IN (0, given.value)
ORDER BY 1, 2 LIMIT 1
"""

_STEPS = (
    ("rolled up", "rated", _QUANTITIES, "quantity"),
    ("rolled up", "rated and adjusted", _CLOSED_QUANTITIES, "quantity"),
    ("rated", "shared out to workflows", _SHARES, "money"),
    ("rated and adjusted", "in the day's total", _DAY_TOTALS, "money"),
    ("rated and adjusted", "drawn and overage", _BOOKED, "money"),
    ("rated today", "drawn and overage today", _ONGOING, "money"),
    ("in the ledger", "in the balance", _BALANCES, "money"),
    ("the commit's worth", "granted in the ledger", _GRANTS, "money"),
    ("frozen when the period was closed", "rated and adjusted in it", _CLOSED, "money"),
)

_FIGURES = """
SELECT account.currency, step, sum(amount) FROM (
    SELECT account_id, 'rated' AS step, amount FROM usage_rated_day
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) AND amount IS NOT NULL
    UNION ALL
    SELECT account_id, 'adjusted', amount FROM usage_adjustment
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
    UNION ALL
    SELECT account_id, kind, CASE WHEN kind = 'drawn' THEN -amount ELSE amount END FROM budgets_ledgerentry
    WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
        AND kind IN ('drawn', 'overage')
    UNION ALL
    SELECT account_id, 'ongoing', CASE WHEN commit_id IS NULL THEN amount ELSE -amount END
    FROM ({today}) AS today
) AS steps JOIN accounts_account AS account
    ON account.organization_id = %(organization)s AND account.id = account_id
GROUP BY 1, 2
"""


class Difference(NamedTuple):
    """Two steps of the way that disagree: about which account, day, meter or commit, and both numbers."""

    before: str
    after: str
    unit: str
    account: UUID
    day: date | None
    meter: UUID | None
    commit: UUID | None
    amount: Decimal
    amount_after: Decimal


def first_difference(organization_id: UUID, accounts: Sequence[str]) -> Difference | None:
    """Return the first row of the accounts on which two neighbouring steps disagree. Within `act_as`."""
    arguments: dict[str, Any] = {"organization": organization_id, "accounts": list(accounts)}
    with connection.cursor() as cursor:
        for before, after, statement, unit in _STEPS:
            cursor.execute(_composed(statement), arguments)
            row = cursor.fetchone()
            if row:
                return Difference(before, after, unit, *row)
    return None


def _composed(statement: str) -> str:
    """Put in the parts that several statements share."""
    return statement.format(money=_MONEY, today=_ONGOING_ROWS)


def figures_of(organization_id: UUID, accounts: Sequence[str]) -> dict[tuple[str, str], Decimal]:
    """Return (currency, step) → total: rated, adjusted, drawn, overage, and ongoing (today's, not yet booked)."""
    with connection.cursor() as cursor:
        arguments: dict[str, Any] = {"organization": organization_id, "accounts": list(accounts)}
        cursor.execute(_composed(_FIGURES), arguments)
        return {(currency, step): amount for currency, step, amount in cursor.fetchall()}


def in_words(difference: Difference, names: Mapping[UUID, str], currency: str) -> str:
    """Say where two steps disagree; `names` of accounts, meters and commits."""
    where = [names.get(difference.account, str(difference.account))]
    if difference.day:
        where.append(spelled(difference.day))
    where += [names.get(what, str(what)) for what in (difference.meter, difference.commit) if what]
    unit = f" {currency}" if difference.unit == "money" else ""
    return (
        f"{', '.join(where)}: {_plain(difference.amount)}{unit} {difference.before},"
        f" {_plain(difference.amount_after)}{unit} {difference.after}"
    )


def _plain(amount: Any) -> str:
    text = f"{amount:,f}"
    if "." not in text:
        return text
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals:0<2}" if decimals else whole
