"""What daily spend says: change, steadiness, an unusual day, silence. Metrics 5, 8, 14 and 15. Pure numpy.

`days` is spend per closed local day, oldest first, ending yesterday.
"""

from dataclasses import dataclass

import numpy as np

from budgets.calc.burn_rate import weekday_factors
from budgets.calc.usage_windows import Floats

MAD_TO_SD = 1.4826
WEEKS = 8  # of the same weekday, that a day is compared with
_TINY = 1e-9


def change(days: Floats, length: int, *, back: int | None = None) -> float | None:
    """Return the percentage by which the last `length` days differ from as many that ended `back` days before.

    `back` is `length` by default: the days right before. None when not all are known, or the earlier were zero.
    """
    back = length if back is None else back
    if len(days) < length + back:
        return None
    now = float(days[-length:].sum())
    before = float(days[-length - back : len(days) - back].sum())
    return (now / before - 1) * 100 if before > 0 else None


@dataclass(frozen=True, slots=True)
class Variance:
    """In percent of the median day; None when the median is zero: `zero_percent` of the days had no spend."""

    percent: float | None
    zero_percent: float


def variance(days: Floats) -> Variance | None:
    """Return metric 5 over the last 28 days, each divided by its weekday's factor; None before 28 days are known."""
    if len(days) < 28:
        return None
    late = days[-28:]
    factors = weekday_factors(days[-84:])
    each = factors[(np.arange(28) - 28) % 7]
    flat = np.where(each > 0, late / np.where(each > 0, each, 1.0), 0.0)
    zero = float((late <= 0).mean() * 100)
    median = float(np.median(flat))
    if median <= 0:
        return Variance(None, zero)
    return Variance(MAD_TO_SD * float(np.median(np.abs(flat - median))) / median * 100, zero)


@dataclass(frozen=True, slots=True)
class UnusualDay:
    """`score` in robust deviations of the log of spend; `impact` in currency above (below zero: under) `expected`."""

    score: float
    expected: float
    impact: float


def unusual_day(history: Floats, today: float) -> UnusualDay | None:
    """Return metric 14 of one day against the same weekdays before it: (x − median) ÷ (1.4826 × MAD) of log1p.

    The impact is against the plain median. None with fewer than four of them. The deviation is at least 1 %, so that
    a history without any spread does not make every cent unusual.
    """
    if len(history) < 4:
        return None
    logs = np.log1p(np.maximum(history, 0.0))
    middle = float(np.median(logs))
    spread = max(MAD_TO_SD * float(np.median(np.abs(logs - middle))), 0.01)
    expected = float(np.median(history))
    return UnusualDay((float(np.log1p(max(today, 0.0))) - middle) / spread, expected, today - expected)


def last_day_unusual(days: Floats) -> UnusualDay | None:
    """Return how unusual yesterday was."""
    return unusual_day(days[-8 : -7 * WEEKS - 2 : -7], float(days[-1])) if len(days) > 28 else None


def silent_days(days: Floats) -> int | None:
    """Return the days in a row, up to the last, without spend, where use on most days is normal.

    None where it is not: fewer than 80 % of the 28 days before had spend, or they are not known.
    """
    used = np.flatnonzero(days > 0)
    silent = len(days) - 1 - int(used[-1]) if len(used) else len(days)
    before = days[: len(days) - silent][-28:]
    if len(before) < 28 or float((before > 0).mean()) < 0.8:
        return None
    return silent


def weeks(days: Floats, count: int) -> list[float]:
    """Return the spend of the last complete weeks of seven days, oldest first, `count` at most."""
    whole = min(len(days) // 7, count)
    if not whole:
        return []
    return [float(total) for total in days[-7 * whole :].reshape(whole, 7).sum(axis=1)]


def chance_above(level: float, zero_chance: float, low: float, high: float) -> float:
    """Return the chance that an amount is above `level`, from the chance that it is zero and its P10 and P90.

    Straight between the known points of the distribution, and from its P90 on at the same slope.
    """
    points = [(0.0, zero_chance)]
    for at, share in ((low, 0.1), (high, 0.9)):
        if share > points[-1][1] and at > points[-1][0] + _TINY:
            points.append((at, share))
    if len(points) == 1:
        return 0.0 if level > 0 else 1 - zero_chance
    (x0, y0), (x1, y1) = points[-2:]
    points.append((x1 + (x1 - x0) * (1 - y1) / max(y1 - y0, _TINY), 1.0))
    return float(1 - np.interp(level, [x for x, _ in points], [y for _, y in points]))
