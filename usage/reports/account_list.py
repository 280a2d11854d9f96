"""The list of accounts: what each spent this month and against the last, in its own currency and on its own calendar.

Amounts of different currencies are never added or compared. Only closed local days are compared with the month
before; today's part of a day counts in "this month" alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from accounts.models import Account
from consumption_cs.lib.periods import DAY, add_months, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.models import AccountDay
from usage.reports.account_lines import AccountLine, AccountQuery, fits, is_silent, order

SPARK_DAYS = 30


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """What the listed accounts of one currency spent this month."""

    currency: str
    spend: Decimal
    accounts: int


@dataclass(frozen=True, slots=True)
class AccountList:
    """All lines that fit the query, in order, and what to say about them. Sparklines are added per page."""

    lines: list[AccountLine]
    everything: int
    mine: int
    silent: int
    waiting: int
    totals: list[CurrencyTotal]
    currencies: list[str]
    csms: list[tuple[str, str]]


def account_list(viewer: Viewer, query: AccountQuery, now: datetime) -> AccountList:
    """Return the accounts that `viewer` may see and `query` asks for. Three queries for any number."""
    everyone = [_line(row, viewer, now) for row in _accounts(viewer)]
    _add_figures(everyone, viewer)
    chosen = [line for line in everyone if fits(line, query, now)]
    chosen.sort(key=lambda line: (line.name.lower(), str(line.id)), reverse=query.sort == "-name")
    chosen.sort(key=order(query, chosen))
    return AccountList(
        lines=chosen,
        everything=len(everyone),
        mine=sum(line.is_mine for line in everyone),
        silent=sum(is_silent(line, now) for line in everyone),
        waiting=sum(line.last_event_at is None for line in everyone),
        totals=_totals(chosen),
        currencies=sorted({line.currency for line in everyone}),
        csms=sorted(
            {(str(line.csm_id), line.csm) for line in everyone if line.csm_id}, key=lambda csm: csm[1].lower()
        ),
    )


def add_sparklines(lines: Sequence[AccountLine], viewer: Viewer) -> None:
    """Fill `days` of these lines: spend of the last 30 closed days, 0 for a day without use, None before the first."""
    if not lines:
        return
    first = min(line.today for line in lines) - SPARK_DAYS * DAY
    rows = AccountDay.objects.visible_to(viewer).filter(account__in=[line.id for line in lines], day__gte=first)
    spent: dict[UUID, dict[date, Decimal]] = {}
    for account_id, day, spend in rows.values_list("account_id", "day", "spend"):
        spent.setdefault(account_id, {})[day] = spend
    for line in lines:
        own = spent.get(line.id)
        if own:
            line.days = _last_days(own, line.today)


def _last_days(spent: dict[date, Decimal], today: date) -> list[Decimal | None]:
    begun = min(spent)
    days = [today - ahead * DAY for ahead in range(SPARK_DAYS, 0, -1)]
    return [None if day < begun else spent.get(day, Decimal(0)) for day in days]


_FIELDS = (
    "id",
    "key",
    "name",
    "segment",
    "tier",
    "currency",
    "timezone",
    "contract_ends_on",
    "csm_id",
    "field_cto_id",
)


def _accounts(viewer: Viewer) -> Iterable[dict[str, Any]]:
    people = {f"{role}_{part}": F(f"{role}__{part}") for role in ("csm", "field_cto") for part in ("name", "email")}
    return Account.objects.visible_to(viewer).values(*_FIELDS, **people)


def _line(row: dict[str, Any], viewer: Viewer, now: datetime) -> AccountLine:
    mine = viewer.user_id is not None and viewer.user_id in (row["csm_id"], row["field_cto_id"])
    return AccountLine(
        id=row["id"],
        key=row["key"],
        name=row["name"],
        segment=row["segment"],
        tier=row["tier"],
        currency=row["currency"],
        timezone=row["timezone"],
        contract_ends_on=row["contract_ends_on"],
        csm_id=row["csm_id"],
        csm=row["csm_name"] or row["csm_email"] or "",
        field_cto=row["field_cto_name"] or row["field_cto_email"] or "",
        today=day_of(now, zone_of(row["timezone"])),
        is_mine=mine,
    )


def _add_figures(lines: list[AccountLine], viewer: Viewer) -> None:
    by_id = {line.id: line for line in lines}
    for row in _sums(lines, viewer):
        line = by_id[row["account_id"]]
        line.unpriced_events += row["unpriced"] or 0
        line.finished += row["finished_runs"] or 0
        line.successes += row["succeeded_runs"] or 0
        line.last_event_at = max(filter(None, (line.last_event_at, row["last"])))
        if row["currency"] == line.currency:
            line.spend, line.closed_spend, line.before_spend = row["month_spend"], row["closed"], row["before"]
    quiet = [line.id for line in lines if line.last_event_at is None]
    if quiet:
        for account_id, last in _last_events(quiet, viewer):
            by_id[account_id].last_event_at = last
    for line in lines:
        if line.last_event_at is not None:
            _say_zero(line)


def _say_zero(line: AccountLine) -> None:
    """An account that ever had use and has no day in a window used nothing in it; one that never had is unknown."""
    line.spend = line.spend or Decimal(0)
    if line.today.day > 1:
        line.closed_spend = line.closed_spend or Decimal(0)


def _sums(lines: list[AccountLine], viewer: Viewer) -> Iterator[dict[str, Any]]:
    """Sums per account and currency since last month began. "Today" has at most three dates around the world."""
    same_day: dict[date, list[UUID]] = {}
    for line in lines:
        same_day.setdefault(line.today, []).append(line.id)
    for today, accounts in same_day.items():
        days = AccountDay.objects.visible_to(viewer).filter(day__gte=_before_start(today))
        if len(same_day) > 1:
            days = days.filter(account_id__in=accounts)
        with _grouping_by_hash():
            yield from days.values("account_id", "currency").annotate(**_windows(today)).order_by()


def _windows(today: date) -> dict[str, Any]:
    month, closed, before, recent = (_within(*window(today)) for window in (_month, _closed, _before, _recent))
    return {
        "month_spend": Sum("spend", filter=month),
        "unpriced": Sum("unpriced_events", filter=month),
        "closed": Sum("spend", filter=closed),
        "before": Sum("spend", filter=before),
        "finished_runs": Sum("finished", filter=recent),
        "succeeded_runs": Sum("successes", filter=recent),
        "last": Max("last_event_at"),
    }


@contextmanager
def _grouping_by_hash() -> Iterator[None]:
    """Row-level security hides from the planner how many rows there are; it would sort tens of thousands on disk."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        yield
        cursor.execute("SET LOCAL enable_sort = on")


