"""Which workflows are in production by what they do, how reliable they are, and how broad use is. Metrics 2, 3, 17."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from budgets.calc.usage_windows import Floats

ENOUGH_RUNS, ENOUGH_DAYS, WINDOW = 20, 8, 28
GRACE = 14  # days below the rule before a workflow is dropped
SPARSE = 5  # days between runs from which on cycles are counted instead of days
ENOUGH_FINISHED = 30
ENOUGH_A_DAY = 10
# Without a target: 5 % of failures are on target, 13 % are two points below it.
DEFAULT_TARGET = 95.0
_DEFAULT_POINTS = 2 / 8
LADDER = ("idea", "building", "pilot", "production", "hardened", "scaled")
LIVE = LADDER[3:]


def is_in_production(runs: Floats) -> bool:
    """Say whether successful billable runs a day, oldest first, make a production workflow.

    At least 20 runs on at least 8 of 28 days, or two cycles of one that runs every five days or more. It held on any
    of the last 14 days (or two cycles, if that is longer): a workflow is not dropped for one quiet week.
    """
    active = np.flatnonzero(runs > 0)
    if not len(active):
        return False
    cadence = float(np.median(np.diff(active))) if len(active) > 1 else 0.0
    grace = max(GRACE, int(2 * cadence))
    return any(_holds(runs[: len(runs) - ago], cadence) for ago in range(0, min(grace, len(runs) - 1) + 1))


def _holds(runs: Floats, cadence: float) -> bool:
    late = runs[-WINDOW:]
    if float(late.sum()) >= ENOUGH_RUNS and int((late > 0).sum()) >= ENOUGH_DAYS:
        return True
    return cadence >= SPARSE and int((runs[-max(WINDOW, int(2 * cadence) + 1) :] > 0).sum()) >= 2


def success(finished: Floats, successes: Floats, days: int = WINDOW) -> float | None:
    """Return the percentage of finished attempts of the last days that succeeded; None with fewer than 30."""
    total = float(finished[-days:].sum())
    return float(successes[-days:].sum()) / total * 100 if total >= ENOUGH_FINISHED else None


def gap(success_percent: float, target: float | None) -> float:
    """Return the points by which it is below its target (0 to 1), or 0. Without one 13 % of failures are 2 points."""
    if target is None:
        return max(DEFAULT_TARGET - success_percent, 0.0) * _DEFAULT_POINTS
    return max(target * 100 - success_percent, 0.0)


def failing_days(finished: Floats, successes: Floats, target: float | None) -> int:
    """Return the days in a row, up to the last, on which success was below target; days of little use are passed."""
    wanted = DEFAULT_TARGET / 100 if target is None else target
    count = 0
    for done, good in zip(finished[::-1].tolist(), successes[::-1].tolist(), strict=True):
        if done < ENOUGH_A_DAY:
            continue
        if good / done >= wanted:
            break
        count += 1
    return count


def breadth(production: int, top_share: float) -> float:
    """Return metric 17's score: 100 for three or more production workflows of which none has 60 % of spend."""
    if production >= 3 and top_share < 0.6:
        return 100.0
    return {0: 0.0, 1: 40.0}.get(production, 70.0)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rungs reached ÷ rungs there are, in percent, over `workflows`."""

    percent: float
    workflows: int


def ladder(stages: Sequence[str]) -> Ladder | None:
    """Return how far the workflows are up the ladder (idea 0, scaled 5 of 5); None without any."""
    known = [LADDER.index(stage) for stage in stages if stage in LADDER]
    return Ladder(sum(known) / (len(known) * (len(LADDER) - 1)) * 100, len(known)) if known else None
