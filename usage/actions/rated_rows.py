"""The statements of rating: usage, prices and running totals in, rated days, spends and totals out; many at once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from usage.calc.day_rating import Rated, Use
from usage.calc.price_book import Dated, PriceBook


class Stretch(NamedTuple):
    """Local days [first, until) of an account that are rated, in the billing period that began on `start`."""

    account: str
    start: date
    first: date
    until: date


class Booked(NamedTuple):
    """A day of an account that changed, with the account's currency."""

    account: str
    day: date
    currency: str


_ACCOUNTS = """
SELECT account.id::text, account.currency, account.timezone, account.billing_day, kept.closed_until
FROM accounts_account AS account LEFT JOIN usage_settlement AS kept
    ON kept.organization_id = account.organization_id AND kept.account_id = account.id
WHERE account.organization_id = %s AND account.id = ANY(%s::uuid[])
"""

_PRICES = """
SELECT id::text, meter_id::text, account_id::text, currency, effective_on, terms::text FROM usage_price
WHERE organization_id = %s AND in_force AND (account_id IS NULL OR account_id = ANY(%s::uuid[]))
"""

# OFFSET 0 keeps each stretch a range of the index, whatever the planner believes about tables that just grew.
_USES = """
SELECT used.* FROM unnest(%s::uuid[], %s::date[], %s::date[]) AS stretch(account_id, first, until)
CROSS JOIN LATERAL (
    SELECT id, account_id::text, day, meter_id::text, "group", quantity, events, spend, workflow_id::text
    FROM usage_day WHERE organization_id = %s AND account_id = stretch.account_id
        AND day >= stretch.first AND day < stretch.until OFFSET 0
) AS used
"""

_WORKFLOW_KEYS = "SELECT id::text, key FROM usage_workflow WHERE organization_id = %s AND id = ANY(%s::uuid[])"

_COLUMNS = (
    "account_id::text, day, meter_id::text, cell, price_id::text, quantity, events, amount, total_quantity,"
    " total_events, total_due, total_amount"
)

_EXISTING = f"""
SELECT rated.* FROM unnest(%s::uuid[], %s::date[], %s::date[]) AS stretch(account_id, first, until)
CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM usage_rated_day WHERE organization_id = %s AND account_id = stretch.account_id
        AND day >= stretch.first AND day < stretch.until OFFSET 0
) AS rated
"""  # noqa: S608 - names of columns

_BEFORE = f"""
SELECT stretch.start, rated.* FROM unnest(%s::uuid[], %s::date[], %s::date[]) AS stretch(account_id, start, first)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (usage_rated_day.meter_id, cell) {_COLUMNS} FROM usage_rated_day
    WHERE organization_id = %s AND account_id = stretch.account_id
        AND usage_rated_day.day >= stretch.start AND usage_rated_day.day < stretch.first
    ORDER BY usage_rated_day.meter_id, cell, usage_rated_day.day DESC
) AS rated
"""  # noqa: S608 - names of columns

_EVENTS = """
SELECT event.occurred_at, event.properties::text, event.quantity
FROM usage_event AS event
WHERE event.organization_id = %(organization)s AND event.account_id = %(account)s
    AND event.meter_id = %(meter)s AND event.counted
    AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
    AND NOT EXISTS (SELECT FROM usage_ingestbatch AS batch WHERE batch.organization_id = event.organization_id
        AND batch.id = event.batch_id AND batch.rolled_at IS NULL)
    AND NOT EXISTS (SELECT FROM usage_correction AS correction
        WHERE correction.organization_id = event.organization_id
        AND (correction.original_key = event.key OR correction.reversal_key = event.key))
ORDER BY event.occurred_at, event.key LIMIT %(limit)s
"""

_WRITE = """
INSERT INTO usage_rated_day (organization_id, account_id, day, meter_id, cell, price_id, quantity, events, amount,
    total_quantity, total_events, total_due, total_amount)
SELECT %s, * FROM unnest(%s::uuid[], %s::date[], %s::uuid[], %s::text[], %s::uuid[], %s::numeric[], %s::bigint[],
    %s::numeric[], %s::numeric[], %s::bigint[], %s::numeric[], %s::numeric[])
ON CONFLICT (organization_id, account_id, day, meter_id, cell) DO UPDATE SET
    price_id = excluded.price_id, quantity = excluded.quantity, events = excluded.events, amount = excluded.amount,
    total_quantity = excluded.total_quantity, total_events = excluded.total_events,
    total_due = excluded.total_due, total_amount = excluded.total_amount
"""

