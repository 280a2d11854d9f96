"""Settlement: from the usage of touched days to money, and to the totals that pages read."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from math import inf
from typing import NamedTuple
from uuid import UUID

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Q

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.roll_up import hold_roll_up
from usage.calc.flat_price import PriceList, UnitPrice, rate
from usage.models import Meter, Price

logger = logging.getLogger(__name__)

MAX_MARKS = 1000  # one transaction holds its marks for some tenths of a second
_POISON = (DataError, IntegrityError, ValueError, ArithmeticError)

Mark = tuple[str, date]  # an account and one of its local days

# Oldest first, so that an account that changes all the time does not keep the others waiting.
_CLAIM = """
SELECT account_id::text, day FROM usage_touched_day
WHERE organization_id = %s AND NOT account_id = ANY(%s::uuid[])
ORDER BY received_at LIMIT %s FOR UPDATE SKIP LOCKED
"""

_ROWS = """
SELECT id, account_id::text, day, meter_id::text, quantity, spend
FROM usage_day JOIN unnest(%s::uuid[], %s::date[]) AS touched(account_id, day) USING (account_id, day)
WHERE organization_id = %s
ORDER BY account_id, day, meter_id, workflow_id, "group"
"""

_WRITE_SPEND = """
UPDATE usage_day SET spend = rated.spend FROM unnest(%s::bigint[], %s::numeric[]) AS rated(id, spend)
WHERE usage_day.id = rated.id AND usage_day.organization_id = %s
"""

_TOTALS = """
INSERT INTO account_day AS kept (organization_id, account_id, day, currency, spend, unpriced_events, events,
    finished, successes, outcomes, last_event_at, settled_at)
SELECT organization_id, account_id, day, min(currency), coalesce(sum(spend), 0),
    coalesce(sum(events) FILTER (WHERE spend IS NULL), 0), sum(events), sum(finished), sum(successes),
    sum(outcomes), max(last_event_at), %s
FROM usage_day
JOIN unnest(%s::uuid[], %s::date[], %s::text[]) AS touched(account_id, day, currency) USING (account_id, day)
WHERE organization_id = %s
GROUP BY organization_id, account_id, day
ORDER BY account_id, day
ON CONFLICT (organization_id, account_id, day) DO UPDATE SET
    currency = excluded.currency, spend = excluded.spend, unpriced_events = excluded.unpriced_events,
    events = excluded.events, finished = excluded.finished, successes = excluded.successes,
    outcomes = excluded.outcomes, last_event_at = excluded.last_event_at, settled_at = excluded.settled_at
WHERE (kept.currency, kept.spend, kept.unpriced_events, kept.events, kept.finished, kept.successes, kept.outcomes,
    kept.last_event_at)
IS DISTINCT FROM (excluded.currency, excluded.spend, excluded.unpriced_events, excluded.events, excluded.finished,
    excluded.successes, excluded.outcomes, excluded.last_event_at)
"""

_CLEAR = """
DELETE FROM usage_touched_day USING unnest(%s::uuid[], %s::date[]) AS settled(account_id, day)
WHERE usage_touched_day.organization_id = %s AND usage_touched_day.account_id = settled.account_id
    AND usage_touched_day.day = settled.day
"""

_TOUCH = """
INSERT INTO usage_touched_day AS kept (organization_id, account_id, day, received_at)
SELECT DISTINCT organization_id, account_id, day, now() FROM usage_day
WHERE organization_id = %(organization)s AND day >= %(from_day)s
    AND (%(meter)s::uuid IS NULL OR meter_id = %(meter)s)
    AND (%(account)s::uuid IS NULL OR account_id = %(account)s)
