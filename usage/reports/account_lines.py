"""One account in the list of accounts, what a reader may ask of the list, and the order of the answer."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

FEW_RUNS = 30  # below this many finished runs a success rate says little
SILENT_AFTER = timedelta(days=7)
SORTS = ("name", "spend", "change", "last", "end")


@dataclass(frozen=True, slots=True)
class AccountQuery:
    """What the reader asked for. Empty texts mean "any"; `csm` is a user's id, "me" or "none"."""

    words: str = ""
    segment: str = ""
    tier: str = ""
    csm: str = ""
    currency: str = ""
    activity: str = ""
    sort: str = "name"
    mine_first: bool = True

    @property
    def narrows(self) -> bool:
        """Whether anything but the order was asked for."""
        return any((self.words, self.segment, self.tier, self.csm, self.currency, self.activity))


@dataclass(slots=True)
class AccountLine:
    """One account with its figures. None means not known, never zero."""

    id: UUID
    key: str
    name: str
    segment: str
    tier: str
    currency: str
    timezone: str
    contract_ends_on: date | None
    csm_id: UUID | None
    csm: str
    field_cto: str
    today: date
    is_mine: bool
    spend: Decimal | None = None  # this month, with today's part
    unpriced_events: int = 0
    closed_spend: Decimal | None = None  # closed days of this month
    before_spend: Decimal | None = None  # the same days of last month
    finished: int = 0
    successes: int = 0
    last_event_at: datetime | None = None
    days: list[Decimal | None] = field(default_factory=list)

    @property
    def change(self) -> Decimal | None:
        """Closed days of this month against the same days of the last, as a ratio; None without a base."""
        if self.closed_spend is None or not self.before_spend:
            return None
        return self.closed_spend / self.before_spend - 1

    @property
    def success_rate(self) -> Decimal | None:
        """Successes of the last 30 closed days as a ratio; None below 30 finished runs."""
        return Decimal(self.successes) / self.finished if self.finished >= FEW_RUNS else None

    @property
    def days_to_end(self) -> int | None:
        return (self.contract_ends_on - self.today).days if self.contract_ends_on else None


def is_silent(line: AccountLine, now: datetime) -> bool:
    """Whether it had events, but none in the last seven days."""
    return line.last_event_at is not None and now - line.last_event_at > SILENT_AFTER


def fits(line: AccountLine, query: AccountQuery, now: datetime) -> bool:
    """Whether an account is one of those asked for."""
    words = query.words.lower().split()
    name = f"{line.name} {line.key}".lower()
    return (
        all(word in name for word in words)
        and query.segment in ("", line.segment)
        and query.tier in ("", line.tier)
        and query.currency in ("", line.currency)
        and _has_csm(line, query.csm)
        and _has_activity(line, query.activity, now)
    )


def _has_csm(line: AccountLine, csm: str) -> bool:
    if csm == "me":
        return line.is_mine
    if csm == "none":
        return line.csm_id is None
    return csm in ("", str(line.csm_id))


def _has_activity(line: AccountLine, activity: str, now: datetime) -> bool:
    if activity == "active":
        return line.last_event_at is not None and not is_silent(line, now)
    if activity == "silent":
        return is_silent(line, now)
    return activity != "waiting" or line.last_event_at is None


def order(query: AccountQuery, lines: list[AccountLine]) -> Callable[[AccountLine], tuple[Any, ...]]:
    """Return a sort key for lines that are in the order of their names already.

    Unknown values come last either way; spend goes currency by currency, the most used one first.
    """
    column, falling = query.sort.lstrip("-"), query.sort.startswith("-")
    used = Counter(line.currency for line in lines)

    def key(line: AccountLine) -> tuple[Any, ...]:
        mine = not line.is_mine if query.mine_first else False
        currency = (-used[line.currency], line.currency) if column == "spend" else ()
        return mine, currency, *_ranked(_sorted_by(line, column), falling)

    return key


def _ranked(value: Decimal | float | None, falling: bool) -> tuple[bool, Decimal | float]:
    if value is None:
        return True, 0
    return False, -value if falling else value


def _sorted_by(line: AccountLine, column: str) -> Decimal | float | None:
    if column == "spend":
        return line.spend
    if column == "change":
        return line.change
    if column == "last":
        return line.last_event_at.timestamp() if line.last_event_at else None
    return line.contract_ends_on.toordinal() if column == "end" and line.contract_ends_on else None
