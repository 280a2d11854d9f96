"""When commits run out: a fan of spend drawn from layers of commits, for many accounts at once. Pure numpy.

The three quantiles of a forecast become a fan of paths, one for each of LEVELS, that keep their level from day to day;
so a date at which 90 of 100 paths are still funded is the P10 of the date. Each path is drawn from the layers in their
order, day by day: layers start and lapse, and what they do not cover is overage. Amounts are floats, since they are
estimates; what is booked is never computed here.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from budgets.calc.usage_windows import Floats

Ints = np.ndarray[Any, np.dtype[np.int64]]

LEVELS: Floats = np.round(np.arange(0.02, 0.99, 0.04), 2)  # 25 probabilities, .02 to .98, with .10, .50 and .90
NEVER = np.iinfo(np.int64).max  # a day that does not come
_SMALL = 1e-9  # of an account's spend or commit: less than that is rounding


def _normal_scores(levels: Floats) -> Floats:
    return np.array([NormalDist().inv_cdf(float(level)) for level in levels])


_Z = _normal_scores(LEVELS)
_Z90 = float(_normal_scores(np.array([0.9]))[0])


def fan(quantiles: Floats) -> Floats:
    """Return cumulative spend [accounts, levels, days] for `quantiles` [3, accounts, days] (P10, P50, P90).

    On either side of P50 the logs are normal with the width that P10 or P90 gives. Never falls along days or levels,
    and goes through P10, P50 and P90 wherever those are above zero.
    """
    low, middle, high = (np.maximum(one, 0.0) for one in quantiles)
    floor = np.maximum(middle, high) * 1e-6 + 1e-12
    # Widths are not below zero, so that paths are in the order of their levels.
    down = np.maximum(np.log((middle + floor) / (low + floor)) / _Z90, 0.0)
    up = np.maximum(np.log((high + floor) / (middle + floor)) / _Z90, 0.0)
    paths = np.empty((len(middle), len(_Z), middle.shape[1]))
    below = int((_Z < 0).sum())
    np.multiply(_Z[:below, None], down[:, None, :], out=paths[:, :below])
    np.multiply(_Z[below:, None], up[:, None, :], out=paths[:, below:])
    np.exp(paths, out=paths)
    paths *= (middle + floor)[:, None, :]
    paths -= floor[:, None, :]
    np.maximum(paths, 0.0, out=paths)
    return np.asarray(np.maximum.accumulate(paths, axis=2, out=paths))


def daily(cumulative: Floats) -> Floats:
    """Return what cumulative paths [..., days] add on each day."""
    added = np.empty_like(cumulative)
    added[..., :1] = cumulative[..., :1]
    np.subtract(cumulative[..., 1:], cumulative[..., :-1], out=added[..., 1:])
    return added


@dataclass(frozen=True, slots=True)
class Layers:
    """Commits in drawing order, [accounts, layers]: what each has `left` and on which days [starts, ends) it pays.

    Days count from 0, the first day of the fan; a layer in force has a start of 0 or less, one without expiry the end
    NEVER, and an account with fewer layers is filled up with zeros.
    """

    left: Floats
    starts: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class RunOut:
    """What becomes of each path, [accounts, levels] unless said otherwise.

    `day` on which it runs out (NEVER: not within the fan): the first with overage, or whose use takes the last.
    `overage` and `unused` until the account's term ends (unused: lapsed before, or left then). `balance`
    [accounts, levels, days] at the end of each day. `empty` [accounts, levels, layers]: the day each layer is used up
    or lapses.
    """

    day: Ints
    overage: Floats
    unused: Floats
    balance: Floats
    empty: Ints


def run_out(spend: Floats, layers: Layers, term: Ints) -> RunOut:
    """Draw daily `spend` [accounts, levels, days] from the layers; `term` [accounts]: the first day after the term."""
    accounts, levels, days = spend.shape
    by_day = np.ascontiguousarray(spend.transpose(2, 0, 1))  # each step reads one day: it must lie together
    # Layer by layer for the same reason: [layers, accounts, levels], and [layers, accounts, 1] beside it.
    left = np.repeat(layers.left.T[:, :, None], levels, axis=2).astype(np.float64)
    starts, ends = layers.starts.T[:, :, None], layers.ends.T[:, :, None]
    tiny = _SMALL * (np.abs(layers.left).sum(axis=1)[:, None] + by_day.sum(axis=0)) + 1e-12
    day_out = np.full((accounts, levels), NEVER, dtype=np.int64)
    empty = np.full(left.shape, NEVER, dtype=np.int64)
    overage = np.zeros((accounts, levels))
    unused = np.zeros((accounts, levels))
    balance = np.zeros((days, accounts, levels))
    for day in range(days):
        in_term = (day < term)[:, None]
        lapsing = ends == day
        if lapsing.any():
            lapsed = left * lapsing
            unused += np.where(in_term, lapsed.sum(axis=0), 0.0)
            empty[(empty == NEVER) & lapsing] = day
            left -= lapsed
        paying = (starts <= day) & (day < ends)
        owed, held = by_day[day].copy(), balance[day]
        for number in np.nonzero(paying.any(axis=(1, 2)))[0]:
            taken = np.minimum(left[number], owed) * paying[number]
            left[number] -= taken
            owed -= taken
            empty[number, (taken > 0) & (left[number] <= tiny) & (empty[number] == NEVER)] = day
            held += left[number] * paying[number]
        overage += owed * in_term
        out = (owed > tiny) | ((held <= tiny) & (by_day[day] > 0))
        day_out[(day_out == NEVER) & out] = day
        unused += held * (term == day + 1)[:, None]
    return RunOut(day_out, overage, unused, balance.transpose(1, 2, 0), empty.transpose(1, 2, 0))


def at_level(values: Floats | Ints, probability: float) -> Any:
    """Return values [accounts, levels, ...] of the path at `probability`, one of LEVELS."""
    return values[:, int(np.argmin(np.abs(LEVELS - probability)))]


def chance(happens: Any) -> Floats:
    """Return the probability [accounts] that something is true of a path, from booleans [accounts, levels]."""
    return np.asarray(np.mean(happens, axis=1))


def mean(values: Floats) -> Floats:
    """Return the expected value [accounts] of amounts [accounts, levels]; tails beyond LEVELS weigh as their ends."""
    return np.asarray(values.mean(axis=1))


def widened(quantiles: Floats, low: Floats, high: Floats) -> Floats:
    """Scale the distance of P10 (by `low` [accounts]) and P90 (by `high`) from P50, in logs; [3, accounts, days]."""
    p10, p50, p90 = quantiles
    floor = np.maximum(p50, p90) * 1e-6 + 1e-12
    below = np.exp(np.log((p10 + floor) / (p50 + floor)) * low[:, None])
    above = np.exp(np.log((p90 + floor) / (p50 + floor)) * high[:, None])
    scaled = np.stack([(p50 + floor) * below - floor, p50, (p50 + floor) * above - floor])
    return np.asarray(np.maximum.accumulate(np.maximum(scaled, 0.0), axis=2))
