"""The metrics of an account's commit, forecast, budgets and margin: each a number, or null with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from budgets.reports.excused import BoolDays
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import Period, day_start, zone_of
from reviews.calc import spend_metrics
from reviews.calc.concentration import WEEKS, weeks_in_band
from reviews.calc.metrics import PLACES, Value, Values, number
from reviews.reports.account_facts import AccountFacts
from reviews.reports.commits_then import CommitThen
from reviews.reports.more_facts import MoreFacts

ZERO = Decimal(0)
NO_COMMIT = "No commit is in force."
NOT_THEN = "Not kept for days before it was first measured."
NO_FORECAST = "No forecast yet."
EARLY_DAYS, EARLY_SHARE = 21, Decimal("0.1")


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


def commits_values(facts: AccountFacts, excused: BoolDays | None) -> Values:
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
            used=str(used.quantize(PLACES)), planned=str(term.planned.quantize(PLACES)),
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
            Decimal(repr(float(within[-28:].sum()))) / (per_day * 28) * 100 if len(within) >= 28 else None, short,
            plan=str((per_day * 28).quantize(PLACES)),
        ),
    }  # fmt: skip


def forecast_values(facts: AccountFacts) -> Values:
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


def budgets_values(more: MoreFacts) -> Values:
    reason = "No budget." if more.is_present else NOT_THEN
    fullest = max(more.budgets, key=lambda use: use.percent, default=None)
    ahead = [
        (fan.p50 / use.amount * 100, use) for use in more.budgets if (fan := more.fans.get(use.budget.pk)) is not None
    ]
    highest = max(ahead, key=lambda pair: pair[0], default=None)
    return {
        "budget_forecast_percent": number(
            highest[0] if highest else None, reason if not more.budgets else NO_FORECAST,
            budget=str(highest[1].budget.pk) if highest else None,
        ),
        "budget_used_percent": number(
            fullest.percent if fullest else None, reason, budget=str(fullest.budget.pk) if fullest else None
        ),
    }  # fmt: skip


def margin_value(more: MoreFacts) -> Value:
    if not more.is_present:
        return Value(None, NOT_THEN)
    line = more.margin
    ratio = line.now.ratio if line else None
    if line is None or ratio is None:
        return Value(None, "No cost is known for what was used this month.")
    return number(ratio * 100, revenue=str(line.now.revenue), cost=str(line.now.cost), coverage=str(line.now.coverage))


def _days(until: date | None, today: date) -> Value:
    if until is None:
        return Value(None, "It likely lasts beyond what is looked at.")
    return Value(Decimal(max((until - today).days, 0)), "", {"on": until.isoformat()})
