"""Forecasts as they were told: the latest run, those of before, and what they stand on."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from django.db.models import Max, QuerySet

from accounts.models import Account
from budgets.calc.run_out import NEVER, Layers, daily, fan
from budgets.calc.scenarios import Situation
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastRun, ForecastScore
from consumption_cs.lib.tenancy import Viewer

ENOUGH_SCORES = 5
HELD_DAYS = 30  # the horizon that the one line beside a forecast tells


def runs_of(viewer: Viewer, account: Account) -> "QuerySet[ForecastRun]":
    """Return the account's runs, newest first."""
    rows: QuerySet[ForecastRun] = ForecastRun.objects.visible_to(viewer).filter(account=account)
    return rows.order_by("-as_of", "-made_at")


def latest_run(viewer: Viewer, account: Account, as_of: date | None = None) -> ForecastRun | None:
    """Return the newest run, or what was known at the end of the local day `as_of`; None before the first."""
    rows = runs_of(viewer, account)
    return (rows.filter(as_of__lte=as_of) if as_of else rows).first()


def days_with_runs(viewer: Viewer, account: Account, most: int = 400) -> list[date]:
    """Return the local days that have a run, oldest first: the stops of the as-of slider."""
    days = runs_of(viewer, account).values_list("as_of", flat=True).distinct().order_by("-as_of")[:most]
    return sorted(set(days))


def latest_runs(viewer: Viewer) -> dict[object, ForecastRun]:
    """Return the newest run of every account that the viewer may see, by account id."""
    rows = ForecastRun.objects.visible_to(viewer)
    newest = rows.values("account_id").annotate(at=Max("made_at")).values_list("account_id", "at")
    wanted = dict(newest)
    found = rows.filter(made_at__in=set(wanted.values())).select_related("account")
    return {run.account_id: run for run in found if wanted.get(run.account_id) == run.made_at}


def quantiles_of(run: ForecastRun) -> Floats:
    """Return P10, P50 and P90 of cumulative spend [3, days]; no days when nothing is known yet."""
    return np.array([run.spend_p10, run.spend_p50, run.spend_p90], dtype=np.float64).reshape(3, -1)


def layers_of_run(run: ForecastRun) -> Layers:
    """Return the run's commits as arrays [1, layers], in drawing order; one empty layer when there are none."""
    commits = run.commits or [{"left": 0.0, "starts_on": run.as_of.isoformat(), "expires_on": None}]
    return Layers(
        np.array([[float(one["left"]) for one in commits]]),
        np.array([[(_day(one["starts_on"]) - run.as_of).days for one in commits]], dtype=np.int64),
        np.array(
            [[(_day(one["expires_on"]) - run.as_of).days if one["expires_on"] else NEVER for one in commits]],
            dtype=np.int64,
        ),
    )


def situation(run: ForecastRun) -> Situation | None:
    """Return the run as the planner plays with it, or None when it knows no use yet."""
    quantiles = quantiles_of(run)
    if not quantiles.shape[1]:
        return None
    layers = layers_of_run(run)
    term = (run.term_ends_on - run.as_of).days if run.term_ends_on else quantiles.shape[1]
    return Situation(
        daily(fan(quantiles[:, None, :]))[0],
        layers.left[0],
        layers.starts[0],
        layers.ends[0],
        min(term, quantiles.shape[1]),
        float(run.details.get("overage_factor", 1)),
        int(np.argmax(layers.left[0])),
    )


def _day(text: str) -> date:
    return date.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Held:
    """How the account's forecasts have held: of `scores`, the share inside P10 to P90 and the median miss, as ratios.

    `typical_miss` and `coverage` are None with fewer than five scores.
    """

    scores: int
    inside: int
    coverage: float | None
    typical_miss: float | None

    @property
    def words(self) -> str:
        """The one line that stands beside a forecast."""
        if self.coverage is None or self.typical_miss is None:
            return f"Not judged yet: {HELD_DAYS}-day forecasts are scored from {HELD_DAYS} days after the first on."
        return (
            f"{self.inside} of {self.scores} past {HELD_DAYS}-day forecasts held their range (8 in 10 is right); "
            f"half of them missed by less than {self.typical_miss:.0%}."
        )


def accuracy_line(viewer: Viewer, account: Account) -> Held:
    """Return how the account's forecasts of 30 days have held, over the last 26 that were scored a week apart."""
    rows = ForecastScore.objects.visible_to(viewer).filter(account=account, days=HELD_DAYS).order_by("-as_of")
    kept: list[ForecastScore] = []
    for row in rows[:200]:
        if not kept or kept[-1].as_of - row.as_of >= timedelta(days=7):
            kept.append(row)
    kept = kept[:26]
    inside = sum(row.p10 <= row.actual <= row.p90 for row in kept)
    if len(kept) < ENOUGH_SCORES:
        return Held(len(kept), inside, None, None)
    misses = [abs(row.p50 - row.actual) / row.actual for row in kept if row.actual > 0]
    return Held(len(kept), inside, inside / len(kept), float(np.median(misses)) if misses else None)
