"""Quarters of the calendar, half-open, and the whole weeks that lie within them. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Self

from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import add_months
from reviews.calc.concentration import BAND

ZERO = Decimal(0)
WEEK = timedelta(days=7)
_NAME = re.compile(r"(\d{4})-Q([1-4])")


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """Three months of the calendar, the days [start, end)."""

    start: date

    @classmethod
    def of(cls, day: date) -> Self:
        """Return the quarter that `day` lies in."""
        return cls(date(day.year, (day.month - 1) // 3 * 3 + 1, 1))

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Return the quarter of "2026-Q4"; None for what names none."""
        found = _NAME.fullmatch(name)
        if found is None or found[1] == "0000":
            return None
        return cls(date(int(found[1]), int(found[2]) * 3 - 2, 1))

    @property
    def end(self) -> date:
        return add_months(self.start, 3)

    @property
    def last_day(self) -> date:
        return self.end - timedelta(days=1)

    @property
    def name(self) -> str:
        return f"{self.start.year}-Q{(self.start.month + 2) // 3}"

    def __str__(self) -> str:
        return f"Q{(self.start.month + 2) // 3} {self.start.year}"

    def back(self, count: int) -> "Quarter":
        """Return the quarter `count` quarters before."""
        return Quarter(add_months(self.start, -3 * count))


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days [start, start + 7) in which `drawn` was drawn, in currency; `is_excused` ones are left out."""

    start: date
    drawn: Decimal
    is_excused: bool = False

    @property
    def last_day(self) -> date:
        return self.start + WEEK - timedelta(days=1)

    @exactly
    def is_inside(self, target: Decimal) -> bool:
        """Whether it drew within 20 % of a week's `target`."""
        return abs(self.drawn - target) <= target * BAND


@exactly
def whole_weeks(first: date, until: date, drawn: Mapping[date, Decimal], excused: Collection[date] = ()) -> list[Week]:
    """Return the whole weeks that end with `until` and begin on `first` or later, the oldest first.

    `drawn` by day; a day that is not in it drew nothing. A week with an `excused` day in it is excused.
    """
    found = []
    while until - WEEK >= first:
        until -= WEEK
        days = [until + timedelta(days=number) for number in range(7)]
        total = sum((drawn.get(day, ZERO) for day in days), ZERO)
        found.append(Week(until, total, any(day in excused for day in days)))
    return found[::-1]