def _within(start: date, end: date) -> Q:
    return Q(day__gte=start, day__lt=end)


def _last_events(accounts: list[UUID], viewer: Viewer) -> QuerySet[Any]:
    newest = AccountDay.objects.filter(organization_id=viewer.organization_id, account=OuterRef("pk")).order_by("-day")
    return (
        Account.objects.visible_to(viewer)
        .filter(pk__in=accounts)
        .annotate(last=Subquery(newest.values("last_event_at")[:1]))
        .values_list("pk", "last")
    )


def _month(today: date) -> tuple[date, date]:
    return today.replace(day=1), today + DAY


def _closed(today: date) -> tuple[date, date]:
    """Closed days of this month; those for which last month has no date to compare with are left out."""
    start, last_month = today.replace(day=1), _before_start(today)
    return start, start + min(today - start, today.replace(day=1) - last_month)


def _before(today: date) -> tuple[date, date]:
    start, end = _closed(today)
    return _before_start(today), _before_start(today) + (end - start)


def _recent(today: date) -> tuple[date, date]:
    return today - SPARK_DAYS * DAY, today


def _before_start(today: date) -> date:
    return add_months(today.replace(day=1), -1)


def _totals(lines: list[AccountLine]) -> list[CurrencyTotal]:
    counts = Counter(line.currency for line in lines)
    return [
        CurrencyTotal(
            currency, sum((line.spend or Decimal(0) for line in lines if line.currency == currency), Decimal(0)), count
        )
        for currency, count in counts.most_common()
    ]