_REMOVE = """
DELETE FROM usage_rated_day
USING unnest(%s::uuid[], %s::date[], %s::uuid[], %s::text[]) AS gone(account_id, day, meter_id, cell)
WHERE organization_id = %s AND usage_rated_day.account_id = gone.account_id AND usage_rated_day.day = gone.day
    AND usage_rated_day.meter_id = gone.meter_id AND usage_rated_day.cell = gone.cell
"""

# Locked in the order in which a tick adds to these rows (see upserts), so that the two never wait in a circle.
_WRITE_SPEND = """
WITH rated AS (SELECT * FROM unnest(%s::bigint[], %s::numeric[]) AS rated(id, spend)), locked AS MATERIALIZED (
    SELECT used.id FROM usage_day AS used JOIN rated ON rated.id = used.id
    JOIN usage_meter AS meter ON meter.organization_id = used.organization_id AND meter.id = used.meter_id
    WHERE used.organization_id = %s
    ORDER BY CASE meter.aggregation WHEN 'max' THEN 3 WHEN 'latest' THEN 2 ELSE 1 END, used.account_id, used.day,
        used.meter_id, used.workflow_id NULLS FIRST, used."group" COLLATE "C"
    FOR NO KEY UPDATE OF used
)
UPDATE usage_day SET spend = rated.spend FROM rated JOIN locked USING (id)
WHERE usage_day.id = rated.id AND usage_day.organization_id = %s
"""

# A day that has but an adjustment says of its last event what the days before it say.
_TOTALS = """
INSERT INTO account_day AS kept (organization_id, account_id, day, currency, spend, adjustment, unpriced_events,
    events, finished, successes, outcomes, last_event_at, settled_at)
SELECT %(organization)s, touched.account_id, touched.day, touched.currency,
    coalesce(rated.amount, 0) + coalesce(late.amount, 0), coalesce(late.amount, 0), coalesce(used.unpriced, 0),
    coalesce(used.events, 0), coalesce(used.finished, 0), coalesce(used.successes, 0), coalesce(used.outcomes, 0),
    coalesce(used.last_event_at, (SELECT max(earlier.last_event_at) FROM usage_day AS earlier
        WHERE earlier.organization_id = %(organization)s AND earlier.account_id = touched.account_id
            AND earlier.day < touched.day), %(now)s), %(now)s
FROM unnest(%(accounts)s::uuid[], %(days)s::date[], %(currencies)s::text[]) AS touched(account_id, day, currency)
CROSS JOIN LATERAL (
    SELECT sum(events) AS events, sum(events) FILTER (WHERE spend IS NULL) AS unpriced, sum(finished) AS finished,
        sum(successes) AS successes, sum(outcomes) AS outcomes, max(last_event_at) AS last_event_at
    FROM usage_day WHERE organization_id = %(organization)s AND account_id = touched.account_id
        AND day = touched.day
) AS used
CROSS JOIN LATERAL (
    SELECT sum(amount) AS amount, count(*) AS rows FROM usage_rated_day
    WHERE organization_id = %(organization)s AND account_id = touched.account_id AND day = touched.day
) AS rated
CROSS JOIN LATERAL (
    SELECT sum(amount) AS amount, count(*) AS rows FROM usage_adjustment
    WHERE organization_id = %(organization)s AND account_id = touched.account_id AND day = touched.day
) AS late
WHERE used.events IS NOT NULL OR rated.rows > 0 OR late.rows > 0
ORDER BY touched.account_id, touched.day
ON CONFLICT (organization_id, account_id, day) DO UPDATE SET
    currency = excluded.currency, spend = excluded.spend, adjustment = excluded.adjustment,
    unpriced_events = excluded.unpriced_events, events = excluded.events, finished = excluded.finished,
    successes = excluded.successes, outcomes = excluded.outcomes, last_event_at = excluded.last_event_at,
    settled_at = excluded.settled_at
WHERE (kept.currency, kept.spend, kept.adjustment, kept.unpriced_events, kept.events, kept.finished, kept.successes,
    kept.outcomes, kept.last_event_at)
IS DISTINCT FROM (excluded.currency, excluded.spend, excluded.adjustment, excluded.unpriced_events, excluded.events,
    excluded.finished, excluded.successes, excluded.outcomes, excluded.last_event_at)
"""

_BOOK = """
INSERT INTO usage_adjustment (id, organization_id, account_id, day, period_id, meter_id, cell, quantity, amount,
    reason)
SELECT id, %s, account_id, day, period_id, meter_id, cell, quantity, amount, reason
FROM unnest(%s::uuid[], %s::uuid[], %s::date[], %s::uuid[], %s::uuid[], %s::text[], %s::numeric[], %s::numeric[],
    %s::text[]) AS late(id, account_id, day, period_id, meter_id, cell, quantity, amount, reason)
"""


