"""How much of the revenue of before is still there, why the rest is not, and how consumption moved month by month."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from budgets.models import Commit
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.retention import LOOK_BACK, Retention, committed_gross, retention
from reviews.calc.walk import Walk, chained_walks, consumption_walk
from reviews.models import BookTerms
from reviews.reports.evidence import Explained, explained

ZERO = Decimal(0)
MONTHS = 27  # two years for looking back, and a quarter before for the rolling figures
SILENT_DAYS = 60  # without use: the account has left

# Local days at contract rates, as statements have them: a late correction counts on the day it was booked.
_MONTHS = """
SELECT days.account_id, date_trunc('month', days.day)::date, sum(days.spend)
FROM account_day AS days
WHERE days.organization_id = %(organization)s AND days.currency = %(currency)s
    AND days.day >= %(since)s AND days.day < %(until)s
GROUP BY 1, 2
"""
_LAST_USE = """
SELECT account_id, max(day) FROM account_day WHERE organization_id = %(organization)s AND spend > 0 GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Two spans of months [start, end) that are compared."""

    base: tuple[date, date]
    current: tuple[date, date]


@dataclass(frozen=True, slots=True)
class Rolling:
    """Retention of the quarter that ended with `month`, against the quarter before; None: nothing to compare."""

    month: date
    net: Decimal | None
    gross: Decimal | None


@dataclass(frozen=True, slots=True)
class RetentionSeen:
    """All that the page shows, in one currency. Percentages; None where there is not enough yet, for `why_not`.

    `look_back` compares the last 12 closed months with the 12 before, of who used it in the first of the 24;
    `quarter` the last closed quarter of months with the one before, of who used it then. `loss` explains the one of
    them that is shown (look-back if there is one).
    """

    currency: str
    currencies: list[str]
    until: date
    months_known: int
    look_back: Retention | None
    quarter: Retention
    shown: Retention
    span: Span
    evidence: Explained
    committed: Decimal | None
    committed_net: Decimal | None
    contracts: int
    rolling: list[Rolling]
    walks: list[tuple[date, Walk]]
    names: dict[str, str]
    terms: BookTerms
    losers: dict[str, int]
    by_month: dict[date, dict[str, Decimal]] = field(default_factory=dict)

    @property
    def last_day(self) -> date:
        """The last day that counts."""
        return self.until - timedelta(days=1)

    @property
    def months(self) -> list[date]:
        """The closed months that a walk can begin or end with, the oldest first."""
        return [add_months(self.walks[0][0], -1), *(month for month, _ in self.walks)] if self.walks else []

    def walk_between(self, first: date | None, last: date | None) -> tuple[date, date, Walk] | None:
        """Return the walk from one closed month to a later one, account by account; a quarter where not asked for.

        None without two closed months. Months that are not known, or are turned round, count as not asked for.
        """
        months = self.months
        if len(months) < 2:
            return None
        end = last if last in months[1:] else months[-1]
        begin = first if first in months and first < end else months[max(0, months.index(end) - 3)]
        return begin, end, consumption_walk(self.by_month.get(begin, {}), self.by_month.get(end, {}))

    @property
    def why_not(self) -> str:
        """Why there is no look-back."""
        return f"needs 24 closed months, has {self.months_known}"

    @property
    def real_loss(self) -> Decimal | None:
        """Points that were lost without an explanation that excuses them."""
        found = self.shown
        return None if found.gross_without_explained is None else 100 - found.gross_without_explained


def currencies_of(viewer: Viewer) -> list[str]:
    """Return the currencies of the accounts, the most frequent first."""
    counts: dict[str, int] = defaultdict(int)
    for code in Account.objects.visible_to(viewer).values_list("currency", flat=True):
        counts[code] += 1
    return sorted(counts, key=lambda code: (-counts[code], code))


def retention_seen(viewer: Viewer, now: datetime, currency: str = "") -> RetentionSeen:
    """Return the retention of one currency's accounts as of the last closed calendar month. About eight queries."""
    currencies = currencies_of(viewer)
    code = currency if currency in currencies else next(iter(currencies), "USD")
    until = now.date().replace(day=1)
    accounts = {str(row.pk): row for row in Account.objects.visible_to(viewer).filter(currency=code)}
    by_month = _by_month(viewer.organization_id, code, until)
    months = [add_months(until, -back) for back in range(MONTHS, 0, -1)]
    used = [month for month in months if by_month.get(month)]
    known = len(months) - months.index(used[0]) if used else 0
    quarter = Span((add_months(until, -6), add_months(until, -3)), (add_months(until, -3), until))
    year = Span(
        (add_months(until, -2 * LOOK_BACK), add_months(until, -LOOK_BACK)), (add_months(until, -LOOK_BACK), until)
    )
    has_years = known >= 2 * LOOK_BACK
    span = year if has_years else quarter
    ids = [row.pk for row in accounts.values()]
    evidence = explained(viewer, ids, span.base, span.current, now)
    gone = _gone(viewer.organization_id, until) | evidence.churned
    look_back = _retained(by_month, year, evidence, gone, cohort=year.base[0]) if has_years else None
    own = evidence if not has_years else explained(viewer, ids, quarter.base, quarter.current, now)
    last = _retained(by_month, quarter, own, gone)
    shown = look_back or last
    expiring, renewed = _contracts(viewer, accounts, add_months(until, -LOOK_BACK), until)
    return RetentionSeen(
        currency=code,
        currencies=currencies,
        until=until,
        months_known=known,
        look_back=look_back,
        quarter=last,
        shown=shown,
        span=span,
        evidence=evidence,
        committed=committed_gross(expiring, renewed),
        committed_net=_share(renewed, expiring),
        contracts=len(expiring),
        rolling=_rolling(by_month, months[-min(known, 13) :] if known else []),
        walks=_walks(by_month, months[-min(known, 13) :] if known else []),
        names={pk: row.name for pk, row in accounts.items()},
        terms=BookTerms.objects.visible_to(viewer).first() or BookTerms(),
        losers=_losers(by_month, span, gone),
        by_month=by_month,
    )


