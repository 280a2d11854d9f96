"""Quantiles of the growth of usage, as linear functions of scale-free features of the history. Pure numpy.

For a few horizons, the log of (mean usage per day until then / mean of the last 28 days) is a linear function of
features such as how the last week compares with the last month and quarter, how much weeks differ, and what happened
a year ago. The coefficients are fitted by scripts/fit_forecast.py. What the function learns is mostly mean reversion.
"""

from dataclasses import dataclass

import numpy as np

from budgets.calc.usage_windows import LOG_LIMIT, Floats, UsageWindows, shrunk_rms

HORIZONS = np.array([1, 3, 7, 14, 30, 60, 90, 120])  # days
CLIP = 4.0  # standard deviations: no feature counts for more
HALF_LIVES = (7, 14, 28, 60)  # days
WINDOWS = (7, 14, 56, 91, 182, 364)  # days, each against the last 28
PRESENT = 28
WEEKS = 13
SMALL = 0.02  # of the usual usage, added to both sides of ratios: an idle window has a finite log
BASE_NAMES = (
    *(f"decayed_{days}" for days in HALF_LIVES),
    "three_days",
    *(f"window_{days}" for days in WINDOWS),
    "week_change_sd",
    "week_change_median",
    "best_week",
    "worst_week",
    "slope_4_weeks",
    "slope_8_weeks",
    "median_week",
    "median_week_of_4",
    "daily_variation",
    "idle_days",
    "best_day",
    "last_day",
    "swing",
    "years",
)  # fmt: skip
NAMES = (*BASE_NAMES, "year_ago", "smoothed")
SWING, LAST_WEEK, YEAR_AGO, SMOOTHED = (NAMES.index(name) for name in ("swing", "window_7", "year_ago", "smoothed"))
MISSING = tuple(NAMES.index(name) for name in ("year_ago", "window_364", "window_182"))


@dataclass(frozen=True, slots=True)
class Table:
    """Fitted constants: mean and sd of the features [26 or 27], coefficients [3, horizons, columns of `design`]."""

    mean: Floats
    sd: Floats
    coefficients: Floats


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of n accounts. All logs are of ratios to `present`, the usual usage per day now [n].

    `base` [n, 25] does not depend on the horizon; `year_ago` [n, horizons] is the growth over the same days a year
    before; `smoothed` [n, horizons] what exponential smoothing expects; `weekday` [n, horizons] the log factor of the
    weekdays until the horizon, which is an offset and not a feature; `profile` [n, 7] the factor of each weekday,
    column 0 being tomorrow.
    """

    base: Floats
    year_ago: Floats
    smoothed: Floats
    weekday: Floats
    present: Floats
    profile: Floats

    def at(self, horizon: int) -> Floats:
        """The features [n, len(NAMES)] for one of HORIZONS, by its index."""
        return np.column_stack([self.base, self.year_ago[:, horizon], self.smoothed[:, horizon]])


def growth_quantiles(features: Features, table: Table) -> Floats:
    """P10, P50 and P90 of the log growth against `features.present` until each of HORIZONS, [3, n, horizons]."""
    growth = np.stack(
        [
            np.einsum("nk,qk->qn", design(features.at(j), table.mean, table.sd), table.coefficients[:, j])
            + features.weekday[:, j]
            for j in range(len(HORIZONS))
        ],
        axis=2,
    )
    return np.sort(growth, axis=0)


def design(x: Floats, mean: Floats, sd: Floats) -> Floats:
    """Standardised features [n, len(NAMES)] with an intercept, flags of what is missing, and interactions."""
    missing = np.isnan(x)
    z = np.clip((np.where(missing, mean, x) - mean) / sd, -CLIP, CLIP)
    year, swing, week = z[:, YEAR_AGO], z[:, SWING], z[:, LAST_WEEK]
    products = [swing * week, np.abs(week), year * swing, year * np.abs(year), np.abs(year), swing**2]
    return np.column_stack([np.ones(len(x)), z, missing[:, MISSING], *products])


def features_of(windows: UsageWindows, smoothed: Floats) -> Features:
    """Features of all accounts. `smoothed`: cumulative point forecast [n, horizons] in the accounts' units."""
    small = small_amount(windows)
    present = windows.recent_mean(PRESENT) + small
    level = np.log(present)
    with np.errstate(invalid="ignore"):  # comparisons with windows before the account's time give NaN
        base = np.column_stack(
            [_levels(windows, small, level), _weeks(windows, small, level), _days(windows, small, level)]
        )
    profile = weekday_profile(windows)
    year_ago, weekday = _by_horizon(windows, small, profile)
    expected = np.log(np.maximum(smoothed, 0.0) / HORIZONS + small[:, None]) - level[:, None] - weekday
    return Features(base, year_ago, np.clip(expected, -LOG_LIMIT, LOG_LIMIT), weekday, present, profile)


