"""Fit the constants of budgets/calc/forecast.py from a folder of daily series.

    python -m scripts.fit_forecast FOLDER [--out budgets/calc/forecast_constants.json] [--fitted-on TEXT]
    python -m scripts.fit_forecast FOLDER --cross-validate

FOLDER holds one daily_*.parquet (unique_id, ds, y: usage per day, in order) and one daily_meta_*.csv (unique_id and
source, the kind of series). The second form writes nothing: it leaves out whole groups of sources in turn, forecasts
those with what was fitted on the others, and prints the loss against a plain mean of 30 days and the coverage. That is
the honest score; the score of the series that were fitted flatters. Needs numpy and pyarrow.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet

from budgets.calc.forecast import (
    CONSTANTS,
    FLOOR,
    Constants,
    calmed,
    combine,
    constants_of,
    spread_out,
    table_forecast,
)
from budgets.calc.quantile_table import HORIZONS, NAMES, Features, Table, design, features_of, small_amount
from budgets.calc.smoothing import smoothed_point
from budgets.calc.usage_windows import Flags, Floats, UsageWindows

QUANTILES = np.array([0.1, 0.5, 0.9])
SPREAD_DAYS = np.array([1, 3, 7, 14, 21, 30, 45, 60, 90, 120])
LONGEST, FIRST_ORIGIN, STRIDE = 730, 91, 7  # days of history used; days before the first forecast; days between two
RIDGE = 1e-2
CORNERS = (0.3, 0.1, 0.04, 0.02)  # how round the corner of the pinball loss is, in log growth; sharper and sharper
STEPS = 8
FOLDS = 4
SHARE = (0.3, 0.3, 0.3)  # of the table in the combination
WIDEN = (0.94, 0.94)  # below and above P50: the mean of two forecasts is less uncertain than either


@dataclass(frozen=True, slots=True)
class Origins:
    """Every forecast that can be tried out: one row per series and day of forecast.

    `actual` [m, 120]: cumulative usage after it in the unit of `windows`, NaN when not known; `weight` [m]: long
    series and large sources count more than others, but not in proportion.
    """

    windows: UsageWindows
    features: Features
    point: Floats
    actual: Floats
    series: np.ndarray[Any, Any]
    source: np.ndarray[Any, Any]
    weight: Floats


def load_series(folder: Path) -> Iterator[tuple[str, str, Floats]]:
    """Identifier, source and daily usage of every series in the folder."""
    with next(folder.glob("daily_meta_*.csv")).open() as lines:
        source = {row["unique_id"]: row["source"] for row in csv.DictReader(lines)}
    columns = parquet.read_table(next(folder.glob("daily_*.parquet")), columns=["unique_id", "y"])
    names = np.array(columns["unique_id"].to_pylist())
    values = columns["y"].to_numpy().astype(np.float64)
    for name in dict.fromkeys(names.tolist()):
        yield name, source[name], values[names == name]


def load_origins(folder: Path) -> Origins:
    """Lay out every forecast that can be tried on the series of a folder."""
    history, actual, series, source, weight = [], [], [], [], []
    longest = int(HORIZONS[-1])
    for name, kind, values in load_series(folder):
        days = np.arange(FIRST_ORIGIN, len(values) - 6, STRIDE)
        padded = np.concatenate([np.full(LONGEST, np.nan), values, np.full(longest, np.nan)])
        history.append(np.stack([padded[day : day + LONGEST] for day in days]))
        future = np.stack([padded[LONGEST + day : LONGEST + day + longest] for day in days])
        actual.append(np.cumsum(future, axis=1))
        series += [name] * len(days)
        source += [kind] * len(days)
        weight.append(np.full(len(days), 1 / np.sqrt(len(days))))
    windows = UsageWindows(np.concatenate(history))
    point = smoothed_point(windows, longest)
    features = features_of(windows, point[:, HORIZONS - 1])
    point = calmed(windows, point, features.profile)
    inside = np.concatenate(actual) / windows.unit[:, None]
    return Origins(windows, features, point, inside, np.array(series), np.array(source), np.concatenate(weight))


def fit(origins: Origins, keep: Flags) -> dict[str, Any]:
    """Fit everything on the forecasts where `keep`; returns the content of the constants file."""
    weight = balanced(origins.weight * keep, origins.source)
    table = fit_table(origins, keep, weight)
    days = np.arange(1, int(HORIZONS[-1]) + 1)
    plain = origins.windows.recent_mean(30)[:, None] * days
    values = {
        "mean": table.mean,
        "sd": table.sd,
        "coefficients": table.coefficients,
        "smoothed_days": SPREAD_DAYS,
        "smoothed_levels": fit_levels(origins, origins.point, weight),
        "plain_days": SPREAD_DAYS,
        "plain_levels": fit_levels(origins, plain, weight),
        "share": np.array(SHARE),
        "widen": np.array(WIDEN),
    }
    return {
        "features": list(NAMES),
        "values": {name: np.round(np.asarray(value, dtype=np.float64), 5).tolist() for name, value in values.items()},
    }


def balanced(weight: Floats, source: np.ndarray[Any, Any]) -> Floats:
    """Weights in which large sources count more, but not in proportion, with mean one."""
    out = weight.copy()
    for name in np.unique(source):
        rows = source == name
        out[rows] /= np.sqrt(max(out[rows].sum(), 1e-9))
    return np.asarray(out / out.mean())


def fit_table(origins: Origins, keep: Flags, weight: Floats) -> Table:
    """Fit the quantiles of growth at each of the horizons."""
    features, level = origins.features, np.log(origins.features.present)
    small = small_amount(origins.windows)
    stacked = np.concatenate([features.at(j)[keep] for j in range(len(HORIZONS))])
    mean, sd = np.nanmean(stacked, axis=0), np.nanstd(stacked, axis=0) + 1e-6
    coefficients = []
    for j, days in enumerate(HORIZONS):
        future = origins.actual[:, days - 1] / days
        rows = keep & ~np.isnan(future) & (origins.windows.recent_mean(28) > 0)
        growth = np.log(np.maximum(future[rows], 0.0) + small[rows]) - level[rows] - features.weekday[rows, j]
        x = design(features.at(j)[rows], mean, sd)
        coefficients.append(fit_quantiles(x, np.clip(growth, -3, 3), weight[rows]))
    return Table(mean, sd, np.stack(coefficients, axis=1))


def fit_quantiles(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Linear quantile regressions of y [m] on x [m, k] with a ridge, [3, k]; the median is the start of the others."""
    start = np.zeros(x.shape[1])
    found = {}
    for q in (1, 0, 2):
        found[q] = fit_quantile(x, y, weight / weight.sum(), QUANTILES[q], start)
        start = found[1]
    return np.stack([found[q] for q in range(3)])


