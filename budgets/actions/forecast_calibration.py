"""Recalibrates an organization's forecasts: intervals from what they held, and what holidays do to its accounts."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import connection

from budgets.calc.account_scale import account_factors, errors
from budgets.calc.accuracy import ENOUGH, accuracy, widening
from budgets.calc.holidays import Ints, usual_of
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastCalibration
from budgets.reports.holiday_days import holidays_seen
from consumption_cs.lib.tenancy import Viewer, act_as

WINDOW = timedelta(days=180)
JUDGED = 30  # the horizon whose coverage calibrates the intervals
MANY = 200_000  # scores; of more, those of one weekday are enough

_SCORES = """
SELECT score.account_id::text, score.as_of - date '2000-01-01', score.p10, score.p50, score.p90, score.actual,
    coalesce((run.details -> 'widened' ->> 0)::float8, 1), coalesce((run.details -> 'widened' ->> 1)::float8, 1)
FROM budgets_forecastscore AS score
JOIN budgets_forecastrun AS run ON run.organization_id = score.organization_id AND run.id = score.run_id
WHERE score.organization_id = %(organization)s AND score.days = %(days)s AND score.as_of >= %(since)s
    AND (score.as_of - date '2000-01-01') %% %(each)s = 0
ORDER BY 1, 2, score.id
"""
_COUNT = """
SELECT count(*) FROM budgets_forecastscore
WHERE organization_id = %(organization)s AND days = %(days)s AND as_of >= %(since)s
"""


@dataclass(frozen=True, slots=True)
class _Scores:
    """Scores of 30 days, [scores]: `account` is a place in `names`, `day` a number, `low` and `high` as `widened`."""

    names: list[str]
    account: Ints
    day: Ints
    p10: Floats
    p50: Floats
    p90: Floats
    actual: Floats
    low: Floats
    high: Floats

    def plain(self, factor: Floats | float = 1.0) -> tuple[Floats, Floats]:
        """Return P10 and P90 as the model gave them, before they were scaled; times `factor` [scores], in logs."""
        floor = np.maximum(self.p50, 1e-9) * 1e-6 + 1e-12
        middle = self.p50 + floor
        below = middle * ((self.p10 + floor) / middle) ** (factor / self.low) - floor
        above = middle * ((self.p90 + floor) / middle) ** (factor / self.high) - floor
        return np.maximum(below, 0.0), above


def recalibrate(organization_id: UUID, now: datetime) -> ForecastCalibration | None:
    """Scale intervals so that, over the last half year, they would have held 8 in 10, and measure what holidays do.

    Each account has a factor of its own, shrunk to the organization's as its scores are few; both are told from
    scores of 30 days, taken back to what they were before they were scaled. None while there are too few scores and
    no account has seen a holiday.
    """
    with act_as(Viewer(organization_id)):
        scores = _scores(organization_id, (now - WINDOW))
        seen = [one for one in holidays_seen(organization_id, now) if len(one)]
        if len(scores.actual) < ENOUGH and not seen:
            return None
        usual = usual_of(seen)
        made = ForecastCalibration(
            organization_id=organization_id,
            made_at=now,
            scores=len(scores.actual),
            holiday_effect=usual.effect,
            holiday_worth=usual.worth,
        )
        if len(scores.actual) >= ENOUGH:
            _scale(made, scores)
        made.save(force_insert=True)
        return made


def _scale(made: ForecastCalibration, scores: _Scores) -> None:
    p10, p90 = scores.plain()
    factors = account_factors(errors(p10, scores.p50, p90, scores.actual), scores.account, scores.day)
    p10, p90 = scores.plain(factors[scores.account])
    made.widen_low, made.widen_high = widening(p10, scores.p50, p90, scores.actual)
    made.coverage = accuracy(scores.p10, scores.p50, scores.p90, scores.actual).coverage
    told = zip(scores.names, factors.tolist(), strict=True)
    made.accounts = {name: round(factor, 4) for name, factor in told if round(factor, 4) != 1}


def _scores(organization_id: UUID, since: datetime) -> _Scores:
    arguments: dict[str, UUID | int | date] = {
        "organization": organization_id,
        "days": JUDGED,
        "since": since.date(),
        "each": 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, arguments)
        (count,) = cursor.fetchone() or (0,)
        cursor.execute(_SCORES, arguments | {"each": 7 if count > MANY else 1})
        rows = cursor.fetchall()
    names = sorted({row[0] for row in rows})
    place = {name: number for number, name in enumerate(names)}
    values = np.array([row[2:] for row in rows], dtype=np.float64).reshape(-1, 6)
    account = np.array([place[row[0]] for row in rows], dtype=np.intp)
    day = np.array([row[1] for row in rows], dtype=np.intp)
    return _Scores(names, account, day, *values.T)
