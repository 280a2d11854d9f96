"""How good forecasts were: error, bias, coverage, and what the intervals must be widened by. Pure numpy. Metric 26."""

from dataclasses import dataclass

import numpy as np

from budgets.calc.usage_windows import Floats

TARGET = 0.8  # of the outcomes between P10 and P90
ENOUGH = 30  # scores, below which intervals are left alone
_SLOWEST, _FASTEST = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`wape` = Σ|actual − P50| ÷ Σ actual, `bias` = Σ(P50 − actual) ÷ Σ actual, `coverage` of P10 to P90.

    None: there are no scores, or nothing was used.
    """

    scores: int
    wape: float | None
    bias: float | None
    coverage: float | None
    median_error: float | None


def accuracy(p10: Floats, p50: Floats, p90: Floats, actual: Floats) -> Accuracy:
    """Return the accuracy of forecasts of the same horizon, all [scores], in one currency (or in days)."""
    if not len(actual):
        return Accuracy(0, None, None, None, None)
    total = float(actual.sum())
    error = p50 - actual
    relative = np.abs(error)[actual > 0] / actual[actual > 0]
    return Accuracy(
        len(actual),
        float(np.abs(error).sum()) / total if total > 0 else None,
        float(error.sum()) / total if total > 0 else None,
        float(np.mean((p10 <= actual) & (actual <= p90))),
        float(np.median(relative)) if len(relative) else None,
    )


def widening(p10: Floats, p50: Floats, p90: Floats, actual: Floats) -> tuple[float, float]:
    """Return the factors for the lower and upper side that would have made each hold its 40 % of the outcomes.

    In logs, relative to each forecast's own width, shrunk to 1 while scores are few (n / (n + 30)) and never below a
    half or above two at once. (1, 1) with fewer than ENOUGH scores.
    """
    if len(actual) < ENOUGH:
        return 1.0, 1.0
    floor = np.maximum(p50, 1e-9) * 1e-6 + 1e-12
    gap = np.log((actual + floor) / (p50 + floor))
    low = np.maximum(np.log((p50 + floor) / (p10 + floor)), 1e-9)
    high = np.maximum(np.log((p90 + floor) / (p50 + floor)), 1e-9)
    # Each side is scaled so that a tenth of all outcomes lies beyond it.
    below = float(np.quantile(np.where(gap < 0, -gap / low, 0.0), 0.9))
    above = float(np.quantile(np.where(gap > 0, gap / high, 0.0), 0.9))
    weight = len(actual) / (len(actual) + ENOUGH)
    shrunk = [float(np.clip(one, _SLOWEST, _FASTEST)) ** weight for one in (below, above)]
    return shrunk[0], shrunk[1]
