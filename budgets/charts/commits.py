"""The timeline of contracts and commits: what was in force when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from accounts.models import Account
from budgets.models import Contract
from budgets.reports.balances import AccountBalance

_LAST_LABEL = 93  # percent: labels begin at their day
_TONES = {"prepaid": "paid", "rollover": "rolled", "credit": "credit", "promotional": "promo"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: from `x` over `width` percent of the time shown; `open` when it has no end."""

    name: str
    note: str
    x: float
    width: float
    tone: str
    is_open: bool
    ticks: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows on one axis of time; `today` and the labels in percent of its length."""

    bars: Sequence[Bar]
    today: float
    labels: Sequence[tuple[float, str]]
    summary: str


def timeline(account: Account, contracts: Sequence[Contract], balance: AccountBalance, today: date) -> Timeline | None:
    """Return contracts and commits as bars; None without any."""
    begins = [one.starts_on for one in contracts] + [row.commit.effective_on for row in balance.commits]
    if not begins:
        return None
    ends = [one.ends_on for one in contracts] + [row.commit.expires_on for row in balance.commits]
    first = min(*begins, today)
    last = max([end for end in ends if end] + [today + timedelta(days=60)])
    length = max((last - first).days, 1)

    def at(day: date) -> float:
        return round(min(max((day - first).days / length * 100, 0.0), 100.0), 2)

    def bar(name: str, note: str, begin: date, end: date | None, tone: str, ticks: Sequence[float] = ()) -> Bar:
        x = at(begin)
        return Bar(name, note, x, round(max(at(end or last) - x, 0.6), 2), tone, end is None, ticks)

    bars = [bar(one.name, "Contract", one.starts_on, one.ends_on, "contract") for one in contracts[::-1]]
    for row in balance.commits:
        end = row.commit.cancelled_on or row.commit.expires_on
        changes = [at(change.effective_on) for change in row.changes]
        tone = _TONES[row.commit.kind]
        bars.append(bar(row.commit.name, row.state_name, row.commit.effective_on, end, tone, changes))
    # A label at the very end would stand outside of the card.
    labels = [(at(day), f"{day:%b %Y}") for day in _quarters(first, last) if at(day) <= _LAST_LABEL]
    return Timeline(bars, at(today), labels, f"{len(bars)} rows from {first:%b %Y} to {last:%b %Y}")


def _quarters(first: date, last: date) -> list[date]:
    months = (last.year - first.year) * 12 + last.month - first.month
    step = 1 if months <= 6 else 3 if months <= 24 else 6
    day = date(first.year, (first.month - 1) // step * step + 1, 1)
    found = []
    while day <= last:
        if day >= first:
            found.append(day)
        total = day.year * 12 + day.month - 1 + step
        day = date(total // 12, total % 12 + 1, 1)
    return found
