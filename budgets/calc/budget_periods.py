"""The period of a budget around a moment: local days of the account. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from consumption_cs.lib.periods import DAY, Period, add_months, day_of, day_start

Kind = Literal["day", "month", "quarter", "year", "term", "custom"]
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class BudgetPeriod:
    """Local days [first, after) and the same in UTC."""

    first: date
    after: date
    start: datetime
    end: datetime

    @property
    def period(self) -> Period:
        return Period(self.start, self.end)


def budget_period(
    kind: str,
    now: datetime,
    zone: ZoneInfo,
    *,
    custom: tuple[date, date] | None = None,
    term: tuple[date, date | None] | None = None,
) -> BudgetPeriod | None:
    """Return the period of a budget at `now`, or None outside of its days or without a contract in force.

    Months, quarters and years are those of the calendar. `custom` are its own days [first, after). `term` are the days
    of the contract in force at `now`; one without an end is counted in years from its start.
    """
    today = day_of(now, zone)
    days = _days(kind, today, custom, term)
    if days is None or not days[0] <= today < days[1]:
        return None
    return BudgetPeriod(*days, day_start(days[0], zone), day_start(days[1], zone))


def _days(
    kind: str, today: date, custom: tuple[date, date] | None, term: tuple[date, date | None] | None
) -> tuple[date, date] | None:
    if kind == "day":
        return today, today + DAY
    if kind in _MONTHS:
        months = _MONTHS[kind]
        first = date(today.year, (today.month - 1) // months * months + 1, 1)
        return first, add_months(first, months)
    if kind == "custom":
        return custom
    return _term(today, term) if term else None


def _term(today: date, term: tuple[date, date | None]) -> tuple[date, date]:
    starts_on, ends_on = term
    if ends_on is not None:
        return starts_on, ends_on
    years = today.year - starts_on.year
    if add_months(starts_on, 12 * years) > today:
        years -= 1
    return add_months(starts_on, 12 * years), add_months(starts_on, 12 * (years + 1))
