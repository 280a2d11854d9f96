"""What an hour's usage should be, from the same hour of earlier weeks. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DAY, WEEK = 24, 168  # hours
WEEKS = 4
WARM_UP = WEEKS * WEEK


def running_sum(x: Floats) -> Floats:
    """Sums of x[..., :i] for i = 0..n, [..., n + 1]."""
    out = np.zeros((*x.shape[:-1], x.shape[-1] + 1))
    np.cumsum(x, axis=-1, out=out[..., 1:])
    return out


def usual_hours(x: Floats) -> Floats:
    """Expected usage [series, hours], each hour from those before it; zero in the first week.

    The median of the same hour of the week, one hour before and one after, over the last four weeks.
    """
    series, n = x.shape
    usual = np.zeros((series, n))
    if n <= WEEK:
        return usual
    lags = sorted(WEEK * week + shift for week in range(1, WEEKS + 1) for shift in (1, 0, -1))
    # From each of these hours on, one more of the lags is there.
    for count, first in enumerate(lags, start=1):
        first, last = max(first, WEEK), min(n, lags[count] if count < len(lags) else n)
        if first < last:
            usual[:, first:last] = middle([x[:, first - lag : last - lag] for lag in lags[:count]])
    return usual


def middle(columns: list[Floats]) -> Floats:
    """Median of equally shaped arrays, element by element: much faster than sorting.

    Forgetful selection: of half of the values and two more, neither the least nor the greatest can be one of the two
    in the middle; both give way to the next value.
    """
    if len(columns) < 3:
        return np.asarray(np.mean(columns, axis=0))
    half = len(columns) // 2
    pool, rest = [column.copy() for column in columns[: half + 2]], columns[half + 2 :]
    for value in (*rest, None):
        for i in range(1, len(pool)):  # the least to the front
            pool[0], pool[i] = np.minimum(pool[0], pool[i]), np.maximum(pool[0], pool[i])
        for i in range(1, len(pool) - 1):  # the greatest to the end
            pool[i], pool[-1] = np.minimum(pool[i], pool[-1]), np.maximum(pool[i], pool[-1])
        pool = pool[1:-1] if value is None else [*pool[1:-1], value]
    return np.asarray((pool[0] + pool[-1]) / 2)
