"""What public holidays do to use: measured on those that have passed, laid on those to come. Pure numpy.

A holiday's effect is the share of a usual day that was used on it, a usual day being the median of the same weekdays
up to four weeks before and after. An account has seen few holidays, so its median is shrunk to the organization's
mean by credibility: n holidays of its own weigh n ÷ (n + worth), where `worth` = variance between holidays of one
account ÷ variance between accounts, both estimated from the data (H. Bühlmann, A. Gisler: A Course in Credibility
Theory and its Applications, 2005, section 4.8; the same as parametric empirical Bayes, C. Morris, JASA 78, 1983).
The organization's mean is shrunk to 1 (no effect) as if a year of holidays without any had been seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from budgets.calc.usage_windows import Flags, Floats

Ints = np.ndarray[Any, np.dtype[np.intp]]

NEIGHBOURS = np.array([-28, -21, -14, -7, 7, 14, 21, 28])  # days: the same weekday around a holiday
ENOUGH_NEIGHBOURS = 3
HIGHEST = 3.0  # a holiday with more than three times the usual use was not one for this account
NO_EFFECT_SEEN = 12  # holidays without an effect, that an organization starts with
LEAST_WORTH, MOST_WORTH = 1.0, 1000.0
_OF_A_MEDIAN = np.pi / 2  # a median varies so much more than a mean


@dataclass(frozen=True, slots=True)
class Usual:
    """The organization's: the mean `effect`, 1 being none, and how many holidays of an account it is `worth`."""

    effect: float = 1.0
    worth: float = 8.0


NOTHING_USUAL = Usual()  # before anything was seen


def usual_days(days: Floats, holidays: Flags) -> tuple[Ints, Floats]:
    """Return where the holidays are in a history [days], and the usual use of each such day.

    Holidays with fewer than three ordinary days of the same weekday around them are left out.
    """
    at = np.flatnonzero(holidays)
    around = at[:, None] + NEIGHBOURS
    inside = (around >= 0) & (around < len(days))
    place = np.where(inside, around, 0)
    ordinary = inside & ~holidays[place] if len(days) else inside
    ordered = np.sort(np.where(ordinary, days[place], np.inf), axis=1) if len(at) else np.empty((0, len(NEIGHBOURS)))
    count = ordinary.sum(axis=1)
    known = count >= ENOUGH_NEIGHBOURS
    at, ordered, count = at[known], ordered[known], count[known]
    rows = np.arange(len(at))
    return at, (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2


def effects(days: Floats, holidays: Flags) -> Floats:
    """Return, for each holiday of a history [days] whose usual use is known and not zero, used ÷ usual, up to 3."""
    at, usual = usual_days(days, holidays)
    kept = usual > 0
    return np.minimum(days[at[kept]] / usual[kept], HIGHEST)


def without_holidays(days: Floats, holidays: Flags) -> Floats:
    """Return a copy of the history in which each holiday has the usual use of its weekday."""
    at, usual = usual_days(days, holidays)
    ordinary = days.copy()
    ordinary[at] = usual
    return ordinary


def shrunk_effect(seen: Floats, usual: Usual) -> float:
    """Return an account's effect: the median of those `seen`, shrunk to the organization's."""
    if not len(seen):
        return usual.effect
    weight = len(seen) / (len(seen) + usual.worth)
    return float(weight * np.median(seen) + (1 - weight) * usual.effect)


def usual_of(seen: Sequence[Floats]) -> Usual:
    """Return the organization's from the effects seen by each of its accounts; the default when there are none."""
    groups = [one for one in seen if len(one)]
    if not groups:
        return NOTHING_USUAL
    count = np.array([len(one) for one in groups], dtype=np.float64)
    middle = np.array([np.median(one) for one in groups])
    total = float(count.sum())
    mean = float(count @ middle) / total
    effect = (total * mean + NO_EFFECT_SEEN) / (total + NO_EFFECT_SEEN)
    spare = total - float(count @ count) / total
    if total <= len(groups) or spare <= 0:
        return Usual(effect)  # one account, or one holiday each: the two variances cannot be told apart
    squares = sum(float(((one - m) ** 2).sum()) for one, m in zip(groups, middle, strict=True))
    within = _OF_A_MEDIAN * squares / (total - len(groups))
    between = (float(count @ (middle - mean) ** 2) - (len(groups) - 1) * within) / spare
    worth = within / between if between > 0 else MOST_WORTH
    return Usual(effect, float(np.clip(worth, LEAST_WORTH, MOST_WORTH)))


def bent(cumulative: Floats, factors: Floats) -> Floats:
    """Multiply what quantiles [3, n, days] of cumulative use add on each day by `factors` [n, days], none below 0."""
    added = np.diff(cumulative, axis=2, prepend=0.0) * factors
    return np.asarray(np.maximum.accumulate(np.cumsum(added, axis=2), axis=0))
