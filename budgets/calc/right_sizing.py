"""Which commit to sign next: the one that costs least, with overage, unused money and discounts. Pure numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from budgets.calc.usage_windows import Floats


@dataclass(frozen=True, slots=True)
class Discount:
    """From a commit of `least` on, usage costs `percent` less than the contract rate."""

    least: float
    percent: float


@dataclass(frozen=True, slots=True)
class Size:
    """A commit of `commit` and what it is expected to cost in all.

    `usage` is at the discounted rate, `overage` what is paid beyond the commit, `unused` what is paid for nothing;
    `cost` = commit + overage. `p_overage` is the probability of any.
    """

    commit: float
    percent: float
    usage: float
    overage: float
    unused: float
    cost: float
    p_overage: float


def sizes(
    usage: Floats,
    discounts: Sequence[Discount] = (),
    *,
    overage_factor: float = 1.0,
    step: float = 1000.0,
    rollover: float = 0.0,
) -> list[Size]:
    """Return what commits of different size would cost, ascending, for a term's `usage` [paths] at the contract rate.

    Looked at are zero, each step of the discount table and multiples of `step` up to the largest usage. Up to
    `rollover` of what is unused is worth its money in the next term. Overage costs the discounted rate times
    `overage_factor`. Raises ValueError for a step that is not above zero.
    """
    if step <= 0:
        raise ValueError("The step between two sizes must be above zero.")
    table = sorted(discounts, key=lambda one: one.least)
    top = float(np.ceil(usage.max() / step) * step) if usage.size else 0.0
    candidates = {0.0, *map(float, np.arange(0.0, top + step, step)), *(one.least for one in table)}
    return [_size(usage, commit, table, overage_factor, rollover) for commit in sorted(candidates)]


def best_size(found: Sequence[Size]) -> Size:
    """Return the size with the least expected cost less what may roll over; the smaller one of equals."""
    return min(found, key=lambda one: (round(one.cost, 6), one.commit))


def _size(usage: Floats, commit: float, table: Sequence[Discount], factor: float, rollover: float) -> Size:
    percent = max((one.percent for one in table if one.least <= commit), default=0.0)
    used = usage * (1 - percent / 100)
    beyond = np.maximum(used - commit, 0.0)
    left = np.maximum(commit - used, 0.0)
    kept = np.minimum(left, rollover)
    overage = float(beyond.mean()) * factor
    return Size(
        commit,
        percent,
        float(used.mean()),
        overage,
        float((left - kept).mean()),
        commit - float(kept.mean()) + overage,
        float(np.mean(beyond > 0)),
    )
