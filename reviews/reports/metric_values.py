"""The metrics of one account from its facts: each a number, or null with its reason in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from budgets.calc.burn_rate import burn_rate
from budgets.calc.suppressed import suppressed
from budgets.reports.excused import BoolDays, excused_days
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import Period, day_start, zone_of
from reviews.calc import production, spend_metrics
from reviews.calc.concentration import WEEKS, concentration, weeks_in_band
from reviews.calc.metrics import DEFINITIONS, Value
from reviews.calc.onboarding import first_value
from reviews.reports.account_facts import AccountFacts
from reviews.reports.commits_then import CommitThen
from reviews.reports.more_facts import MoreFacts
from reviews.reports.workflow_days import WorkflowDays

ZERO, HUNDRED = Decimal(0), Decimal(100)
NO_COMMIT = "No commit is in force."
NOT_THEN = "Not kept for days before it was first measured."
NO_FORECAST = "No forecast yet."
STALE_MOOD = 120
_PLACES = Decimal("0.0001")
EARLY_DAYS, EARLY_SHARE = 21, Decimal("0.1")
MOODS = {"positive": Decimal(100), "neutral": Decimal(50), "negative": ZERO}
Values = dict[str, Value]


def metric_values(facts: AccountFacts, more: MoreFacts, now: datetime) -> Values:
    """Return every metric of DEFINITIONS that comes from these facts; `now` is when they were read.

    Money is in the account's currency. What is left out is added by whoever knows it: waste and at_risk.
    """
    excused = excused_days(more.excused, facts.today, len(facts.spend)) if more.excused else None
    found: Values = {}
    found |= _first(facts, more)
    found |= _spend(facts, excused)
    found |= _workflows(facts)
    found |= _commits(facts, excused)
    found |= _forecast(facts)
    found |= _budgets(more)
    found |= _trust(facts, more, now)
    found |= _people(facts, now)
    found["margin_percent"] = _margin(more)
    for name, count in (("open_spikes", more.open_spikes), ("open_alerts", more.open_alerts),
                        ("alerts_7", more.alerts_7)):  # fmt: skip
        found[name] = Value(Decimal(count))
    unknown = set(found) - set(DEFINITIONS)
    assert not unknown, unknown  # noqa: S101 - a name that nobody defined would never be found again
    return found


def number(value: float | Decimal | None, reason: str = "", **inputs: Any) -> Value:
    """A value with four places, or null with its reason."""
    if value is None:
        return Value(None, reason, inputs or None)
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    return Value(exact.quantize(_PLACES), "", inputs or None)


def _first(facts: AccountFacts, more: MoreFacts) -> Values:
    if more.contract_on is None:
        return dict.fromkeys(("first_value_days", "waiting_days"), Value(None, "The contract's start is not known."))
    first = first_value(more.contract_on, facts.billable_on, facts.today)
    start = more.contract_on.isoformat()
    return {
        "first_value_days": number(
            None if first.days is None else Decimal(first.days),
            f"No billable use yet, since {first.waiting} days.",
            contract_on=start, billable_on=_iso(facts.billable_on),
        ),
        "waiting_days": number(
            None if first.waiting is None else Decimal(first.waiting), "It has begun.", contract_on=start
        ),
    }  # fmt: skip


def _spend(facts: AccountFacts, excused: BoolDays | None) -> Values:
    days = facts.spend
    clean = days if excused is None else np.where(excused, _typical(days, excused), days)
    varied, unusual = spend_metrics.variance(days), spend_metrics.last_day_unusual(days)
    held = suppressed(days)
    short = "Too early to say: needs 28 days of use."
    silent = spend_metrics.silent_days(days)
    return {
        "burn_rate": number(burn_rate(days, excused=excused), "No closed day of use yet."),
        "burn_rate_7": _mean(days, 7),
        "burn_rate_28": _mean(days, 28),
        "spend_28": number(float(days[-28:].sum()) if len(days) else None, "No closed day of use yet."),
        "change_7": number(spend_metrics.change(clean, 7), "Too early to say: needs 14 days of use."),
        "change_28": number(
            spend_metrics.change(clean, 28), "Too early to say: needs 56 days of use.",
            now=_sum(clean[-28:]), before=_sum(clean[-56:-28]), excused=excused is not None,
        ),
        "change_year": number(
            spend_metrics.change(clean, 28, back=364), "Too early to say: needs 13 months of use."
        ),
        "daily_variance_percent": number(
            varied.percent if varied else None, "On most days there is no spend." if varied else short
        ),
        "zero_days_percent": number(varied.zero_percent if varied else None, short),
        "spike_score": number(unusual.score if unusual else None, "Too early to say: needs four weeks of use."),
        "spike_impact": number(
            unusual.impact if unusual else None, "Too early to say: needs four weeks of use.",
            expected=_sum([unusual.expected]) if unusual else None,
        ),
        "silent_days": number(
            None if silent is None else float(silent), "Use on most days is not normal here, or not known yet."
        ),
        "suppressed_percent": number(
            (min(held.days, 28) / 28 * 100 if held else 0.0) if len(days) >= 56 else None,
            "Too early to say: needs 56 days of use.",
            days=held.days if held else 0,
        ),
    }  # fmt: skip


def _workflows(facts: AccountFacts) -> Values:
    live = [
        flow for flow in facts.workflows if flow.stage in production.LIVE and production.is_in_production(_runs(flow))
    ]
    spent = {str(flow.workflow_id or ""): _money(flow.spend[-28:]) for flow in facts.workflows}
    rest = concentration(spent)
    names = {str(flow.workflow_id or ""): flow.name for flow in facts.workflows}
    finished = sum((flow.finished for flow in facts.workflows), np.zeros(1))
    successes = sum((flow.successes for flow in facts.workflows), np.zeros(1))
    rungs = production.ladder([flow.stage for flow in facts.workflows if flow.stage])
    outcomes, total = (
        sum((float(flow.outcomes[-28:].sum()) for flow in facts.workflows), 0.0),
        sum(spent.values(), ZERO),
    )
    unit = total / Decimal(repr(outcomes)) if outcomes > 0 and total > 0 else None
    none = "No spend in the last 28 days."
    return {
        "production_workflows": number(float(len(live)), workflows=[str(flow.workflow_id) for flow in live]),
        "success_percent": number(
            production.success(finished, successes), "Too few finished attempts to say: needs 30 in 28 days.",
            finished=_sum(finished[-28:]), successes=_sum(successes[-28:]),
        ),
        "top_share_percent": number(
            rest.top_share * 100 if rest else None, none, workflow=rest.top if rest else None,
            name=names.get(rest.top, "") if rest else None,
        ),
        "concentration": number(rest.hhi if rest else None, none),
        "effective_workflows": number(rest.effective if rest else None, none),
        "breadth": number(
            production.breadth(len(live), float(rest.top_share) if rest else 1.0), production=len(live)
        ),
        "ladder_percent": number(rungs.percent if rungs else None, "No workflow yet."),
        "unit_cost": number(
            unit, "No outcomes in the last 28 days." if not outcomes else none, spend=str(total), outcomes=outcomes
        ),
        "outcomes_per_1000": number(
            1000 / unit if unit else None, "No outcomes in the last 28 days." if not outcomes else none
        ),
    } | _reliability(live)  # fmt: skip


def _reliability(live: list[WorkflowDays]) -> Values:
    worst: tuple[float, WorkflowDays, float] | None = None
    longest: tuple[int, WorkflowDays] | None = None
    for flow in live:
        rate = production.success(flow.finished, flow.successes)
        target = None if flow.success_target is None else float(flow.success_target)
        if rate is None:
            continue
        behind, failing = production.gap(rate, target), production.failing_days(flow.finished, flow.successes, target)
        if worst is None or behind > worst[0]:
            worst = (behind, flow, rate)
        if longest is None or failing > longest[0]:
            longest = (failing, flow)
    reason = "No production workflow says how enough of its work ended."
    return {
        "reliability_gap": number(
            worst[0] if worst else None, reason,
            workflow=str(worst[1].workflow_id) if worst else None, name=worst[1].name if worst else None,
            success=round(worst[2], 4) if worst else None,
            target=str(worst[1].success_target) if worst and worst[1].success_target is not None else None,
        ),
        "failing_days": number(
            float(longest[0]) if longest else None, reason,
            workflow=str(longest[1].workflow_id) if longest else None, name=longest[1].name if longest else None,
        ),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Term:
    granted: Decimal
    drawn: Decimal
    left: Decimal
    planned: Decimal  # share of the commits that a straight line had used by now
    elapsed: Decimal
    days: int  # since the first began
    ends_on: date | None


@exactly
def _term(commits: Iterable[CommitThen], today: date, timezone: str) -> _Term | None:
    rows = [row for row in commits if row.granted > 0]
    if not rows:
        return None
    granted, planned, zone = sum((row.granted for row in rows), ZERO), ZERO, zone_of(timezone)
    for row in rows:
        if row.ends_on is not None and row.ends_on > row.starts_on:
            term = Period(day_start(row.starts_on, zone), day_start(row.ends_on, zone))
            planned += row.granted * term.elapsed_share(day_start(today, zone))
    ends = [row.ends_on for row in rows if row.ends_on is not None]
    first, last = min(row.starts_on for row in rows), max(ends, default=None)
    gone = Decimal((today - first).days)
    return _Term(
        granted,
        sum((row.drawn for row in rows), ZERO),
        sum((row.left for row in rows), ZERO),
        planned / granted,
        min(gone / Decimal((last - first).days), Decimal(1)) if last is not None and last > first else ZERO,
        int(gone),
        last,
    )


def _commits(facts: AccountFacts, excused: BoolDays | None) -> Values:
    term = _term(facts.commits, facts.today, facts.account.timezone)
    names = ("commit_used_percent", "commit_granted", "commit_left", "term_elapsed_percent", "term_days_left",
             "pacing", "in_band_percent", "spend_to_plan_percent")  # fmt: skip
    if term is None:
        ends = facts.account.contract_ends_on
        left = Value(Decimal((ends - facts.today).days)) if ends and ends > facts.today else Value(None, NO_COMMIT)
        return dict.fromkeys(names, Value(None, NO_COMMIT)) | {"term_days_left": left}
    endless = "The commit has no end."
    used = term.drawn / term.granted
    early = term.days < EARLY_DAYS or term.elapsed < EARLY_SHARE
    return {
        "commit_used_percent": number(used * 100),
        "commit_granted": number(term.granted),
        "commit_left": number(term.left),
        "term_elapsed_percent": number(term.elapsed * 100 if term.ends_on else None, endless),
        "term_days_left": number(Decimal((term.ends_on - facts.today).days) if term.ends_on else None, endless),
        "pacing": number(
            used / term.planned if term.ends_on and not early and term.planned > 0 else None,
            endless if not term.ends_on else f"Too early to say: {term.days} days of the term are gone.",
            used=str(used.quantize(_PLACES)), planned=str(term.planned.quantize(_PLACES)),
        ),
    } | _plan(facts, term, excused)  # fmt: skip


def _plan(facts: AccountFacts, term: _Term, excused: BoolDays | None) -> Values:
    """Weeks in band and spend against plan: the plan of a day is the commit over the days of its term."""
    if term.ends_on is None or term.elapsed <= 0:
        return dict.fromkeys(("in_band_percent", "spend_to_plan_percent"), Value(None, "The commit has no plan yet."))
    per_day = term.granted / (Decimal(term.days) / term.elapsed)
    within = facts.spend[-term.days :] if term.days else facts.spend[:0]
    totals = [Decimal(repr(total)) for total in spend_metrics.weeks(within, WEEKS)]
    marks = None
    if excused is not None and totals:
        marks = [bool(week.any()) for week in excused[-7 * len(totals) :].reshape(len(totals), 7)]
    share, weeks = weeks_in_band(totals, per_day * 7, marks)
    short = "Too early to say: needs 28 days of the term."
    return {
        "in_band_percent": number(share if weeks >= 4 else None, short, weeks=weeks, target=str(per_day * 7)),
        "spend_to_plan_percent": number(
            _money(within[-28:]) / (per_day * 28) * 100 if len(within) >= 28 else None, short,
            plan=str((per_day * 28).quantize(_PLACES)),
        ),
    }  # fmt: skip


def _forecast(facts: AccountFacts) -> Values:
    run = facts.run
    names = ("run_out_p10", "run_out_p50", "run_out_p90", "run_out_percent", "month_end_p10", "month_end_p50",
             "month_end_p90", "overage", "overage_percent", "shelfware", "shelfware_percent")  # fmt: skip
    if run is None or run.basis == "none":
        return dict.fromkeys(names, Value(None, NO_FORECAST))
    months = {
        f"month_end_{name}": number(getattr(run, f"period_{name}"), NO_FORECAST) for name in ("p10", "p50", "p90")
    }
    if run.remaining is None:
        return dict.fromkeys(names, Value(None, NO_COMMIT)) | months
    chance = None if run.p_exhausted is None else run.p_exhausted * 100
    term = _term(facts.commits, facts.today, facts.account.timezone)
    unused = _unused_chance(run, term)
    if run.exhausted_on is not None:
        outs = {
            f"run_out_{name}": Value(ZERO, "", {"on": run.exhausted_on.isoformat()}) for name in ("p10", "p50", "p90")
        }
    else:
        outs = {
            f"run_out_{name}": _days(getattr(run, f"exhaust_{name}"), facts.today) for name in ("p10", "p50", "p90")
        }
    return months | outs | {
        "run_out_percent": number(chance, "The commit has no end."),
        "overage": number(run.overage_mean, "The commit has no end."),
        "overage_percent": number(chance, "The commit has no end."),
        "shelfware": number(run.unused_mean, "The commit has no end."),
        "shelfware_percent": number(unused, "The commit has no end."),
    }  # fmt: skip


def _unused_chance(run: Any, term: _Term | None) -> float | None:
    if term is None or run.unused_p10 is None or run.unused_p90 is None or run.p_exhausted is None:
        return None
    tenth = float(term.granted) / 10
    return spend_metrics.chance_above(tenth, run.p_exhausted, float(run.unused_p10), float(run.unused_p90)) * 100


def _budgets(more: MoreFacts) -> Values:
    reason = "No budget." if more.is_present else NOT_THEN
    fullest = max(more.budgets, key=lambda use: use.percent, default=None)
    return {
        "budget_used_percent": number(
            fullest.percent if fullest else None, reason, budget=str(fullest.budget.pk) if fullest else None
        ),
    }


def _trust(facts: AccountFacts, more: MoreFacts, now: datetime) -> Values:
    last = facts.last_event_at
    misses = [(abs(actual - p50), actual) for p50, actual in more.scores]
    used = sum(actual for _, actual in misses)
    error = sum(miss for miss, _ in misses) / used * 100 if len(misses) >= 10 and used > 0 else None
    late = more.late[1] / more.late[0] * 100 if more.late else None
    return {
        "lag_hours": number((now - last).total_seconds() / 3600 if last else None, "No event yet."),
        "late_percent": number(late, "No event in 7 days." if more.is_present else NOT_THEN),
        "forecast_error_percent": number(error, "Fewer than 10 forecasts are scored.", scores=len(misses)),
    }


def _people(facts: AccountFacts, now: datetime) -> Values:
    people = facts.people
    mood = MOODS.get(people.sentiment) if people.sentiment_at else None
    age = (now - people.sentiment_at).days if people.sentiment_at else None
    if age is not None and age > STALE_MOOD:
        mood = None
    seen = _ago(people.signed_in_at, now)
    visits = None if seen is None else Decimal(100 if seen <= 14 else 50 if seen <= 30 else 0)
    known = [one for one in (mood, visits) if one is not None]
    never = "Nobody of the customer has signed in yet."
    return {
        "seen_days": number(seen, never),
        "owner_seen_days": number(_ago(people.owner_signed_in_at, now), "No owner has signed in yet."),
        "owners": Value(Decimal(people.owners)),
        "champions": Value(Decimal(people.champions)),
        "champion_gone": Value(Decimal(int(people.champion_left))),
        "touch_days": number(_ago(people.touched_at, now), "No touch yet.", kind=people.touch_kind),
        "sentiment": number(
            mood, f"Last entered {age} days ago." if age else "Nobody entered how they feel.", said=people.sentiment
        ),
        "engagement": number(
            sum(known, ZERO) / len(known) if known else None, "Neither sentiment nor a visit is known.",
            sentiment=None if mood is None else str(mood), visits=None if visits is None else str(visits),
        ),
    }  # fmt: skip


def _margin(more: MoreFacts) -> Value:
    if not more.is_present:
        return Value(None, NOT_THEN)
    line = more.margin
    ratio = line.now.ratio if line else None
    if line is None or ratio is None:
        return Value(None, "No cost is known for what was used this month.")
    return number(ratio * 100, revenue=str(line.now.revenue), cost=str(line.now.cost), coverage=str(line.now.coverage))


def _runs(flow: WorkflowDays) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Successful runs a day; where work does not say how it ended, every event that cost something is one."""
    return np.where(flow.finished > 0, flow.successes, np.where(flow.spend > 0, flow.events, 0.0))


def _typical(days: Any, excused: BoolDays) -> float:
    """What an excused day counts as: the median of the others."""
    rest = days[~excused][-28:]
    return float(np.median(rest)) if len(rest) else 0.0


def _mean(days: Any, length: int) -> Value:
    known = len(days) >= length
    return number(float(days[-length:].mean()) if known else None, f"Too early to say: needs {length} days of use.")


def _money(days: Any) -> Decimal:
    return Decimal(repr(float(days.sum()))).quantize(_PLACES)


def _sum(days: Any) -> str:
    return str(Decimal(repr(float(np.sum(days)))).quantize(_PLACES))


def _days(until: date | None, today: date) -> Value:
    if until is None:
        return Value(None, "It likely lasts beyond what is looked at.")
    return Value(Decimal(max((until - today).days, 0)), "", {"on": until.isoformat()})


def _ago(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else float(max((now - moment).days, 0))


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
