"""Usage that has stopped arriving. Pure numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from budgets.calc.seasonal import WARM_UP, WEEK, WEEKS, Flags, Floats, running_sum

QUIET_SHARE = 0.01  # of the expectation: an hour below it is no sign of life
IDLE_SHARE = 0.05  # of the mean: less is not expected of any hour
LARGEST_HOUR = 3.0  # mean hours that one missed hour can count for
LEAST_MISSED = 3.0  # mean hours that must be missing
WORST_FACTOR = 1.5  # times the worst gap so far


@dataclass(frozen=True, slots=True)
class Missing:
    """Usage that has not come, at every hour [hours]: is it an alarm, and how many hours is the last sign of life ago.

    Nothing is missing in the first 28 days.
    """

    is_alarm: Flags
    quiet_hours: NDArray[np.intp]


def silence_alarms(x: Floats) -> Flags:
    """Boolean [hours]: usage that should be there has not come for longer than ever before. x: usage per hour."""
    return missing_usage(x).is_alarm


def missing_usage(x: Floats) -> Missing:
    """What has not come although it should have; x: usage per hour [hours]."""
    n = len(x)
    alarm, since = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.intp)
    if n <= WARM_UP:
        return Missing(alarm, since)
    t = np.arange(WARM_UP, n)
    expected = np.median(np.stack([x[t - WEEK * week] for week in range(1, WEEKS + 1)]), axis=0)
    usage = running_sum(x)
    mean = (usage[t] - usage[t - WARM_UP]) / WARM_UP + 1e-12
    quiet = x[t] <= QUIET_SHARE * np.maximum(expected, IDLE_SHARE * mean)
    missed = missed_since_life(quiet, expected / mean)
    worst = np.zeros(len(t))  # of the gaps that had ended a day before
    worst[25:] = np.maximum.accumulate(missed)[:-25]
    alarm[t] = missed >= np.maximum(LEAST_MISSED, WORST_FACTOR * worst) - 1e-9
    since[t] = t - np.maximum.accumulate(np.where(quiet, WARM_UP - 1, t))
    return Missing(alarm, since)


def missed_since_life(quiet: Flags, expected: Floats) -> Floats:
    """Expected usage, in mean hours, that has been missed since the last hour that was not quiet, [n]."""
    missed = np.cumsum(np.where(quiet, np.minimum(expected, LARGEST_HOUR), 0.0))
    return missed - np.maximum.accumulate(np.where(quiet, 0.0, missed))
