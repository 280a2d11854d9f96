"""How far forecasts can be trusted: error, bias and coverage by horizon and segment, and of the run-out date."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from django.db.models import QuerySet

from accounts.models import Account
from budgets.calc.accuracy import Accuracy, accuracy
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastCalibration, ForecastScore
from consumption_cs.lib.tenancy import Viewer

HORIZONS = (7, 30, 90)
RUN_OUT = 0
LOOK_BACK = timedelta(days=180)
Row = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class HorizonLine:
    """One horizon of one group of accounts. Money of different currencies is never added: errors are per currency,
    then weighed by the number of scores."""

    days: int
    group: str
    found: Accuracy


@dataclass(frozen=True, slots=True)
class DateLine:
    """How far run-out dates were off: the median of |days| and of |days| ÷ days remaining, and coverage."""

    scores: int
    median_days: float | None
    median_share: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """Since when, all lines, the date, and the calibration in force."""

    since: date
    all_accounts: list[HorizonLine]
    segments: list[HorizonLine]
    dates: DateLine
    calibration: ForecastCalibration | None
    by_month: list[tuple[date, float, int]]  # month, coverage at 30 days, scores


def accuracy_report(viewer: Viewer, now: datetime, since: date | None = None) -> AccuracyReport:
    """Return the accuracy of the organization's forecasts over the last half year, or since a day."""
    since = since or (now - LOOK_BACK).date()
    scores = ForecastScore.objects.visible_to(viewer).filter(as_of__gte=since)
    segments = dict(Account.Segment.choices)
    return AccuracyReport(
        since,
        [_line(scores, days, "All accounts") for days in HORIZONS],
        [
            line
            for segment, name in segments.items()
            for days in HORIZONS
            if (line := _line(scores.filter(account__segment=segment), days, name)).found.scores
        ],
        _dates(scores),
        ForecastCalibration.objects.visible_to(viewer).order_by("-made_at").first(),
        _by_month(scores),
    )


def _line(scores: "QuerySet[ForecastScore]", days: int, group: str) -> HorizonLine:
    rows = scores.filter(days=days).values_list("run__currency", "p10", "p50", "p90", "actual")
    by_currency: dict[str, list[Row]] = {}
    for currency, *row in rows:
        by_currency.setdefault(currency, []).append((row[0], row[1], row[2], row[3]))
    return HorizonLine(days, group, measured(np.array(part, dtype=np.float64) for part in by_currency.values()))


def measured(by_currency: Iterable[Floats]) -> Accuracy:
    """Return the accuracy of scores [n, 4] (P10, P50, P90, actual), one array a currency, weighed by their number."""
    parts = [part.reshape(-1, 4) for part in by_currency]
    return _together([accuracy(part[:, 0], part[:, 1], part[:, 2], part[:, 3]) for part in parts])


def _together(parts: list[Accuracy]) -> Accuracy:
    scores = sum(part.scores for part in parts)

    def weighed(name: str) -> float | None:
        known = [(getattr(part, name), part.scores) for part in parts if getattr(part, name) is not None]
        total = sum(weight for _, weight in known)
        return sum(value * weight for value, weight in known) / total if total else None

    return Accuracy(scores, weighed("wape"), weighed("bias"), weighed("coverage"), weighed("median_error"))


def _dates(scores: "QuerySet[ForecastScore]") -> DateLine:
    return dates_measured(
        np.array(list(scores.filter(days=RUN_OUT).values_list("p10", "p50", "p90", "actual")), dtype=np.float64)
    )


def dates_measured(rows: Floats) -> DateLine:
    """Return how far dates were off, from scores [n, 4] in days from the forecast (P10, P50, P90, actual)."""
    if not len(rows):
        return DateLine(0, None, None, None)
    off = np.abs(rows[:, 1] - rows[:, 3])
    held = (rows[:, 0] <= rows[:, 3]) & (rows[:, 3] <= rows[:, 2])
    return DateLine(len(rows), float(np.median(off)), float(np.median(off / rows[:, 3])), float(held.mean()))


def _by_month(scores: "QuerySet[ForecastScore]") -> list[tuple[date, float, int]]:
    months: dict[date, list[bool]] = {}
    for as_of, p10, p90, actual in scores.filter(days=30).values_list("as_of", "p10", "p90", "actual"):
        months.setdefault(as_of.replace(day=1), []).append(p10 <= actual <= p90)
    return [(month, sum(held) / len(held), len(held)) for month, held in sorted(months.items())]
