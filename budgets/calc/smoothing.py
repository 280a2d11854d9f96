"""Level and weekly profile of many accounts at once, by exponential smoothing without a trend. Pure numpy.

An additive level and weekday profile (Holt-Winters without trend) runs over a small grid of speeds for all accounts
at once; the result is the mean over the grid, weighted by how well each pair of speeds has done for that account.
"""

import numpy as np
from numpy.typing import NDArray

from budgets.calc.usage_windows import Flags, Floats, UsageWindows

LEVEL_SPEEDS = (0.01, 0.03, 0.1, 0.25, 0.6)
PROFILE_SPEEDS = (0.02, 0.08, 0.15)
CAP = 4.0  # times the usual change from one week to the next, same weekday
LASTING_DAYS = 3  # a jump that has held so long is believed: the cap gives way
SHARPNESS = 4.0  # weight of a pair of speeds: (its squared error / the best one's) ** -SHARPNESS
LONGEST, WARM_UP, FIRST_WEEKS = 364, 14, 8


def smoothed_point(windows: UsageWindows, horizon: int) -> Floats:
    """Cumulative usage after 1..horizon days, in the accounts' units, [n, horizon]; zero when under a week old."""
    level, profile = smooth(windows)
    daily = np.maximum(level[:, None] + profile[:, np.arange(horizon) % 7], 0.0)
    return np.cumsum(daily, axis=1)


def smooth(windows: UsageWindows) -> tuple[Floats, Floats]:
    """Return the level [n] and the weekday profile [n, 7], column 0 being tomorrow."""
    weeks = np.minimum(windows.length, LONGEST) // 7
    days = 7 * int(weeks.max(initial=0))
    if not days:
        return np.zeros(windows.n), np.zeros((windows.n, 7))
    x = np.ascontiguousarray(windows.values[:, -days:].T)
    started = np.arange(days)[:, None] >= days - 7 * weeks
    level, profile = _first_weeks(x, weeks)
    return _run(_believed(x, started), started, level, profile)


def _first_weeks(x: Floats, weeks: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Level [n] and profile [7, n] of each account's first four and eight weeks; x: [days, n]."""
    total = np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x, axis=0)])
    columns = np.arange(x.shape[1])
    begin = len(x) - 7 * weeks
    used = np.clip(weeks, 1, FIRST_WEEKS)
    rows = begin + 7 * np.arange(FIRST_WEEKS)[:, None]
    inside = np.arange(FIRST_WEEKS)[:, None] < np.minimum(weeks, FIRST_WEEKS)
    days = (np.where(inside, x[np.minimum(rows + day, len(x) - 1), columns], 0.0).sum(axis=0) for day in range(7))
    profile = np.stack(list(days)) / used
    level_days = 7 * np.clip(weeks, 1, 4)
    level = total[np.minimum(begin + level_days, len(x)), columns] - total[begin, columns]
    return level / level_days, profile - profile.mean(axis=0)


def _believed(x: Floats, started: Flags) -> Floats:
    """Usage [days, n] from which wild days are cut, so that they do not move a forecast for weeks.

    A day is compared with the median of the three same weekdays before it. A change that lasts (LASTING_DAYS or more
    in the same direction, the day among them) is news and stays; of any other, CAP times the usual change is left.
    """
    if len(x) < 28:
        return x
    weekly = np.where(started[:-7], np.abs(x[7:] - x[:-7]), 0.0)
    usual = CAP * weekly.sum(axis=0) / np.maximum(started[:-7].sum(axis=0), 1)
    a, b, c = x[14:-7], x[7:-14], x[:-21]
    before = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    change = x[21:] - before
    kept = np.clip(change, -np.maximum(usual, _lasting(-change)), np.maximum(usual, _lasting(change)))
    out = x.copy()
    out[21:] = np.where(started[:-21], before + kept, x[21:])
    return out


def _lasting(change: Floats) -> Floats:
    """The upward change [days, n] that held for LASTING_DAYS in a row, one of which is the day."""
    held = change.copy()
    for ago in range(1, LASTING_DAYS):
        np.minimum(held[ago:], change[:-ago], out=held[ago:])
    held[: LASTING_DAYS - 1] = 0.0
    ahead = held.copy()
    for days in range(1, LASTING_DAYS):
        np.maximum(ahead[:-days], held[days:], out=ahead[:-days])
    return ahead


def _run(x: Floats, started: Flags, level: Floats, profile: Floats) -> tuple[Floats, Floats]:
    """Smooth x [days, n] at all speeds from the given start; returns level [n] and profile [n, 7]."""
    speeds = np.array([(a, g) for a in LEVEL_SPEEDS for g in PROFILE_SPEEDS])
    fast, slow = speeds[:, :1], speeds[:, 1:]
    levels = np.repeat(level[None], len(speeds), axis=0)
    profiles = np.repeat(profile[:, None, :], len(speeds), axis=1)  # weekday first: one contiguous slice a day
    loss = np.full(levels.shape, 1e-12)
    judged = started.copy()
    judged[WARM_UP:] &= started[:-WARM_UP]
    judged[:WARM_UP] = False
    learning = started.astype(np.float64)
    for day in range(len(x)):
        today = profiles[day % 7]
        error = x[day] - levels
        error -= today
        error *= learning[day]
        levels += fast * error
        today += slow * error
        error *= error
        error *= judged[day]
        loss += error
    weight = (loss / loss.min(axis=0)) ** -SHARPNESS
    weight /= weight.sum(axis=0)
    return np.einsum("gn,gn->n", weight, levels), np.einsum("gn,wgn->nw", weight, profiles)
