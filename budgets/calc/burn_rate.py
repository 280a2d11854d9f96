"""How fast money is spent: the weekday-adjusted rate, the straight line, and how steady days are. Pure numpy.

Metrics 5 and 8 of the product: variance by the median absolute deviation, the rate by an exponentially weighted mean
with a half-life of 14 days; both look past the week's own rhythm.
"""

import numpy as np

from budgets.calc.usage_windows import Floats

HALF_LIFE = 14.0  # days
ENOUGH_DAYS = 14
WINDOW = 28
_MAD_TO_SD = 1.4826


def weekday_factors(days: Floats) -> Floats:
    """Return the factor [7] of each weekday against the mean, for `days` whose last is weekday 6; 1 when unknown.

    From medians per weekday, so that one wild day does not become the habit of its weekday.
    """
    used = days[len(days) % 7 :].reshape(-1, 7) if len(days) >= 14 else np.empty((0, 7))
    if not len(used):
        return np.ones(7)
    medians = np.nanmedian(used, axis=0) if np.isnan(used).any() else _medians(used)  # the plain one is much faster
    return np.asarray(medians / medians.mean()) if medians.sum() else np.ones(7)


def _medians(days: Floats) -> Floats:
    """The median of each column; numpy's own spends most of its time on cases that do not occur here."""
    ordered, half = np.sort(days, axis=0), len(days) // 2
    return np.asarray(ordered[half] if len(days) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def _percentiles(values: Floats, *wanted: float) -> Floats:
    """Percentiles as numpy's own, for values that are all finite."""
    ordered = np.sort(values)
    return np.interp(np.array(wanted) / 100 * (len(ordered) - 1), np.arange(len(ordered)), ordered)


def burn_rate(days: Floats, *, excused: "np.ndarray[tuple[int], np.dtype[np.bool_]] | None" = None) -> float | None:
    """Return spend per day: an EWMA with a half-life of 14 days over closed days, oldest first; None without any.

    Days are winsorised at their 1st and 99th percentile and divided by their weekday's factor. `excused` (true: a
    spike that was forgiven) leaves days out. Over the last 84 days.
    """
    days = np.asarray(days, dtype=np.float64)[-84:]
    weight = 0.5 ** (np.arange(len(days))[::-1] / HALF_LIFE)
    keep = np.isfinite(days) & ~(np.zeros(len(days), bool) if excused is None else np.asarray(excused, bool)[-84:])
    if not keep.any():
        return None
    factors = weekday_factors(np.where(keep, days, np.nan))
    each = factors[(np.arange(len(days)) - len(days)) % 7]
    flat = np.where(each > 0, days / np.where(each > 0, each, 1.0), np.nan)
    keep &= np.isfinite(flat)
    if not keep.any():
        return None
    kept, weight = flat[keep], weight[keep]
    low, high = _percentiles(kept, 1, 99)
    return float(np.minimum(np.maximum(kept, low), high) @ weight / weight.sum())


def mean_rate(days: Floats, count: int) -> float | None:
    """Return the plain mean of the last `count` closed days (b7, b28), or None when fewer are known."""
    known = np.asarray(days, dtype=np.float64)[-count:]
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) == count else None


def daily_variance(days: Floats) -> float | None:
    """Return the variance of days as a ratio: 1.4826 MAD ÷ median, of 28 days freed of the week's rhythm.

    None when fewer are known, or the median is zero (then `zero_day_share` says more).
    """
    last = np.asarray(days, dtype=np.float64)[-WINDOW:]
    if len(last) < WINDOW or not np.isfinite(last).all():
        return None
    factors = weekday_factors(last)
    flat = last / np.where(factors > 0, factors, 1.0)[(np.arange(WINDOW) - WINDOW) % 7]
    median = float(np.median(flat))
    return None if median <= 0 else float(_MAD_TO_SD * np.median(np.abs(flat - median)) / median)


def zero_day_share(days: Floats) -> float | None:
    """Return the share of the last 28 days without any spend, or None when fewer are known."""
    last = np.asarray(days, dtype=np.float64)[-WINDOW:]
    return float(np.mean(last == 0)) if len(last) == WINDOW and np.isfinite(last).all() else None


def straight_days(remaining: float, rate: float | None) -> float | None:
    """Return the days until `remaining` is spent at a straight `rate`; None for never."""
    if remaining <= 0:
        return 0.0
    return remaining / rate if rate and rate > 0 else None


def month_end(spent: float, day: int, days: int, last_month_rate: float | None) -> float:
    """Return the spend of a month of `days` on closed day `day`, shrunk to last month's rate with the weight n/(n+7).

    Metric 10: day 10 of 30, 1,200 spent, 100 a day last month → 1,200 + 20 × 111.76 = 3,435.29. Without a month
    before, the plain rate. `day` ≥ 1.
    """
    own = spent / day
    weight = day / (day + 7)
    rate = own if last_month_rate is None else weight * own + (1 - weight) * last_month_rate
    return spent + (days - day) * rate