def small_amount(windows: UsageWindows) -> Floats:
    """What is added to both sides of ratios [n]."""
    return SMALL * windows.recent_mean(91) + 1e-9


def _levels(windows: UsageWindows, small: Floats, level: Floats) -> Floats:
    """How short and long means compare with the present one, [n, 11]."""
    means = [windows.decayed_mean(days) for days in HALF_LIVES] + [windows.mean(days) for days in WINDOWS]
    logs = np.log(np.maximum(np.stack(means, axis=1), 0.0) + small[:, None])
    last_days = np.log(np.maximum(windows.recent_mean(3), 0.0) + small) - logs[:, len(HALF_LIVES)]
    logs -= level[:, None]
    return np.column_stack([logs[:, : len(HALF_LIVES)], last_days, logs[:, len(HALF_LIVES) :]])


def _weeks(windows: UsageWindows, small: Floats, level: Floats) -> Floats:
    """How the last 13 weeks compare with each other and with the present level, [n, 8]."""
    ends = windows.days - 7 * np.arange(WEEKS)
    usage = np.maximum(windows.total[:, ends] - windows.total[:, ends - 7], 0.0) / 7
    weeks = np.log(usage + small[:, None])
    known = windows.length[:, None] >= 7 * np.arange(1, WEEKS + 1)
    weeks = np.where(known, weeks, np.nan)
    change = weeks[:, :-1] - weeks[:, 1:]
    size = np.where(np.isnan(change), 0.0, change)
    count = np.maximum(known.sum(axis=1) - 1, 1)
    sd = np.sqrt(np.maximum((size**2).sum(axis=1) / count - (size.sum(axis=1) / count) ** 2, 0.0))
    return np.column_stack(
        [
            sd,
            _median(np.abs(change)),
            np.where(known, weeks, -np.inf).max(axis=1) - level,
            np.where(known, weeks, np.inf).min(axis=1) - level,
            (weeks[:, 0] - weeks[:, 3]) / 3,
            (weeks[:, :4].mean(axis=1) - weeks[:, 4:8].mean(axis=1)) / 4,
            _median(weeks) - level,
            _median(weeks[:, :4]) - level,
        ]
    )


def _days(windows: UsageWindows, small: Floats, level: Floats) -> Floats:
    """How the days of the last four weeks vary, the long-run swing, and the age, [n, 6]."""
    recent = windows.values[:, -PRESENT:]
    week = np.log(np.maximum(windows.recent_mean(7), 0.0) + small)
    return np.column_stack(
        [
            recent.std(axis=1) / np.exp(level),
            (recent <= 0).mean(axis=1),
            np.log(recent.max(axis=1) + small) - level,
            np.log(recent[:, -1] + small) - week,
            shrunk_rms(windows.changes(PRESENT, 392, PRESENT * small), PRESENT),
            np.minimum(windows.length, 730) / 365,
        ]
    )


def _by_horizon(windows: UsageWindows, small: Floats, profile: Floats) -> tuple[Floats, Floats]:
    """Growth over the same days a year before (NaN when too young), and log weekday factor, both [n, horizons]."""
    before = np.log(np.maximum(windows.mean(PRESENT, 364), 0.0) + small)
    year_ago, weekday = [], []
    for days in HORIZONS:
        growth = np.log(np.maximum(windows.sum(days, 364 - days), 0.0) / days + small) - before
        year_ago.append(np.clip(growth, -LOG_LIMIT, LOG_LIMIT))
        factor = profile[:, np.arange(days) % 7].mean(axis=1)
        weekday.append(np.log(np.maximum(factor, 0.05)))
    return np.stack(year_ago, axis=1), np.stack(weekday, axis=1)


def weekday_profile(windows: UsageWindows) -> Floats:
    """Median share of each weekday in its week over eight weeks; column 0 is tomorrow, mean 1, [n, 7]."""
    weeks = windows.values[:, -56:].reshape(windows.n, 8, 7)
    share = weeks / np.maximum(weeks.mean(axis=2, keepdims=True), 1e-9)
    known = windows.length[:, None] >= 56 - 7 * np.arange(8)
    profile = _median(np.where(known[:, :, None], share, np.nan).swapaxes(1, 2))
    mean = profile.mean(axis=1, keepdims=True)
    return np.where(mean > 0, profile / np.maximum(mean, 1e-9), 1.0)


def _median(x: Floats) -> Floats:
    """Median over the last axis without its NaNs; NaN when there is nothing else. Faster than np.nanmedian."""
    ordered = np.sort(x, axis=-1)  # NaNs go last
    count = (~np.isnan(x)).sum(axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, x.shape[-1] - 1)
    picked = [np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in (low, high)]
    return (picked[0] + picked[1]) / 2
