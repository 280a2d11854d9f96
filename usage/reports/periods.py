"""An account's billing periods: the closed ones, the one that is open, and which is to be closed next."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from django.db import connection
from django.db.models import Min

from accounts.models import Account
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import Span, billing_span, billing_spans
from usage.models import Adjustment, BillingPeriod, Settlement, UsageDay


class State(StrEnum):
    """Where a billing period stands."""

    OPEN = "open"  # runs
    ENDED = "ended"  # is over, and still takes what comes late
    CLOSED = "closed"  # frozen


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period [starts_on, ends_on) of local days; `row` is set for a closed one."""

    starts_on: date
    ends_on: date
    state: State
    row: BillingPeriod | None = None


def today_of(account: Account, now: datetime) -> date:
    """Return the account's local day at `now`."""
    return day_of(now, zone_of(account.timezone))


def closed_until(viewer: Viewer, account: Account) -> date | None:
    """Return the first local day that is not frozen, or None when nothing is."""
    kept = Settlement.objects.visible_to(viewer).filter(account_id=account.pk)
    day: date | None = kept.values_list("closed_until", flat=True).first()
    return day


def open_period(viewer: Viewer, account: Account, now: datetime) -> Span:
    """Return the billing period of the account's local day at `now`.

    It starts on the billing day (29 to 31 clamp to the month's last day), or where the last closed one ended.
    """
    return period_of_day(viewer, account, today_of(account, now))


def period_of_day(viewer: Viewer, account: Account, day: date) -> Span:
    """Return the billing period around a local day, a closed one as it was closed."""
    row = BillingPeriod.objects.visible_to(viewer).filter(account=account, starts_on__lte=day, ends_on__gt=day).first()
    if row is not None:
        return Span(row.starts_on, row.ends_on)
    return billing_span(day, account.billing_day, closed_until(viewer, account))


def next_to_close(viewer: Viewer, account: Account, now: datetime) -> Span | None:
    """Return the oldest billing period that is not closed, whether it has ended or not; None without any usage."""
    first = closed_until(viewer, account) or _first_day(viewer, account)
    if first is None:
        return None
    return billing_span(first, account.billing_day, closed_until(viewer, account))


_FIRST_OPEN_DAYS = """
SELECT account.id, kept.closed_until, coalesce(kept.closed_until, least(
    (SELECT min(used.day) FROM usage_day AS used
        WHERE used.organization_id = account.organization_id AND used.account_id = account.id),
    (SELECT min(late.day) FROM usage_adjustment AS late
        WHERE late.organization_id = account.organization_id AND late.account_id = account.id)))
FROM accounts_account AS account LEFT JOIN usage_settlement AS kept
    ON kept.organization_id = account.organization_id AND kept.account_id = account.id
WHERE account.organization_id = %s AND account.id = ANY(%s::uuid[])
"""


def oldest_open_spans(viewer: Viewer, accounts: Iterable[Account]) -> dict[UUID, Span]:
    """Return `next_to_close` of many accounts, by id, in one query; those without any usage are left out."""
    billing_days = {account.pk: account.billing_day for account in accounts}
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_OPEN_DAYS, [viewer.organization_id, list(billing_days)])
        return {
            account: billing_span(first, billing_days[account], closed)
            for account, closed, first in cursor.fetchall()
            if first is not None
        }


def periods(viewer: Viewer, account: Account, now: datetime) -> list[Period]:
    """Return all billing periods of the account up to the running one, the latest first."""
    closed = BillingPeriod.objects.visible_to(viewer).filter(account=account).order_by("starts_on")
    found = [Period(row.starts_on, row.ends_on, State.CLOSED, row) for row in closed]
    today = today_of(account, now)
    until = closed_until(viewer, account)
    first = until or _first_day(viewer, account) or today
    for span in billing_spans(first, date.fromordinal(today.toordinal() + 1), account.billing_day, until):
        found.append(Period(span.start, span.end, State.ENDED if span.has_ended(today) else State.OPEN))
    return found[::-1]


def _first_day(viewer: Viewer, account: Account) -> date | None:
    days = []
    for model in (UsageDay, Adjustment):
        rows = model.objects.visible_to(viewer).filter(account=account)
        days.append(rows.aggregate(first=Min("day"))["first"])
    return min((day for day in days if day is not None), default=None)