def rows_of(statement: str, arguments: Any) -> list[tuple[Any, ...]]:
    """Run one statement and return what it returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []


def read_accounts(organization_id: UUID, accounts: Iterable[str]) -> list[tuple[Any, ...]]:
    """Return id, currency, time zone, billing day and `closed_until` of each account."""
    return rows_of(_ACCOUNTS, [organization_id, list(accounts)])


def read_prices(organization_id: UUID, accounts: Iterable[str]) -> PriceBook:
    """Return the organization's prices in force, and those of the accounts."""
    return PriceBook(Dated(*row) for row in rows_of(_PRICES, [organization_id, list(accounts)]))


def read_uses(organization_id: UUID, stretches: Sequence[Stretch]) -> list[Use]:
    """Return the usage of the stretches, by account, day, meter, workflow and group.

    In an order that does not depend on which event came first, because of equal parts the first gets the odd cent.
    """
    columns = [[s.account for s in stretches], [s.first for s in stretches], [s.until for s in stretches]]
    uses = [Use(*row) for row in rows_of(_USES, [*columns, organization_id])]
    shared = Counter((use.account, use.day, use.meter) for use in uses)
    named = {use.workflow for use in uses if use.workflow and shared[use.account, use.day, use.meter] > 1}
    keys = dict(rows_of(_WORKFLOW_KEYS, [organization_id, list(named)])) if named else {}
    uses.sort(key=lambda use: (use.account, use.day, use.meter, keys.get(use.workflow, ""), use.group))
    return uses


def read_rated(organization_id: UUID, stretches: Sequence[Stretch]) -> list[Rated]:
    """Return the rated days of the stretches as they are."""
    columns = [[s.account for s in stretches], [s.first for s in stretches], [s.until for s in stretches]]
    return [Rated(*row) for row in rows_of(_EXISTING, [*columns, organization_id])]


def read_before(organization_id: UUID, stretches: Sequence[Stretch]) -> list[tuple[date, Rated]]:
    """Return for each stretch the last rated day of each line between its period's start and its first day."""
    later = [s for s in stretches if s.start < s.first]
    if not later:
        return []
    columns = [[s.account for s in later], [s.start for s in later], [s.first for s in later]]
    return [(row[0], Rated(*row[1:])) for row in rows_of(_BEFORE, [*columns, organization_id])]


def read_events(
    organization_id: UUID, account: str, meter: str, between: tuple[datetime, datetime], limit: int
) -> list[tuple[datetime, str, Decimal]]:
    """Return time, properties (JSON) and quantity of the first `limit` counted, uncorrected events, by time.

    Those that no tick has merged yet are left out, because the sums of their days do not have them either.
    """
    names = ("organization", "account", "meter", "start", "end", "limit")
    return rows_of(_EVENTS, dict(zip(names, (organization_id, account, meter, *between, limit), strict=True)))


def write_rated(organization_id: UUID, rows: Sequence[Rated]) -> None:
    """Insert or replace rated days."""
    if rows:
        ordered = sorted(rows, key=lambda row: row.key)
        rows_of(_WRITE, [organization_id, *(list(column) for column in zip(*ordered, strict=True))])


def remove_rated(organization_id: UUID, rows: Sequence[Rated]) -> None:
    """Remove rated days whose line is no more, such as the plain one where a matrix price has come."""
    if rows:
        keys = [list(column) for column in zip(*(row.key for row in rows), strict=True)]
        rows_of(_REMOVE, [*keys, organization_id])


def write_spends(organization_id: UUID, spends: dict[int, Decimal | None]) -> None:
    """Set what rows of usage cost, by their ids."""
    if spends:
        rows_of(_WRITE_SPEND, [list(spends), list(spends.values()), organization_id, organization_id])


def write_totals(organization_id: UUID, days: Iterable[Booked], now: datetime) -> None:
    """Write the accounts' totals of these days anew; a row that would not change is left alone."""
    ordered = sorted(set(days))
    if ordered:
        accounts, dates, currencies = (list(column) for column in zip(*ordered, strict=True))
        rows_of(
            _TOTALS,
            {
                "organization": organization_id,
                "accounts": accounts,
                "days": dates,
                "currencies": currencies,
                "now": now,
            },
        )


def write_adjustments(organization_id: UUID, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add adjustments: (id, account, day, period, meter, cell, quantity, amount, reason) each."""
    if rows:
        rows_of(_BOOK, [organization_id, *(list(column) for column in zip(*rows, strict=True))])
