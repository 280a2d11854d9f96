"""Hours of unusual usage of one account or workflow: spikes, steps, leaks and silence. Pure numpy.

Overspend: the log ratio of actual to expected usage over the last 1, 6, 24 and 168 hours, in units of how far the
account's own ratio usually swings. One hour finds spikes, a day steps, a week leaks; and two hours against the day
before them find what is new on a day that is unusual anyway. Silence (drought.py): usage that
should have arrived since the last sign of life, against the account's own worst gap.

Everything at hour t is computed from hours up to t only. The first 28 days raise nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from budgets.calc.drought import silence_alarms
from budgets.calc.seasonal import WARM_UP, WEEK, Flags, Floats, expected_usage, running_sum

LEARNING = 2 * WEEK  # hours before ratios mean anything
FLOOR = 0.15  # of usual usage, added to both sides of a ratio: idle hours are not infinitely far from each other
SWING_HOURS, SWING_QUANTILE, SWING_FLOOR = 56 * 24, 0.995, 0.10
QUIET_HOURS = 24
BEFORE, CARRIED_OVER = 3, 0.8  # hours back to the end of the day before; the share of its ratio that lasts


@dataclass(frozen=True, slots=True)
class Scale:
    """A time scale. `hours`; `threshold` in usual swings; `impact`: least excess, in days of usual usage.

    With `against_before`, what the day before has already shown is taken off: weather and campaigns last for days.
    """

    hours: int
    threshold: float
    impact: float
    against_before: bool = False


# Fitted together, to at most 0.10 false alarms per account-month of 720 hours, on 63 public hourly series (electricity
# load, pedestrians, trips, messages) that were supplied for development and are not shipped. To refit: scale the
# thresholds by one factor until the series at hand raise as many as one is ready to look at.
SCALES = (
    Scale(1, 2.2, 0.025),
    Scale(2, 2.7, 0.035, against_before=True),
    Scale(6, 2.85, 0.05),
    Scale(24, 2.5, 0.075),
    Scale(168, 1.65, 0.25),
)


def detect_spikes(usage: Floats) -> tuple[Flags, Flags]:
    """Flag hours of unusual usage: (overspend, silence), two boolean arrays [hours].

    `usage` [hours]: usage per hour, consecutive hours up to the last one that has ended, without gaps (NaN is not
    allowed; an hour without usage is 0). An alarm stays on while its condition lasts; `onsets` says when to notify.
    """
    x = np.asarray(usage, dtype=np.float64)
    return overspend_alarms(x), silence_alarms(x)


@dataclass(frozen=True, slots=True)
class Latest:
    """What holds at the last hour of many series; every field is an array [series].

    `kind`: "spike", "step", "leak", "silence", or "" when nothing is unusual. `score`: how many times its threshold
    the most unusual window reaches; an overspend alarm from 1 on. `hours`: the length of that window, which ends with the
    last hour. `expected`, `actual`: usage of it, in the unit of the usage (zero for a series still in its first 28
    days). `start`: the column of the matrix at which what is unusual began, within the window; meaningful only where
    `kind` is not empty.
    """

    kind: NDArray[np.str_]
    score: Floats
    hours: NDArray[np.intp]
    expected: Floats
    actual: Floats
    start: NDArray[np.intp]


KINDS = {1: "spike", 2: "spike", 6: "spike", 24: "step", 168: "leak"}


def detect_latest(usage: Floats, threshold_factor: Floats | float = 1.0) -> Latest:
    """What is unusual right now, for many accounts or workflows at once; agrees with `detect_spikes` at that hour.

    `usage` [series, hours]: usage per hour, right-aligned: the last column is the last hour that has ended; NaN before
    a series began, and nowhere else. 100 days are enough; fewer than 29 raise nothing. `threshold_factor`, a number or
    [series]: above 1 makes overspend alarms rarer (an account whose alarms were wrong), below 1 more frequent.
    """
    matrix = np.asarray(usage, dtype=np.float64)
    count = len(matrix)
    factor = np.broadcast_to(np.asarray(threshold_factor, dtype=np.float64), (count,))
    out = Latest(
        np.full(count, "", dtype="<U7"),
        np.zeros(count),
        np.ones(count, dtype=np.intp),
        np.zeros(count),
        np.zeros(count),
        np.full(count, max(matrix.shape[1] - 1, 0)),
    )
    for i, row in enumerate(matrix):
        first = int(np.isnan(row).sum())
        if len(row) - first > WARM_UP:
            _latest(row[first:], first, i, float(factor[i]), out)
    return out


def _latest(x: Floats, first: int, i: int, factor: float, out: Latest) -> None:
    n = len(x)
    planned = expected_usage(x)
    plan, excess = running_sum(planned), running_sum(x - planned)
    usage = running_sum(x)
    best = SCALES[0]
    scores = np.zeros(len(SCALES))
    for j, scale in enumerate(SCALES):
        ratio, impact = _against_plan(usage, plan, scale.hours)
        if scale.against_before:
            ratio[BEFORE:] -= CARRIED_OVER * _against_plan(usage, plan, 24)[0][:-BEFORE]
        score = ratio[-1] / (scale.threshold * factor * usual_swing(ratio, scale.hours)[-1])
        scores[j] = score if impact[-1] > scale.impact else min(score, 1.0)
    best = SCALES[int(scores.argmax())]
    start = n - best.hours
    kind = KINDS[best.hours] if scores.max() > 1 else ""
    since = int((excess[-1] - excess[start:-1]).argmax()) + start
    if silence_alarms(x)[-1]:
        kind = "silence"
        since = n - int((x[::-1] > 0).argmax()) if x.any() else 0
        start = since
    out.kind[i], out.score[i], out.hours[i], out.start[i] = kind, scores.max(), n - start, first + since
    out.expected[i], out.actual[i] = plan[n] - plan[start], usage[n] - usage[start]


def onsets(alarms: Flags, quiet_hours: int = QUIET_HOURS) -> NDArray[np.intp]:
    """The hours at which to notify: the first of an alarm, then none until `quiet_hours` without one have passed."""
    hours = np.nonzero(alarms)[0]
    return hours[np.diff(hours, prepend=-quiet_hours - 1) > quiet_hours]


def overspend_alarms(x: Floats) -> Flags:
    """Boolean [hours]: usage is unusually high on any of the time scales."""
    n = len(x)
    alarm = np.zeros(n, dtype=bool)
    if n <= WARM_UP:
        return alarm
    usage, planned = running_sum(x), running_sum(expected_usage(x))
    for scale in SCALES:
        ratio, excess = _against_plan(usage, planned, scale.hours)
        if scale.against_before:
            day, _ = _against_plan(usage, planned, 24)
            ratio[BEFORE:] -= CARRIED_OVER * day[:-BEFORE]
        alarm |= (ratio > scale.threshold * usual_swing(ratio, scale.hours)) & (excess > scale.impact)
    return alarm


def _against_plan(usage: Floats, planned: Floats, hours: int) -> tuple[Floats, Floats]:
    """Log ratio of actual to planned usage of the last `hours`, and the excess in usual days, both [n].

    `usage` and `planned` are running sums [n + 1].
    """
    n = len(usage) - 1
    t = np.arange(LEARNING, n)
    start = t + 1 - hours
    actual, plan = usage[t + 1] - usage[start], planned[t + 1] - planned[start]
    span = np.minimum(start, WARM_UP)
    mean = (usage[start] - usage[start - span]) / span
    # The tiny term keeps an account that has never used anything at a ratio of one.
    floor = FLOOR * mean * hours + 1e-12
    ratio, excess = np.zeros(n), np.zeros(n)
    ratio[t] = np.log((actual + floor) / (plan + floor))
    excess[t] = (actual - plan) / (mean * 24 + 1e-12)
    return ratio, excess


def usual_swing(ratio: Floats, hours: int) -> Floats:
    """How far the log ratio usually swings upwards [n], renewed once a day; infinite while nothing is known."""
    swing = np.full(len(ratio), np.inf)
    for first in range(WARM_UP, len(ratio), 24):
        # The hours under judgement must not define what is usual.
        end = first - min(hours, 24)
        past = ratio[max(LEARNING, end - SWING_HOURS) : end]
        low, high = int(len(past) * (1 - SWING_QUANTILE)), int(len(past) * SWING_QUANTILE)
        ordered = np.partition(past, (low, high))
        swing[first : first + 24] = max(ordered[high], -0.5 * ordered[low], SWING_FLOOR)
    return swing
