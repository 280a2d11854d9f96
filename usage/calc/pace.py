"""Where a month stands: its days, the same number of days of the month before, and the straight line ahead."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

DAY = timedelta(days=1)
LAST_DAYS: Literal["last-90-days"] = "last-90-days"
Wanted = date | Literal["last-90-days"] | None


@dataclass(frozen=True, slots=True)
class Month:
    """A local calendar month as seen on the local day `today`. Its days are [first, end)."""

    first: date
    today: date

    @classmethod
    def around(cls, day: date, today: date) -> "Month":
        return cls(day.replace(day=1), today)

    @property
    def length(self) -> int:
        return monthrange(self.first.year, self.first.month)[1]

    @property
    def end(self) -> date:
        """The first day after the month."""
        return self.first + timedelta(days=self.length)

    @property
    def last(self) -> date:
        return self.end - DAY

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range(self.length)]

    @property
    def is_running(self) -> bool:
        return self.first <= self.today < self.end

    @property
    def key(self) -> str:
        """How addresses and files name it: "2026-11"."""
        return f"{self.first:%Y-%m}"

    @property
    def closed(self) -> int:
        """How many of its days are over."""
        return min(max((self.today - self.first).days, 0), self.length)

    @property
    def before(self) -> "Month":
        return Month.around(self.first - DAY, self.today)

    @property
    def after(self) -> "Month":
        return Month(self.end, self.today)

    @property
    def compared(self) -> int:
        """How many days from the first are compared with as many of the month before: closed ones that both have."""
        return min(self.closed, self.before.length)

    def is_compared(self, day: date) -> bool:
        """Whether `day` is one of the compared days of this month."""
        return self.first <= day < self.first + timedelta(days=self.compared)

    def is_compared_before(self, day: date) -> bool:
        """Whether `day` is one of the compared days of the month before."""
        return self.before.first <= day < self.before.first + timedelta(days=self.compared)


@dataclass(frozen=True, slots=True)
class LastDays(Month):
    """The 90 closed days up to yesterday, or as many before them: seen like a month that is over."""

    @classmethod
    def until(cls, end: date, today: date) -> "LastDays":
        return cls(end - timedelta(days=90), today)

    @property
    def length(self) -> int:
        return 90

    @property
    def is_running(self) -> bool:
        return False

    @property
    def key(self) -> str:
        return LAST_DAYS

    @property
    def before(self) -> "LastDays":
        return LastDays.until(self.first, self.today)


def period_of(wanted: Wanted, today: date) -> Month:
    """Return the last 90 days, or the month around a day; the running one for None and for what is still to come."""
    if isinstance(wanted, str):
        return LastDays.until(today, today)
    return Month.around(min(wanted or today, today), today)


def straight_projection(spent: Decimal, days_over: int, days: int) -> Decimal | None:
    """Return what the whole period costs when each day costs what the closed ones did on average.

    `spent` is of the closed days alone. None before the first day is over: there is no rate yet.
    """
    return spent / days_over * days if days_over > 0 else None


def change(now: Decimal | None, before: Decimal | None) -> Decimal | None:
    """Return now ÷ before − 1 as a ratio; None when either is unknown or there is nothing to compare with."""
    if now is None or before is None or before <= 0:
        return None
    return now / before - 1


def unit_cost(spend: Decimal | None, outcomes: Decimal) -> Decimal | None:
    """Return spend per successful outcome; None without outcomes or without a known spend (metric 19)."""
    return spend / outcomes if spend is not None and outcomes > 0 else None
