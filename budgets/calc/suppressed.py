"""Demand that is held back: use that runs flat against a cap is not use that is on track. Pure numpy."""

from dataclasses import dataclass

import numpy as np

from budgets.calc.usage_windows import Floats

LATE, BEFORE = 14, 42  # days that are flat, and days before them that were not
FLAT, LIVELY = 0.02, 0.05  # spread ÷ median: of days that a cap holds, and of days that live
_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Since how many closed days use is flat, and at which level a day."""

    days: int
    level: float


def suppressed(days: Floats) -> Suppressed | None:
    """Say whether daily spend, oldest first, has run flat near its highest after it had varied; None if not.

    At least 14 days within 2 % of their median, which is no lower than 90 % of what the busiest tenth of the 42 days
    before reached, where those varied by 5 % or more. A fixed fee, which never varied, is not held back.
    """
    known = np.asarray(days, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) < LATE + BEFORE:
        return None
    late = known[-LATE:]
    level = _median(late)
    if level <= 0 or _spread(late) > FLAT:
        return None
    length = LATE
    while length < len(known) - BEFORE and abs(known[-length - 1] - level) <= FLAT * 2 * level:
        length += 1
    before = known[-length - BEFORE : -length]
    if _spread(before) < LIVELY or level < 0.9 * float(np.quantile(before, 0.9)):
        return None
    return Suppressed(length, level)


def _spread(days: Floats) -> float:
    median = _median(days)
    return float("inf") if median <= 0 else _MAD_TO_SD * _median(np.abs(days - median)) / median


def _median(days: Floats) -> float:
    """As numpy's, which takes ten times as long over so few days."""
    ordered, half = sorted(days.tolist()), len(days) // 2
    return float(ordered[half] if len(days) % 2 else (ordered[half - 1] + ordered[half]) / 2)
