"""Hours of unusual usage of accounts or workflows: spikes, steps, leaks and silence. Pure numpy.

Overspend: more usage than expected over the last 1, 2, 6, 24 or 168 hours, by each account's own standards
(deviations.py). Hours find spikes, a day steps, a week leaks. Silence (drought.py): usage that should have arrived
since the last sign of life, against the account's own worst gap.

Everything at hour t is computed from hours up to t only. The first 28 days raise nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from budgets.calc.deviations import NEEDED, SCALES, Deviations, Scale
from budgets.calc.drought import QUIET_SHARE, missing_usage, silence_alarms
from budgets.calc.seasonal import DAY, WARM_UP, WEEK, Flags, Floats, usual_hours

QUIET_HOURS = 24
TOGETHER = 32  # series that are computed at once: more do not fit into the processor's cache


def detect_spikes(usage: Floats) -> tuple[Flags, Flags]:
    """Flag hours of unusual usage: (overspend, silence), two boolean arrays [hours].

    `usage` [hours]: usage per hour, consecutive hours up to the last one that has ended, without gaps (NaN is not
    allowed; an hour without usage is 0). An alarm stays on while its condition lasts; `onsets` says when to notify.
    """
    x = np.asarray(usage, dtype=np.float64)
    return overspend_alarms(x), silence_alarms(x)


def onsets(alarms: Flags, quiet_hours: int = QUIET_HOURS) -> NDArray[np.intp]:
    """The hours at which to notify: the first of an alarm, then none until `quiet_hours` without one have passed."""
    hours = np.nonzero(alarms)[0]
    return hours[np.diff(hours, prepend=-quiet_hours - 1) > quiet_hours]


def overspend_alarms(x: Floats) -> Flags:
    """Boolean [hours]: usage is unusually high on any of the time scales."""
    n = len(x)
    alarm = np.zeros(n, dtype=bool)
    if n > WARM_UP:
        deviations = Deviations(x[None])
        for scale in SCALES:
            alarm[WARM_UP:] |= deviations.scores(scale, WARM_UP // DAY)[0, : n - WARM_UP] > 1
    return alarm


@dataclass(frozen=True, slots=True)
class Latest:
    """What holds at the last hour of many series; every field is an array [series].

    `kind`: "spike", "step", "leak", "silence", or "" when nothing is unusual. `score`: how many times its threshold
    the most unusual window reaches; overspend is an alarm above 1. `hours`: the length of that window, which ends with
    the last hour; of a silence, the hours since the last sign of life. `expected`, `actual`: usage of the window, in
    the unit of the usage. `start`: the column of the matrix at which what is unusual began, within the window. All are
    zero for a series in its first 28 days, and `start` means something only where `kind` is not empty.
    """

    kind: NDArray[np.str_]
    score: Floats
    hours: NDArray[np.intp]
    expected: Floats
    actual: Floats
    start: NDArray[np.intp]


def detect_latest(usage: Floats, threshold_factor: Floats | float = 1.0) -> Latest:
    """What is unusual right now, for many accounts or workflows at once; agrees with `detect_spikes` at that hour.

    `usage` [series, hours]: usage per hour, right-aligned: the last column is the last hour that has ended; NaN before
    a series began, and nowhere else. 100 to 110 days are enough; up to 28 raise nothing. `threshold_factor`, a number
    or [series]: above 1 makes overspend alarms rarer (an account whose alarms were wrong), below 1 more frequent.
    """
    matrix = np.asarray(usage, dtype=np.float64)
    count, columns = matrix.shape
    factor = np.broadcast_to(np.asarray(threshold_factor, dtype=np.float64), (count,))
    whole = np.zeros(count, dtype=np.intp)
    out = Latest(
        np.full(count, "", dtype="<U7"), np.zeros(count), whole, np.zeros(count), np.zeros(count), whole.copy()
    )
    length = columns - np.isnan(matrix).sum(axis=1)
    # Series are computed together when their days begin at the same hour and they are equally old, or old enough.
    old = length > WARM_UP
    length -= np.maximum(0, -(-(length - NEEDED) // DAY)) * DAY
    for hours in np.unique(length[old]):
        rows = np.nonzero(old & (length == hours))[0]
        for some in np.array_split(rows, -(-len(rows) // TOGETHER)):
            _judge(matrix[some, columns - hours :], some, columns - int(hours), factor[some], out)
    for row in np.nonzero(old)[0].tolist():
        _note_silence(matrix[row], row, out)
    return out


def _judge(x: Floats, rows: NDArray[np.intp], first: int, factor: Floats, out: Latest) -> None:
    """Enter the state of series [some, hours] of one length, which began in column `first`, into their `rows`."""
    n = x.shape[1]
    deviations = Deviations(x)
    day = (n - 1) // DAY
    scores = np.stack([deviations.scores(scale, day)[:, n - 1 - day * DAY] for scale in SCALES])
    scores /= factor
    for i, row in enumerate(rows):
        scale, score = _telling(scores[:, i]), float(scores[:, i].max())
        begin = n - scale.hours
        excess = (deviations.plans[i] - deviations.totals[i])[begin:n]  # up to a constant, from each hour to the last
        out.kind[row], out.score[row], out.hours[row] = scale.kind if score > 1 else "", score, scale.hours
        out.start[row] = first + begin + int(excess.argmax())
        out.expected[row] = deviations.plans[i, n] - deviations.plans[i, begin]
        out.actual[row] = deviations.totals[i, n] - deviations.totals[i, begin]


def _telling(scores: Floats) -> Scale:
    """The scale that names what is unusual: of those of the shortest kind that shows it, the most unusual one.

    A spike fills the day and the week that it lies in too.
    """
    over = np.flatnonzero(scores > 1)
    if not over.size:
        return SCALES[int(scores.argmax())]
    same = [at for at, scale in enumerate(SCALES) if scale.kind == SCALES[int(over[0])].kind]
    return SCALES[max(same, key=lambda at: float(scores[at]))]


def _note_silence(usage: Floats, row: int, out: Latest) -> None:
    """Enter that a series, NaN before it began, has fallen silent, if so."""
    if usage[-1] > QUIET_SHARE * usage[-WARM_UP - 1 :].max():
        return
    missing = missing_usage(usage[~np.isnan(usage)])
    if missing.is_alarm[-1]:
        hours = int(missing.quiet_hours[-1])
        expected = usual_hours(usage[None, -hours - WARM_UP - WEEK :])[0, -hours:].sum()
        out.kind[row], out.hours[row], out.start[row] = "silence", hours, len(usage) - hours
        out.expected[row], out.actual[row] = expected, usage[-hours:].sum()
