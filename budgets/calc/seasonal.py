"""What an hour's usage should be, from the same hour of earlier weeks. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WEEK = 168  # hours
WEEKS = 4
WARM_UP = WEEKS * WEEK
LEVEL_WEIGHT = 0.5  # how far the expectation follows last week's level
LEVEL_LIMITS = 0.5, 2.0


def running_sum(x: Floats) -> Floats:
    """Sums of x[:i] for i = 0..n, [n + 1]."""
    return np.concatenate([[0.0], np.cumsum(x)])


def expected_usage(x: Floats) -> Floats:
    """Expected usage per hour [n], each from the hours before it; zero in the first week.

    The median of the same hour of the week and its two neighbours over the last four weeks, moved part of the way to
    the level of the last week.
    """
    expected = usual_hours(x)
    usage = running_sum(x)
    # The level window ends 24 hours back, so that a spike does not raise its own expectation; and so whole days can be
    # done at once although each depends on expectations before it.
    for first in range(3 * WEEK, len(x), 24):
        t = np.arange(first, min(first + 24, len(x)))
        before = running_sum(expected[first - WEEK - 24 : t[-1] - 23])
        actual = usage[t - 24] - usage[t - 24 - WEEK]
        planned = before[t - first + WEEK] - before[t - first]
        ratio = np.clip((actual + 1e-9) / (planned + 1e-9), *LEVEL_LIMITS)
        expected[t] *= ratio**LEVEL_WEIGHT
    return expected


def usual_hours(x: Floats) -> Floats:
    """Median of the same hour of the week, one hour before and one after, over four weeks [n]; zero in the first."""
    n = len(x)
    usual = np.zeros(n)
    if n <= WEEK:
        return usual
    lags = [WEEK * week + shift for week in range(1, WEEKS + 1) for shift in (1, 0, -1)]
    lagged = np.full((len(lags), n), np.nan)
    for row, lag in enumerate(lags):
        lagged[row, lag:] = x[: max(0, n - lag)]
    full = min(n, max(lags))  # from here on all lags are there, and the fast median will do
    usual[WEEK:full] = np.nanmedian(lagged[:, WEEK:full], axis=0)
    usual[full:] = np.median(lagged[:, full:], axis=0)
    return usual