def _by_month(organization_id: UUID, currency: str, until: date) -> dict[date, dict[str, Decimal]]:
    """Return {month: {account: consumption}} of the closed months."""
    found: dict[date, dict[str, Decimal]] = defaultdict(dict)
    named: dict[str, Any] = {
        "organization": organization_id,
        "currency": currency,
        "since": add_months(until, -MONTHS),
        "until": until,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS, named)
        for account, month, spend in cursor.fetchall():
            found[month][str(account)] = spend
    return dict(found)


def _gone(organization_id: UUID, until: date) -> frozenset[str]:
    """Return who has not used anything for 60 days before `until`."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_USE, {"organization": organization_id})
        return frozenset(str(account) for account, last in cursor.fetchall() if (until - last).days >= SILENT_DAYS)


def _total(by_month: dict[date, dict[str, Decimal]], span: tuple[date, date]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for month, spent in by_month.items():
        if span[0] <= month < span[1]:
            for account, amount in spent.items():
                totals[account] += amount
    return dict(totals)


def _retained(
    by_month: dict[date, dict[str, Decimal]],
    span: Span,
    evidence: Explained,
    gone: frozenset[str],
    cohort: date | None = None,
) -> Retention:
    base, current = _total(by_month, span.base), _total(by_month, span.current)
    if cohort is not None:
        began = {account for account, amount in by_month.get(cohort, {}).items() if amount > 0}
        base = {account: amount for account, amount in base.items() if account in began}
    base = {account: amount for account, amount in base.items() if amount > 0}
    # Notice given, or no use for sixty days: nothing of it counts as retained.
    kept = {account: ZERO if account in gone else current.get(account, ZERO) for account in base}
    limited = {
        account: {reason: min(amount, base.get(account, ZERO)) for reason, amount in reasons.items()}
        for account, reasons in evidence.amounts.items()
        if account not in gone
    }
    return retention(base, kept, limited)


def _losers(by_month: dict[date, dict[str, Decimal]], span: Span, gone: frozenset[str]) -> dict[str, int]:
    """Return how many accounts left, and how many fell."""
    base, current = _total(by_month, span.base), _total(by_month, span.current)
    used = [account for account, amount in base.items() if amount > 0]
    churned = [account for account in used if account in gone or current.get(account, ZERO) <= 0]
    fell = [account for account in used if account not in churned and current.get(account, ZERO) < base[account]]
    return {"churn": len(churned), "fell": len(fell)}


def _rolling(by_month: dict[date, dict[str, Decimal]], months: list[date]) -> list[Rolling]:
    found = []
    for month in months:
        end = add_months(month, 1)
        base = _total(by_month, (add_months(end, -6), add_months(end, -3)))
        base = {account: amount for account, amount in base.items() if amount > 0}
        now = _total(by_month, (add_months(end, -3), end))
        one = retention(base, now)
        # The first months of the product are no base: a quarter that had only begun would make every rate huge.
        full = by_month.get(add_months(end, -7))
        found.append(Rolling(month, one.net_percent if full else None, one.gross_percent if full else None))
    return found


def _walks(by_month: dict[date, dict[str, Decimal]], months: list[date]) -> list[tuple[date, Walk]]:
    spent = [by_month.get(month, {}) for month in months]
    return list(zip(months[1:], chained_walks(spent), strict=True)) if len(months) > 1 else []


def _contracts(
    viewer: Viewer, accounts: dict[str, Account], since: date, until: date
) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return what expired in [since, until) by commit, and what of it was renewed within 31 days of its end."""
    rows = Commit.objects.visible_to(viewer).filter(
        account__in=list(accounts), recurs_months=None, cancelled_on=None, kind="prepaid"
    )
    commits = list(rows)
    expiring: dict[str, Decimal] = {}
    renewed: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for one in commits:
        if one.expires_on is None or not since <= one.expires_on < until:
            continue
        expiring[str(one.pk)] = Decimal(one.value)
        for other in commits:
            follows = other.account_id == one.account_id and other.pk != one.pk
            if follows and abs((other.effective_on - one.expires_on).days) <= 31:
                renewed[str(one.pk)] += Decimal(other.value)
    return expiring, dict(renewed)


def _share(part: dict[str, Decimal], whole: dict[str, Decimal]) -> Decimal | None:
    total = sum(whole.values(), ZERO)
    return sum((part.get(name, ZERO) for name in whole), ZERO) * 100 / total if total > 0 else None
