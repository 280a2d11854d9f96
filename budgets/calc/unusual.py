"""Money of an unusual stretch against what its hours usually cost, and when that is worth telling. Pure."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from budgets.calc.usage_windows import Floats

WEEK = 168  # hours
WEEKS = 4
STEP = 0.25  # each judgement "expected" or "wrong" makes the next alarm so much rarer
MOST = 2.0
PLAIN = 1.5


@dataclass(frozen=True, slots=True)
class Stretch:
    """What hours [start, end) of a series cost, and what they usually do; `week` is a usual week. Money."""

    actual: Decimal
    expected: Decimal
    week: Decimal

    @property
    def impact(self) -> Decimal:
        """Beyond the usual; below zero when it is less."""
        return self.actual - self.expected


def stretch(hours: Floats, start: int, end: int) -> Stretch:
    """Return the money of hours [start, end) of a series [n] beside the median of the same hours of four weeks before.

    Weeks before the series began (NaN) do not count; without any the usual is the mean of the hours before.
    """
    usual = sum(_usual(hours, index, start) for index in range(start, end))
    before = hours[max(0, start - WEEKS * WEEK) : start]
    known = before[~np.isnan(before)]
    week = float(known.mean()) * WEEK if known.size else 0.0
    return Stretch(_money(float(np.nansum(hours[start:end]))), _money(usual), _money(week))


def begun(hours: Floats, start: int) -> int:
    """Return the first of the hours on end before `start` that cost half as much again as is usual, or `start`.

    The detector names the window in which something is plain; it may have begun a little before. A day back at most.
    """
    earliest = max(start - 24, 0)
    while start > earliest and hours[start - 1] > PLAIN * _usual(hours, start - 1, start - 1) > 0:
        start -= 1
    return start


def _usual(hours: Floats, index: int, start: int) -> float:
    """The same hour of the last four weeks that lie before the stretch."""
    behind = [index - WEEK * number for number in range(1, 2 * WEEKS + 1)]
    past = [hours[at] for at in behind if 0 <= at < start and not np.isnan(hours[at])][:WEEKS]
    if past:
        return float(np.median(past))
    known = hours[:start][~np.isnan(hours[:start])]
    return float(known.mean()) if known.size else 0.0


def _money(amount: float) -> Decimal:
    return Decimal(repr(round(amount, 6)))


def is_worth_telling(found: Stretch, least: Decimal, percent_of_week: Decimal) -> bool:
    """Whether the difference is at least `least` and `percent_of_week` of a usual week, up or down."""
    size = abs(found.impact)
    return size >= least and size * 100 >= percent_of_week * found.week


def caution(judged: int) -> float:
    """Return the factor on the detector's thresholds after `judged` alarms that were expected or wrong: 1 to 2."""
    return min(1.0 + STEP * judged, MOST)
