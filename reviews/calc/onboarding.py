"""Time to the first billable event: one account's, and the cohort's curve. Metric 1. Pure.

The curve is that of Kaplan and Meier (1958) with Greenwood's variance: accounts that still wait count until today.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class FirstValue:
    """`days` from the contract's start to the first billable event; None while it waits, since `waiting` days.

    Below zero: it was used before the contract began, and the page says so.
    """

    days: int | None
    waiting: int | None


def first_value(starts_on: date, billable_on: date | None, today: date) -> FirstValue:
    """Return how long one account took, or how long it waits."""
    if billable_on is not None:
        return FirstValue((billable_on - starts_on).days, None)
    return FirstValue(None, max((today - starts_on).days, 0))


@dataclass(frozen=True, slots=True)
class Step:
    """After `day` days a share `waiting` (0 to 1) of the cohort had no billable event, within [low, high] (95 %)."""

    day: int
    waiting: float
    low: float
    high: float


def cohort_curve(cohort: Sequence[FirstValue]) -> list[Step]:
    """Return the curve, one step for each day on which somebody began; what began before day 0 counts as day 0."""
    done = sorted(max(one.days, 0) for one in cohort if one.days is not None)
    censored = [one.waiting or 0 for one in cohort if one.days is None]
    steps: list[Step] = []
    waiting, spread = 1.0, 0.0
    for day in sorted(set(done)):
        at_risk = sum(one >= day for one in done) + sum(one >= day for one in censored)
        began = done.count(day)
        waiting *= 1 - began / at_risk
        spread += began / (at_risk * (at_risk - began)) if at_risk > began else 0.0
        width = Z95 * waiting * sqrt(spread)
        steps.append(Step(day, waiting, max(0.0, waiting - width), min(1.0, waiting + width)))
    return steps


def median_days(cohort: Sequence[FirstValue]) -> int | None:
    """Return the first day on which half of the cohort or fewer still waited; None while more than half does."""
    return next((step.day for step in cohort_curve(cohort) if step.waiting <= 0.5 + 1e-12), None)