def fit_quantile(x: Floats, y: Floats, weight: Floats, quantile: float, start: Floats) -> Floats:
    """Minimise the pinball loss with its corner rounded, by Newton's method with halved steps."""
    b, ridge = start.copy(), np.full(x.shape[1], RIDGE)
    ridge[0] = 1e-9

    def loss(at: Floats, corner: float) -> float:
        error = y - x @ at
        return float(weight @ (0.5 * np.hypot(error, corner) + (quantile - 0.5) * error) + ridge @ at**2)

    for corner in CORNERS:
        for _ in range(STEPS):
            error = y - x @ b
            root = np.hypot(error, corner)
            slope = -x.T @ (weight * (0.5 * error / root + quantile - 0.5)) + 2 * ridge * b
            curve = (x.T * (weight * 0.5 * corner**2 / root**3)) @ x + np.diag(2 * ridge)
            step, size, before = np.linalg.solve(curve, slope), 1.0, loss(b, corner)
            while size > 1e-3 and loss(b - size * step, corner) > before:
                size /= 2
            b = b - size * step
            if before - loss(b, corner) < 1e-7:
                break
    return b


def fit_levels(origins: Origins, point: Floats, weight: Floats) -> Floats:
    """Quantiles of log(actual / point forecast) / volatility at SPREAD_DAYS, [3, k]."""
    at = SPREAD_DAYS - 1
    floor = FLOOR * origins.windows.recent_mean(91)[:, None] * SPREAD_DAYS
    floor = np.maximum(floor, 1e-6)  # an account that has never used anything
    error = np.log((origins.actual[:, at] + floor) / (point[:, at] + floor)) / origins.windows.volatility()[:, None]
    return np.stack([weighted_quantiles(column, weight) for column in error.T], axis=1)


