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
    lags = [WEEK * week + shift for week in range(1, WEEKS + 1) for shift in (1, 0, -1)]
    full = min(n, max(lags))  # from here on all lags are there, and the fast median will do
    early = np.full((len(lags), series, full - WEEK), np.nan)
    for row, lag in enumerate(lags):
        known = x[:, max(0, WEEK - lag) : max(0, full - lag)]
        early[row, :, early.shape[2] - known.shape[1] :] = known
    usual[:, WEEK:full] = np.nanmedian(early, axis=0)
    if n > full:
        usual[:, full:] = middle([x[:, full - lag : n - lag] for lag in lags])
    return usual


def middle(columns: list[Floats]) -> Floats:
    """Median of an even number of equally shaped arrays, element by element: much faster than sorting.

    Forgetful selection: of half of the values and two more, neither the least nor the greatest can be one of the two
    in the middle; both give way to the next value.
    """
    half = len(columns) // 2
    pool, rest = [column.copy() for column in columns[: half + 2]], columns[half + 2 :]
    for value in (*rest, None):
        for i in range(1, len(pool)):  # the least to the front
            pool[0], pool[i] = np.minimum(pool[0], pool[i]), np.maximum(pool[0], pool[i])
        for i in range(1, len(pool) - 1):  # the greatest to the end
            pool[i], pool[-1] = np.minimum(pool[i], pool[-1]), np.maximum(pool[i], pool[-1])
        pool = pool[1:-1] if value is None else [*pool[1:-1], value]
    return np.asarray((pool[0] + pool[-1]) / 2)
