"""What customers used by closed month, who has left by then, and what of their contracts was renewed."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from budgets.models import Commit
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.retention import LOOK_BACK, committed_gross, net_and_gross
from reviews.models import LossEvidence

ZERO = Decimal(0)
MONTHS = 36  # two years for looking back, rolling over the last year
SILENT_DAYS = 60  # without use: the account has left
RENEWAL_DAYS = 31  # from the end of a commit to the start of what renews it
# Closed months that a comparison needs. The first month of the product is no base of a rolling quarter: one that had
# only begun would make the rate huge, so a line needs one month more than the figure of the day.
YEAR_NEEDS, LOOK_BACK_NEEDS = 15, 2 * LOOK_BACK
QUARTER_ROLLS, YEAR_ROLLS = 7, YEAR_NEEDS + 1

# Local days at contract rates, as statements have them: a late correction counts on the day it was booked.
_MONTHS = """
SELECT days.account_id::text, date_trunc('month', days.day)::date, sum(days.spend),
    max(days.day) FILTER (WHERE days.spend > 0)
FROM account_day AS days
WHERE days.organization_id = %(organization)s AND days.currency = %(currency)s
    AND days.day >= %(since)s AND days.day < %(until)s
GROUP BY 1, 2
ORDER BY 2
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Two spans of months [start, end) that are compared."""

    base: tuple[date, date]
    current: tuple[date, date]


def quarter_before(end: date) -> Span:
    """Return the quarter of months that ends with `end`, and the quarter before it."""
    return Span((add_months(end, -6), add_months(end, -3)), (add_months(end, -3), end))


def quarter_a_year_before(end: date) -> Span:
    """Return the quarter of months that ends with `end`, and the same months a year before: seasons cancel out."""
    return Span((add_months(end, -15), add_months(end, -12)), (add_months(end, -3), end))


def years(end: date) -> Span:
    """Return the twelve months that end with `end`, and the twelve before."""
    return Span((add_months(end, -2 * LOOK_BACK), add_months(end, -LOOK_BACK)), (add_months(end, -LOOK_BACK), end))


@dataclass(frozen=True, slots=True)
class Used:
    """Consumption by closed month in one currency; `known` closed months, from the first with any to the last.

    `spent`: {month: {account: consumption}}. `sums`: the same, of all kept months before that month.
    """

    until: date
    known: int
    spent: dict[date, dict[str, Decimal]]
    sums: dict[date, dict[str, Decimal]]
    last_use: dict[str, list[date]]  # the last day of use in each month that has some, oldest first
    notices: list[tuple[str, date, date | None]]

    def total(self, span: tuple[date, date]) -> dict[str, Decimal]:
        """Return what each account used in months [start, end)."""
        before, after = self.sums.get(span[0], {}), self.sums[span[1]]
        return {account: amount - before.get(account, ZERO) for account, amount in after.items()}

    def base(self, span: Span, cohort: date | None = None) -> dict[str, Decimal]:
        """Return what was used before by who used anything then, in month `cohort` if one is given."""
        found = {account: amount for account, amount in self.total(span.base).items() if amount > 0}
        if cohort is None:
            return found
        began = self.spent.get(cohort, {})
        return {account: amount for account, amount in found.items() if began.get(account, ZERO) > 0}

    def silent(self, end: date) -> frozenset[str]:
        """Return who had not used anything for 60 days at `end`, and did not come back in the month after."""
        back_by, found = add_months(end, 1), set()
        for account, days in self.last_use.items():
            after = bisect_left(days, end)
            is_back = after < len(days) and days[after] < back_by
            if after and not is_back and (end - days[after - 1]).days >= SILENT_DAYS:
                found.add(account)
        return frozenset(found)

    def gone(self, current: tuple[date, date], silent: frozenset[str] | None = None) -> frozenset[str]:
        """Return who has left by the end of `current`: notice given, or silent (found here unless it is known)."""
        start, end = current
        noticed = {who for who, since, to in self.notices if since < end and (to is None or to > start)}
        return (self.silent(end) if silent is None else silent) | noticed

    def kept(self, span: Span, silent: frozenset[str] | None = None) -> dict[str, Decimal]:
        """Return what each account uses now; nothing of who has left."""
        gone = self.gone(span.current, silent)
        return {account: amount for account, amount in self.total(span.current).items() if account not in gone}


@dataclass(frozen=True, slots=True)
class Expiry:
    """A commit that ended on a day, and how much was signed anew within a month of it; in currency."""

    name: str
    on: date
    value: Decimal
    renewed: Decimal


@dataclass(frozen=True, slots=True)
class Rolling:
    """Retention at the end of `month` in percent, each None where its months are not known or nothing is compared.

    By the quarter against the one before and against the same quarter a year before, by looking back two years, and
    of the contracts that ended in the twelve months before.
    """

    month: date
    known: int
    net: Decimal | None
    gross: Decimal | None
    year_net: Decimal | None
    year_gross: Decimal | None
    back_net: Decimal | None
    back_gross: Decimal | None
    committed: Decimal | None


def used(viewer: Viewer, currency: str, until: date) -> Used:
    """Return what the accounts of one currency used in the closed months before `until`. Two queries."""
    spent: dict[date, dict[str, Decimal]] = defaultdict(dict)
    last_use: dict[str, list[date]] = defaultdict(list)
    named: dict[str, Any] = {
        "organization": viewer.organization_id,
        "currency": currency,
        "since": add_months(until, -MONTHS),
        "until": add_months(until, 1),  # who is back in the open month has not left
    }
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS, named)
        for account, month, spend, last in cursor.fetchall():
            if month < until:
                spent[month][account] = spend
            if last is not None:
                last_use[account].append(last)
    months = [add_months(until, -back) for back in range(MONTHS, 0, -1)]
    first = next((number for number, month in enumerate(months) if spent.get(month)), MONTHS)
    return Used(until, MONTHS - first, dict(spent), _sums(spent, months, until), dict(last_use), _notices(viewer))


def _sums(spent: dict[date, dict[str, Decimal]], months: list[date], until: date) -> dict[date, dict[str, Decimal]]:
    sums: dict[date, dict[str, Decimal]] = {}
    running: dict[str, Decimal] = {}
    for month in months:
        sums[month] = dict(running)
        for account, amount in spent.get(month, {}).items():
            running[account] = running.get(account, ZERO) + amount
    return sums | {until: running}


def _notices(viewer: Viewer) -> list[tuple[str, date, date | None]]:
    rows = LossEvidence.objects.visible_to(viewer).filter(
        approved_at__isnull=False, kind__in=(LossEvidence.Kind.CHURN, LossEvidence.Kind.MERGED)
    )
    return [(str(who), since, to) for who, since, to in rows.values_list("account_id", "starts_on", "ends_on")]


def expiries(viewer: Viewer, accounts: Collection[str], since: date, until: date) -> list[Expiry]:
    """Return the prepaid commits that ended in [since, until), and what was renewed of each. One query."""
    rows = Commit.objects.visible_to(viewer).filter(
        account__in=list(accounts), recurs_months=None, cancelled_on=None, kind="prepaid"
    )
    by_account: dict[Any, list[Commit]] = defaultdict(list)
    for row in rows:
        by_account[row.account_id].append(row)
    found = []
    for own in by_account.values():
        for one in own:
            if one.expires_on is None or not since <= one.expires_on < until:
                continue
            near = timedelta(days=RENEWAL_DAYS)
            anew = [other for other in own if other is not one and abs(other.effective_on - one.expires_on) <= near]
            renewed = sum((Decimal(other.value) for other in anew), ZERO)
            found.append(Expiry(str(one.pk), one.expires_on, Decimal(one.value), renewed))
    return found


def committed(contracts: Collection[Expiry], end: date) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return what expired in the twelve months before `end` by commit, and what of it was renewed."""
    own = [one for one in contracts if add_months(end, -LOOK_BACK) <= one.on < end]
    return {one.name: one.value for one in own}, {one.name: one.renewed for one in own}


def rolling(use: Used, contracts: Collection[Expiry], points: int = 13) -> list[Rolling]:
    """Return retention at the end of each of the last `points` known months, the oldest first."""
    return [_point(use, contracts, back) for back in reversed(range(min(points, use.known)))]


def _point(use: Used, contracts: Collection[Expiry], back: int) -> Rolling:
    end, known = add_months(use.until, -back), use.known - back
    none, silent = (None, None), use.silent(end)

    def compared(span: Span, cohort: date | None = None) -> tuple[Decimal | None, Decimal | None]:
        return net_and_gross(use.base(span, cohort), use.kept(span, silent))

    two = years(end)
    return Rolling(
        add_months(end, -1),
        known,
        *(compared(quarter_before(end)) if known >= QUARTER_ROLLS else none),
        *(compared(quarter_a_year_before(end)) if known >= YEAR_ROLLS else none),
        *(compared(two, two.base[0]) if known >= LOOK_BACK_NEEDS else none),
        committed_gross(*committed(contracts, end)),
    )
