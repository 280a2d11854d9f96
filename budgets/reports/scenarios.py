"""Scenarios of the top-up planner, played on the latest forecast and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Account
from budgets.calc.scenarios import Outcome, ScenarioError, Situation, play
from budgets.models import ForecastRun, Scenario
from budgets.reports.forecasts import situation
from consumption_cs.lib.display import money_text
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.tenancy import Viewer

MOST = 12
EVEN = 0.5
_DAYS = ("from", "to", "on", "expires")


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario and what comes of it; `scenario` None: going on as now. `problem`: why it cannot be played."""

    name: str
    what: str
    scenario: Scenario | None
    outcome: Outcome | None
    early: date | None = None
    middle: date | None = None
    late: date | None = None
    decide_by: date | None = None
    is_best: bool = False
    problem: str = ""
    is_used_up: bool = False  # nothing is left already, and this does not change it


def scenarios_of(viewer: Viewer, account: Account) -> "QuerySet[Scenario]":
    """Return the scenarios that the viewer's side made, and those that the other side shares."""
    own = Q(by_customer=viewer.is_portal) | Q(is_shared=True)
    rows = Scenario.objects.visible_to(viewer).filter(own, account=account, removed_at=None)
    return rows.order_by("created_at")[:MOST]


def compared(run: ForecastRun | None, scenarios: Sequence[Scenario], approval_days: int) -> list[Played]:
    """Return going on as now, then the scenarios, with the one that costs least marked.

    Cost is what is to be paid and what lapses. Empty when the run has no commits or knows no use.
    """
    stands = situation(run) if run and run.remaining is not None else None
    if stands is None or run is None:
        return []
    played = [_played(run, stands, None, (), approval_days)]
    played += _suggested(run, stands, approval_days)
    played += [_played(run, stands, one, one.steps, approval_days) for one in scenarios]
    costs = {
        at: round(one.outcome.to_pay + one.outcome.lapses) for at, one in enumerate(played) if one.outcome is not None
    }
    if len(costs) < 2 or len(set(costs.values())) < 2:
        return played
    best = min(costs, key=lambda at: (costs[at], at))
    return [_marked(one, at == best) for at, one in enumerate(played)]


def _suggested(run: ForecastRun, stands: Situation, approval_days: int) -> list[Played]:
    """Return a top-up that covers what is expected beyond the commits, on the early date; none if that is little."""
    if not run.overage_mean or run.exhaust_p10 is None or run.p_exhausted is None or run.p_exhausted < EVEN:
        return []
    step = Decimal(10) ** max(run.overage_mean.adjusted() - 1, 0)
    amount = (run.overage_mean / step).to_integral_value(ROUND_CEILING) * step
    top_up = {"kind": "top_up", "amount": f"{amount:f}", "on": run.exhaust_p10.isoformat()}
    return [_played(run, stands, None, [top_up], approval_days, "Top up what is missing")]


def _marked(one: Played, is_best: bool) -> Played:
    return replace(one, is_best=is_best)


def _played(
    run: ForecastRun,
    stands: Situation,
    scenario: Scenario | None,
    steps: Sequence[Mapping[str, Any]],
    approval: int,
    name: str = "Keep going",
) -> Played:
    name = scenario.name if scenario else name
    what = " ".join(step_text(step, run.currency) for step in steps) or "Nothing changes but what is planned."
    try:
        outcome = play(stands, [_in_days(step, run.as_of) for step in steps])
    except ScenarioError as error:
        return Played(name, what, scenario, None, problem=str(error))
    early, middle, late = (_date(run, day) for day in (outcome.early, outcome.middle, outcome.late))
    used_up = run.exhausted_on is not None and middle == run.as_of
    decide_by = early - timedelta(days=approval) if early and not used_up else None
    return Played(name, what, scenario, outcome, early, middle, late, decide_by, is_used_up=used_up)


def _date(run: ForecastRun, day: int | None) -> date | None:
    return None if day is None else run.as_of + timedelta(days=day)


def _in_days(step: Mapping[str, Any], start: date) -> dict[str, Any]:
    """Return a stored step with its dates as days from the run's first."""
    found = dict(step)
    for name in _DAYS:
        if found.get(name):
            found[name] = (date.fromisoformat(found[name]) - start).days
    return found


def step_text(step: Mapping[str, Any], currency: str) -> str:
    """Say what a step does."""
    kind = step.get("kind")
    begins = f" from {_spelled(step['from'])}" if step.get("from") else ""
    if kind == "grow":
        percent = Decimal(str(step["percent"]))
        word = "grows" if percent >= 0 else "falls"
        until = f" to {_spelled(step['to'])}" if step.get("to") else ""
        return f"Use {word} by {abs(percent).normalize():f} %{begins}{until}."
    if kind == "workflow":
        ramp = f", over {step['ramp_days']} days" if step.get("ramp_days") else ""
        return f"A new workflow of {_money(step['per_day'], currency)} a day{begins}{ramp}."
    on = f" on {_spelled(step['on'])}" if step.get("on") else ""
    if kind == "one_off":
        return f"A one-off of {_money(step['amount'], currency)}{on}."
    if kind == "top_up":
        until = f", until {_spelled(step['expires'])}" if step.get("expires") else ", until the term ends"
        return f"A top-up of {_money(step['amount'], currency)}{on}{until}."
    return f"The largest commit is {_money(step['amount'], currency)} instead of {_money(step['was'], currency)}."


def _spelled(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{day:%b} {day.day}, {day.year}"


def _money(amount: Any, currency: str) -> str:
    return money_text(round_to(Decimal(str(amount)), exponent(currency)), currency, places=0)
