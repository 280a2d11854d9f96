"""How wide an account's intervals must be beside its organization's: own errors, shrunk where few are known. Numpy.

An account's scale is the root mean square of its scored errors, each in units of the interval that was given: 1 is
right. Few scores tell it badly, so its square is moderated by empirical Bayes for variances (G. Smyth, Linear models
and empirical Bayes methods, Stat. Appl. Genet. Mol. Biol. 3, 2004, section 6.2; `squeezeVar` of limma):

    moderated = (d0 · s0² + d · s²) ÷ (d0 + d)

with d the account's independent scores. The prior, s0² with d0 degrees of freedom, is estimated from all accounts by
the mean and the variance of log s², of which trigamma(d/2) is chance; what is left over is how much accounts differ.
Where they differ by no more than chance, d0 is infinite, and all have the organization's scale.
"""

import numpy as np

from budgets.calc.holidays import Ints
from budgets.calc.usage_windows import Floats

FARTHEST = 4.0  # standard deviations: one miss counts for no more
APART = 30  # days: forecasts that overlap less than this share their errors
LEAST, MOST = 1 / 3, 3.0
_Z90 = 1.2815515655446004
_TINY = 1e-4


def errors(p10: Floats, p50: Floats, p90: Floats, actual: Floats) -> Floats:
    """Return each miss in standard deviations of its side of the interval, in logs, as `widening` sees it."""
    floor = np.maximum(p50, 1e-9) * 1e-6 + 1e-12
    gap = np.log((actual + floor) / (p50 + floor))
    low = np.maximum(np.log((p50 + floor) / (p10 + floor)), 1e-9)
    high = np.maximum(np.log((p90 + floor) / (p50 + floor)), 1e-9)
    return np.asarray(np.clip(_Z90 * gap / np.where(gap < 0, low, high), -FARTHEST, FARTHEST))


def independent(account: Ints, day: Ints) -> Floats:
    """Return how many of each account's scores are independent; those closer than 30 days count for a part.

    `account` [scores]: number from 0; `day` [scores]: the day it was forecast on, in any order.
    """
    order = np.lexsort((day, account))
    same = np.diff(account[order]) == 0
    gap = np.where(same, np.minimum(np.diff(day[order]), APART) / APART, 1.0)
    return np.bincount(account[order], weights=np.concatenate([np.ones(len(order) - len(gap)), gap])).astype(
        np.float64
    )


def account_factors(error: Floats, account: Ints, day: Ints) -> Floats:
    """Return the factor of each account's interval on top of its organization's, [accounts]; 1 as few are known.

    `error`, `account` and `day` [scores]; accounts are numbered from 0, and each has a score.
    """
    if not len(error):
        return np.empty(0)
    known = independent(account, day)
    square = np.bincount(account, weights=error**2) / np.bincount(account) + _TINY
    prior, strength = _prior(square, known)
    if np.isinf(strength):
        return np.ones(len(known))
    moderated = (strength * prior + known * square) / (strength + known)
    return np.asarray(np.clip(np.sqrt(moderated / prior), LEAST, MOST))


def _prior(square: Floats, known: Floats) -> tuple[float, float]:
    """Return s0² and d0 from the accounts' mean squares and how many independent scores are behind each."""
    chance = trigamma(known / 2)
    logs = np.log(square) - digamma(known / 2) + np.log(known / 2)
    weight = 1 / (chance + 0.5)  # a single score says little: it must not drown the others (0.5: accounts do differ)
    mean = float(weight @ logs / weight.sum())
    spare = weight.sum() - float(weight @ weight) / weight.sum()
    if spare <= 0:
        return float(np.exp(mean)), np.inf
    left = float(weight @ ((logs - mean) ** 2 - chance)) / weight.sum() + float(weight**2 @ chance) / weight.sum() ** 2
    if left <= 0:
        return float(np.exp(mean)), np.inf
    strength = 2 * trigamma_inverse(left)
    half = np.array([strength / 2])
    return float(np.exp(mean + digamma(half)[0] - np.log(half[0]))), strength


def digamma(x: Floats) -> Floats:
    """The derivative of log gamma, for x > 0."""
    x, out = np.asarray(x, dtype=np.float64), np.zeros(np.shape(x))
    for _ in range(6):  # up to where the series below is exact
        out, x = out - 1 / x, x + 1
    square = 1 / x**2
    return np.asarray(out + np.log(x) - 0.5 / x - square * (1 / 12 - square * (1 / 120 - square / 252)))


def trigamma(x: Floats) -> Floats:
    """The second derivative of log gamma, for x > 0."""
    x, out = np.asarray(x, dtype=np.float64), np.zeros(np.shape(x))
    for _ in range(6):
        out, x = out + 1 / x**2, x + 1
    square = 1 / x**2
    return np.asarray(out + 1 / x + 0.5 * square + square / x * (1 / 6 - square * (1 / 30 - square / 42)))


def trigamma_inverse(value: float) -> float:
    """Return x with trigamma(x) = value, between 1e-3 and 1e6."""
    low, high = np.log(1e-3), np.log(1e6)
    for _ in range(60):
        middle = (low + high) / 2
        if trigamma(np.exp(np.array([middle])))[0] > value:
            low = middle
        else:
            high = middle
    return float(np.exp(middle))