def weighted_quantiles(values: Floats, weight: Floats) -> Floats:
    """P10, P50, P90 of the values that are known."""
    known = ~np.isnan(values) & (weight > 0)
    order = np.argsort(values[known])
    share = np.cumsum(weight[known][order])
    return np.asarray(np.interp(QUANTILES * share[-1], share, values[known][order]))


def forecast_origins(origins: Origins, fitted: Constants) -> Floats:
    """What the product would have said, in the unit of the windows, [3, m, 120]."""
    table = table_forecast(origins.features, int(HORIZONS[-1]), fitted.table)
    smoothed = spread_out(origins.windows, origins.point, fitted.smoothed)
    return combine(table, smoothed, fitted.share, fitted.widen)


def cross_validate(origins: Origins) -> dict[str, float]:
    """Loss against the plain mean and coverage, at 7, 30 and 90 days, for sources that were left out of the fit."""
    found = np.zeros((3, len(origins.series), int(HORIZONS[-1])))
    plain = found.copy()
    days = np.arange(1, int(HORIZONS[-1]) + 1)
    for sources in source_groups(origins):
        left_out = np.isin(origins.source, sources)
        fitted = constants_of(fit(origins, ~left_out))
        found[:, left_out] = forecast_origins(origins, fitted)[:, left_out]
        point = origins.windows.recent_mean(30)[:, None] * days
        plain[:, left_out] = spread_out(origins.windows, point, fitted.plain)[:, left_out]
    out = {}
    for horizon in (7, 30, 90):
        actual = origins.actual[:, horizon - 1]
        losses = [by_series(origins, pinball(actual, all_[:, :, horizon - 1])) for all_ in (found, plain)]
        ratio = np.clip(losses[0] / np.maximum(losses[1], 1e-9), 0.02, 50)
        out[f"loss_{horizon}d"] = float(np.exp(np.nanmean(np.log(ratio))))
        low, _, high = found[:, :, horizon - 1]
        inside = np.where(np.isnan(actual), np.nan, (actual >= low) & (actual <= high))
        out[f"coverage_{horizon}d"] = float(np.nanmean(by_series(origins, inside)))
    return {name: round(value, 3) for name, value in out.items()}


def source_groups(origins: Origins) -> list[list[str]]:
    """The sources in FOLDS groups of about equal numbers of series."""
    pairs = sorted(set(zip(origins.source.tolist(), origins.series.tolist(), strict=True)))
    names, counts = np.unique([source for source, _ in pairs], return_counts=True)
    groups: list[list[str]] = [[] for _ in range(FOLDS)]
    load = np.zeros(FOLDS)
    for place in np.argsort(-counts, kind="stable"):
        smallest = int(load.argmin())
        groups[smallest].append(str(names[place]))
        load[smallest] += counts[place]
    return groups


def pinball(actual: Floats, quantiles: Floats) -> Floats:
    """Pinball loss of P10, P50 and P90 [3, m] together, [m]."""
    error = actual - quantiles
    level = QUANTILES[:, None]
    return np.asarray(np.maximum(level * error, (level - 1) * error).sum(axis=0))


def by_series(origins: Origins, values: Floats) -> Floats:
    """Mean of the known values [m] of each series; NaN for a series without any."""
    _, place = np.unique(origins.series, return_inverse=True)
    known = ~np.isnan(values)
    count = np.bincount(place, weights=known)
    total = np.bincount(place, weights=np.where(known, values, 0.0))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with daily_*.parquet and daily_meta_*.csv")
    parser.add_argument("--out", type=Path, default=CONSTANTS)
    parser.add_argument("--fitted-on", default="", help="a sentence for the file: what these series are")
    parser.add_argument("--cross-validate", action="store_true", help="print the honest score, write nothing")
    options = parser.parse_args()
    origins = load_origins(options.folder)
    if options.cross_validate:
        for name, value in cross_validate(origins).items():
            print(f"{name:14} {value}")
        return
    count, sources = len(set(origins.series.tolist())), len(set(origins.source.tolist()))
    about = f"{count} daily series of {sources} sources, {len(origins.series)} forecasts. {options.fitted_on}".strip()
    content = {"fitted_on": about, "refit": "python -m scripts.fit_forecast FOLDER --fitted-on TEXT"}
    options.out.write_text(json.dumps(content | fit(origins, np.ones(len(origins.series), dtype=bool))) + "\n")


if __name__ == "__main__":
    main()
