"""How much will be used, with its uncertainty: one batch for many accounts. Pure numpy.

Two forecasts are combined: quantiles of the growth as linear functions of features (quantile_table), and a smoothed
level with a weekly profile (smoothing), calmed by a slow mean. The intervals of the second are the errors that it
made on other series, scaled by the account's own volatility. There is no trend on purpose: extrapolated trends lose
after a month. The width of the interval is never a daily standard deviation times the root of the days, since levels
drift and errors are correlated.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from budgets.calc.quantile_table import HORIZONS, Features, Table, features_of, growth_quantiles
from budgets.calc.smoothing import smoothed_point
from budgets.calc.usage_windows import Floats, UsageWindows

CONSTANTS = Path(__file__).with_name("forecast_constants.json")
YOUNG_DAYS = 60  # a shorter history uses its plain mean of 30 days
BLOCK = 500  # accounts at once: the working set stays in the cache, and memory does not grow with the accounts
FLOOR = 0.01  # of the usual usage, added to both sides of ratios
CALM, CALM_DAYS = 0.15, 28  # part of the decayed mean of this half-life in what the smoother says


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of log(actual / point forecast) / volatility after `days` [k]: `levels` [3, k]."""

    days: Floats
    levels: Floats


@dataclass(frozen=True, slots=True)
class Constants:
    """All that was fitted: the table, the spreads of the smoother and of the plain mean, and how they are combined.

    `share` [3] is the weight of the table per quantile (the rest is the smoother's); `widen` [2] scales the distance
    of P10 and of P90 from P50, in logs, after the combination.
    """

    table: Table
    smoothed: Spread
    plain: Spread
    share: Floats
    widen: Floats


def forecast_cumulative(history: Floats, horizon: int) -> Floats:
    """Forecast cumulative usage of many accounts.

    `history` [accounts, days]: usage per day, right-aligned (the last column is yesterday), NaN before an account's
    first day, 0 on a day without usage. `horizon`: days ahead, from 1. Returns P10, P50 and P90 of the usage summed
    over days 1..horizon, float64 [3, accounts, horizon], in the unit of the history, finite, never falling along the
    horizon and from P10 to P90. An account without any usage gets zeros.
    """
    given = np.asarray(history, dtype=np.float64)
    out = np.zeros((3, len(given), horizon))
    for first in range(0, len(given), BLOCK):
        out[:, first : first + BLOCK] = _forecast_block(given[first : first + BLOCK], horizon, constants())
    return out


def _forecast_block(history: Floats, horizon: int, fitted: Constants) -> Floats:
    """`forecast_cumulative` of so few accounts that they fit into the cache."""
    windows = UsageWindows(history)
    out = np.zeros((3, windows.n, horizon))
    for old in (False, True):
        rows = np.nonzero((windows.length >= YOUNG_DAYS) == old)[0]
        if len(rows):
            these = windows if len(rows) == windows.n else UsageWindows(history[rows])
            found = mature_forecast(these, horizon, fitted) if old else young_forecast(these, horizon, fitted)
            used = these.total[:, -1] > 0  # who has used nothing lately gets zeros, not what keeps logs finite
            out[:, rows] = found * np.where(used, these.unit, 0.0)[:, None]
    # Rounding must not break the promise to callers.
    return np.maximum.accumulate(np.maximum.accumulate(out, axis=2), axis=0)


def young_forecast(windows: UsageWindows, horizon: int, fitted: Constants) -> Floats:
    """The mean of the last 30 days, with the spread that it has had elsewhere, [3, n, horizon]."""
    point = windows.recent_mean(30)[:, None] * np.arange(1, horizon + 1)
    return spread_out(windows, point, fitted.plain)


def mature_forecast(windows: UsageWindows, horizon: int, fitted: Constants) -> Floats:
    """The table and the smoother combined, [3, n, horizon]."""
    point = smoothed_point(windows, max(horizon, int(HORIZONS[-1])))
    features = features_of(windows, point[:, HORIZONS - 1])
    table = table_forecast(features, horizon, fitted.table)
    smoothed = spread_out(windows, calmed(windows, point[:, :horizon], features.profile), fitted.smoothed)
    return combine(table, smoothed, fitted.share, fitted.widen)


def calmed(windows: UsageWindows, point: Floats, profile: Floats) -> Floats:
    """Mix a cumulative forecast [n, horizon] with a slow mean of the account, which errs at other times than it does.

    `profile` [n, 7]: the factor of each weekday, column 0 being tomorrow.
    """
    slow = windows.decayed_mean(CALM_DAYS)[:, None] * np.cumsum(profile[:, np.arange(point.shape[1]) % 7], axis=1)
    return (1 - CALM) * point + CALM * slow


def table_forecast(features: Features, horizon: int, table: Table) -> Floats:
    """Cumulative quantiles [3, n, horizon] of the table."""
    growth = interpolate(HORIZONS, growth_quantiles(features, table), horizon)
    days = np.arange(1, horizon + 1)
    return np.maximum.accumulate(np.exp(growth) * features.present[:, None] * days, axis=2)


def spread_out(windows: UsageWindows, point: Floats, spread: Spread) -> Floats:
    """Quantiles [3, n, horizon] around a cumulative point forecast [n, horizon]."""
    horizon = point.shape[1]
    level = interpolate(spread.days, spread.levels, horizon)
    floor = FLOOR * windows.recent_mean(91)[:, None] * np.arange(1, horizon + 1)
    out = (point + floor) * np.exp(level[:, None, :] * windows.volatility()[:, None]) - floor
    return np.maximum.accumulate(np.maximum(out, 0.0), axis=2)


def combine(table: Floats, smoothed: Floats, share: Floats, widen: Floats) -> Floats:
    """Weighted geometric mean of two forecasts [3, n, horizon], with the interval scaled around P50."""
    share = share[:, None, None]
    logs = share * np.log(table + 1e-9) + (1 - share) * np.log(smoothed + 1e-9)
    logs[0] = logs[1] + widen[0] * (logs[0] - logs[1])
    logs[2] = logs[1] + widen[1] * (logs[2] - logs[1])
    return np.maximum(np.exp(logs) - 1e-9, 0.0)


def interpolate(knots: Floats | np.ndarray[Any, Any], values: Floats, horizon: int) -> Floats:
    """Values [..., k] at `knots` days for each of the days 1..horizon, linear in the log of the days, flat outside."""
    x, places = np.log(np.arange(1, horizon + 1)), np.log(knots)
    left = np.clip(np.searchsorted(places, x) - 1, 0, len(knots) - 2)
    part = np.clip((x - places[left]) / (places[left + 1] - places[left]), 0.0, 1.0)
    return np.asarray(values[..., left] * (1 - part) + values[..., left + 1] * part)


@lru_cache(maxsize=1)
def constants() -> Constants:
    """The fitted constants, read once per process."""
    return constants_of(json.loads(CONSTANTS.read_text()))


def constants_of(raw: dict[str, Any]) -> Constants:
    """Constants from the content of their file."""
    named = {name: np.array(value, dtype=np.float64) for name, value in raw["values"].items()}
    return Constants(
        Table(named["mean"], named["sd"], named["coefficients"]),
        Spread(named["smoothed_days"], named["smoothed_levels"]),
        Spread(named["plain_days"], named["plain_levels"]),
        named["share"],
        named["widen"],
    )