ORDER BY account_id, day
ON CONFLICT (organization_id, account_id, day) DO UPDATE SET received_at = excluded.received_at
WHERE kept.received_at > excluded.received_at
"""


class DayRow(NamedTuple):
    """What settlement needs of one row of `usage_day`."""

    id: int
    account: str
    day: date
    meter: str
    quantity: Decimal
    spend: Decimal | None


def settle(organization_id: UUID, now: datetime, max_marks: int = MAX_MARKS, seconds: float = inf) -> int:
    """Rate all touched days of one organization and rewrite their totals; return how many days were settled.

    In transactions of at most `max_marks` days, each its own, until none is left or `seconds` have passed. Claims
    marks, so that any number of callers may run at once; settling twice changes nothing. An account that cannot be
    settled keeps its marks, is logged, and holds up no other. Raises OperationalError when the database goes away;
    what was settled until then stays.
    """
    start = time.monotonic()
    settled, failed = 0, set[str]()
    while True:
        with act_as(Viewer(organization_id)):
            marks = _claim(organization_id, failed, max_marks)
            bad = _settle_what_can_be(organization_id, now, marks)
        settled += sum(account not in bad for account, _ in marks)
        failed |= bad
        if len(marks) < max_marks or time.monotonic() - start > seconds:
            return settled


def touch_days(viewer: Viewer, meter: Meter | None, account: Account | None, from_day: date) -> int:
    """Mark the days on which a price, or an account's currency, changed the money; return how many.

    None stands for every meter or every account. To be called in the transaction that changes the price. No tick of
    this organization can finish before it ends, so that no new day slips through between marks and price.
    """
    hold_roll_up(viewer.organization_id, wait=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _TOUCH,
            {
                "organization": viewer.organization_id,
                "from_day": from_day,
                "meter": meter.pk if meter else None,
                "account": account.pk if account else None,
            },
        )
        return cursor.rowcount


def _claim(organization_id: UUID, without: set[str], max_marks: int) -> list[Mark]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [organization_id, sorted(without), max_marks])
        return sorted(cursor.fetchall())


def _settle_what_can_be(organization_id: UUID, now: datetime, marks: list[Mark]) -> set[str]:
    """Settle all together; if that fails, account by account. Returns the accounts that failed."""
    if not marks:
        return set()
    try:
        with transaction.atomic():
            _settle(organization_id, now, marks)
        return set()
    except _POISON:
        accounts = sorted({account for account, _ in marks})
        if len(accounts) == 1:
            logger.exception("account %s cannot be settled", accounts[0])
            return set(accounts)
    failed = set()
    for account in accounts:
        failed |= _settle_what_can_be(organization_id, now, [mark for mark in marks if mark[0] == account])
    return failed


def _settle(organization_id: UUID, now: datetime, marks: list[Mark]) -> None:
    accounts, days = [account for account, _ in marks], [day for _, day in marks]
    currencies = {
        str(pk): currency
        for pk, currency in Account.objects.filter(organization_id=organization_id, pk__in=set(accounts)).values_list(
            "pk", "currency"
        )
    }
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, [accounts, days, organization_id])
        rows = [DayRow(*row) for row in cursor.fetchall()]
        changed = _changed_spend(rows, _prices(organization_id, rows), currencies)
        if changed:
            cursor.execute(_WRITE_SPEND, [list(changed), list(changed.values()), organization_id])
        cursor.execute(_TOTALS, [now, accounts, days, [currencies[account] for account in accounts], organization_id])
        cursor.execute(_CLEAR, [accounts, days, organization_id])


def _prices(organization_id: UUID, rows: list[DayRow]) -> PriceList:
    prices = Price.objects.filter(
        Q(account=None) | Q(account__in={row.account for row in rows}),
        organization_id=organization_id,
        meter__in={row.meter for row in rows},
        in_force=True,
    )
    return PriceList(
        UnitPrice(
            str(price.meter_id),
            price.account_id and str(price.account_id),
            price.currency,
            price.effective_on,
            price.unit_price,
        )
        for price in prices.iterator()
        if price.unit_price is not None
    )


def _changed_spend(rows: Iterable[DayRow], prices: PriceList, currencies: dict[str, str]) -> dict[int, Decimal | None]:
    """Id of each row whose spend is not what it should be → what it should be."""
    changed = {}
    for (account, day, meter), parts in _by_meter_and_day(rows).items():
        price = prices.price_on(day, meter, account, currencies[account])
        for row, spend in zip(parts, rate([row.quantity for row in parts], price), strict=True):
            if row.spend != spend:
                changed[row.id] = spend
    return changed


def _by_meter_and_day(rows: Iterable[DayRow]) -> dict[tuple[str, date, str], list[DayRow]]:
    together = defaultdict(list)
    for row in rows:
        together[row.account, row.day, row.meter].append(row)
    return together
