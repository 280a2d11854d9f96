"""How much of the revenue of before is still there, why the rest is not, and how consumption moved month by month."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.retention import LOOK_BACK, Retention, committed_gross, retention
from reviews.calc.walk import Walk, chained_walks, consumption_walk
from reviews.models import BookTerms
from reviews.reports.evidence import Explained, explained
from reviews.reports.retention_months import (
    LOOK_BACK_NEEDS,
    YEAR_NEEDS,
    Rolling,
    Span,
    Used,
    committed,
    expiries,
    quarter_a_year_before,
    quarter_before,
    rolling,
    used,
    years,
)

ZERO = Decimal(0)
WALKED = 13  # months, so that a year of walks chains


@dataclass(frozen=True, slots=True)
class RetentionSeen:
    """All that the page shows, in one currency. Percentages; None where there is not enough yet, for `why_not`.

    `look_back` compares the last 12 closed months with the 12 before, of who used it in the first of the 24;
    `quarter` the last closed quarter of months with the one before, of who used it then; `year_on_year` with the same
    quarter a year before. `loss` explains the one of them that is shown (look-back if there is one).
    `months` are the closed ones that a walk can begin or end with, the oldest first.
    """

    currency: str
    currencies: list[str]
    until: date
    months_known: int
    look_back: Retention | None
    quarter: Retention
    year_on_year: Retention | None
    shown: Retention
    span: Span
    evidence: Explained
    committed: Decimal | None
    committed_net: Decimal | None
    expired: Decimal
    contracts: int
    rolling: list[Rolling]
    months: list[date]
    names: dict[str, str]
    terms: BookTerms
    by_month: dict[date, dict[str, Decimal]] = field(default_factory=dict)

    @property
    def last_day(self) -> date:
        """The last day that counts."""
        return self.until - timedelta(days=1)

    @property
    def walks(self) -> list[tuple[date, Walk]]:
        """The walk to each of `months` but the first from the one before: each opens as the last closed."""
        spent = [self.by_month.get(month, {}) for month in self.months]
        return list(zip(self.months[1:], chained_walks(spent), strict=True)) if spent else []

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

    def quarters_to(self, end: date) -> list[tuple[date, date, Walk]]:
        """Return the walks over three months that lead to `end`, the oldest first: each opens as the last closed."""
        months, found = self.months, []
        while add_months(end, -3) in months:
            begin = add_months(end, -3)
            found.append((begin, end, consumption_walk(self.by_month.get(begin, {}), self.by_month.get(end, {}))))
            end = begin
        return found[::-1]

    @property
    def why_not(self) -> str:
        """Why there is no look-back."""
        return f"needs {LOOK_BACK_NEEDS} closed months, has {self.months_known}"

    @property
    def year_why_not(self) -> str:
        """Why there is no quarter of the year before."""
        if self.months_known < YEAR_NEEDS:
            return f"needs {YEAR_NEEDS} closed months, has {self.months_known}"
        return "nothing was used in that quarter a year before"

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
    """Return the retention of one currency's accounts as of the last closed calendar month. About ten queries."""
    currencies = currencies_of(viewer)
    code = currency if currency in currencies else next(iter(currencies), "USD")
    until = now.date().replace(day=1)
    names = _names(viewer, code)
    use = used(viewer, code, until)
    has_years = use.known >= LOOK_BACK_NEEDS

    def compared(span: Span, cohort: date | None = None) -> tuple[Retention, Explained]:
        found = explained(viewer, [UUID(pk) for pk in names], span.base, span.current, now)
        return _retained(use, span, found, cohort), found

    quarter_span, year_span, long = quarter_before(until), quarter_a_year_before(until), years(until)
    quarter = compared(quarter_span)
    look_back = compared(long, long.base[0]) if has_years else None
    year_on_year = compared(year_span)[0] if use.known >= YEAR_NEEDS else None
    shown, evidence = look_back or quarter
    span = long if look_back else quarter_span
    contracts = expiries(viewer, names, add_months(until, -2 * LOOK_BACK), until)
    expiring, renewed = committed(contracts, until)
    walked = [add_months(until, -back) for back in range(min(use.known, WALKED), 0, -1)]
    return RetentionSeen(
        currency=code,
        currencies=currencies,
        until=until,
        months_known=use.known,
        look_back=look_back[0] if look_back else None,
        quarter=quarter[0],
        year_on_year=year_on_year if year_on_year and year_on_year.base > 0 else None,
        shown=shown,
        span=span,
        evidence=evidence,
        committed=committed_gross(expiring, renewed),
        committed_net=_share(renewed, expiring),
        expired=sum(expiring.values(), ZERO),
        contracts=len(expiring),
        rolling=rolling(use, contracts),
        months=walked,
        names=names,
        terms=BookTerms.objects.visible_to(viewer).first() or BookTerms(),
        by_month=use.spent,
    )


def _names(viewer: Viewer, currency: str) -> dict[str, str]:
    rows = Account.objects.visible_to(viewer).filter(currency=currency).values_list("pk", "name")
    return {str(pk): name for pk, name in rows}


def _retained(use: Used, span: Span, evidence: Explained, cohort: date | None = None) -> Retention:
    base = use.base(span, cohort)
    kept = use.kept(span)
    gone = use.gone(span.current)
    limited = {
        account: {reason: min(amount, base.get(account, ZERO)) for reason, amount in reasons.items()}
        for account, reasons in evidence.amounts.items()
        if account not in gone
    }
    return retention(base, {account: kept.get(account, ZERO) for account in base}, limited)


def _share(part: dict[str, Decimal], whole: dict[str, Decimal]) -> Decimal | None:
    total = sum(whole.values(), ZERO)
    return sum((part.get(name, ZERO) for name in whole), ZERO) * 100 / total if total > 0 else None
