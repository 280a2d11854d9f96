"""The metrics of one account from its facts: each a number, or null with its reason in words."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from budgets.calc.burn_rate import burn_rate
from budgets.calc.suppressed import suppressed
from budgets.reports.excused import BoolDays, excused_days
from reviews.calc import production, spend_metrics
from reviews.calc.at_risk import KINDS, Stakes, at_risk
from reviews.calc.concentration import concentration
from reviews.calc.metrics import DEFINITIONS, PLACES, Value, Values, number
from reviews.calc.onboarding import first_value
from reviews.calc.waste import Waste
from reviews.reports.account_facts import AccountFacts
from reviews.reports.commit_values import NOT_THEN, budgets_values, commits_values, forecast_values, margin_value
from reviews.reports.more_facts import MoreFacts
from reviews.reports.workflow_days import WorkflowDays

ZERO, HUNDRED = Decimal(0), Decimal(100)
STALE_MOOD = 120  # days
MOODS = {"positive": Decimal(100), "neutral": Decimal(50), "negative": ZERO}


def metric_values(facts: AccountFacts, more: MoreFacts, now: datetime) -> Values:
    """Return every metric of DEFINITIONS that comes from these facts; `now` is when they were read.

    Money is in the account's currency. What is left out is added by whoever knows it: waste and at_risk.
    """
    excused = excused_days(more.excused, facts.today, len(facts.spend)) if more.excused else None
    found: Values = {}
    found |= _first(facts, more)
    found |= _spend(facts, excused)
    found |= _workflows(facts)
    found |= commits_values(facts, excused)
    found |= forecast_values(facts)
    found |= budgets_values(more)
    found |= _trust(facts, more, now)
    found |= _people(facts, now)
    found["margin_percent"] = margin_value(more)
    for name, count in (("open_spikes", more.open_spikes), ("open_alerts", more.open_alerts),
                        ("alerts_7", more.alerts_7)):  # fmt: skip
        found[name] = Value(Decimal(count))
    unknown = set(found) - set(DEFINITIONS)
    assert not unknown, unknown  # noqa: S101 - a name that nobody defined would never be found again
    return found


def waste_values(found: Waste) -> Values:
    """Return the metrics of waste; `found` is of the last 28 closed days."""
    none = "No spend in the last 28 days."
    return {
        "waste": number(
            found.total if found.spend > 0 else None, none,
            failed=str(found.failed), retries=str(found.retries), duplicates=str(found.duplicates),
            idle_minimum=str(found.idle_minimum), credit_candidate=str(found.credit_candidate),
        ),
        "waste_percent": number(found.percent, none),
    }  # fmt: skip


def at_risk_value(facts: AccountFacts, more: MoreFacts, values: Values) -> Value:
    """Return what hangs on the account, from its other metrics; null where nothing is committed or known."""
    got = {name: found.value for name, found in values.items()}
    left = got["term_days_left"]
    ends_on = None if left is None else facts.today + timedelta(days=int(left))
    stakes = Stakes(
        granted=got["commit_granted"],
        left=got["commit_left"],
        unused=got["shelfware"],
        unused_percent=got["shelfware_percent"],
        overage=got["overage"],
        overage_percent=got["overage_percent"],
        top_share=got["top_share_percent"],
        term_days_left=left,
        has_begun=facts.billable_on is not None,
        opinion=more.opinion if more.opinion_on == ends_on else "",
        overage_agreed=more.is_final and more.opinion == "grow",
    )
    found = at_risk(stakes)
    if not found.kind and stakes.granted is None:
        return Value(None, "Nothing is committed.")
    return number(found.amount, kind=found.kind, words=KINDS.get(found.kind, "on plan"))


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
        "payment_failed": number(
            None if people.is_unpaid is None else float(people.is_unpaid), "Nobody entered a payment.",
            since=people.payment_at.date().isoformat() if people.payment_at else None,
        ),
        "touch_days": number(_ago(people.touched_at, now), "No touch yet.", kind=people.touch_kind),
        "sentiment": number(
            mood, f"Last entered {age} days ago." if age else "Nobody entered how they feel.", said=people.sentiment
        ),
        "engagement": number(
            sum(known, ZERO) / len(known) if known else None, "Neither sentiment nor a visit is known.",
            sentiment=None if mood is None else str(mood), visits=None if visits is None else str(visits),
        ),
    }  # fmt: skip


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
    return Decimal(repr(float(days.sum()))).quantize(PLACES)


def _sum(days: Any) -> str:
    return str(Decimal(repr(float(np.sum(days)))).quantize(PLACES))


def _ago(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else float(max((now - moment).days, 0))


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
