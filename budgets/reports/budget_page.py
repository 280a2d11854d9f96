"""What the page of one budget tells: where its rules stand, who hears, and what was decided when by whom."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING
from zoneinfo import ZoneInfo

from accounts.models import User
from budgets.calc.budget_rules import ACTUAL, FORECAST, Figures, Verdict, figure_of, reached_at, severity_of, verdict
from budgets.models import Alert, Budget, BudgetRule, BudgetVersion, Limit, LimitEvent, LimitState
from budgets.reports.budget_use import BudgetUse
from budgets.reports.receivers import receivers
from budgets.reports.rule_words import number_text, ordered, rule_text, rules_text
from consumption_cs.lib.display import counted, listed, moment_text, money_text
from consumption_cs.lib.tenancy import Viewer
from usage.reports.overview_words import short_date

_UNKNOWN = {
    "unit_cost": "not known yet: needs 30 outcomes in the period",
    "success_below": "not known yet: needs 30 finished attempts in the period",
    "under_use": "looked at from a quarter of the period on",
    "balance_below": "there is no commit",
    "days_below": "the commits are not used up at the present burn, or there are none",
    "new_source": "looked at on the first day of each workflow",
}
_TONES = {"critical": "bad", "warning": "warn", "info": "info"}


@dataclass(frozen=True, slots=True)
class RuleNow:
    """A rule as a sentence, what its figure is now in words, and whether it is reached (with the tone of that).

    `alert` is the newest that it raised in this period, whatever became of it.
    """

    text: str
    now: str
    is_reached: bool
    tone: str
    alert: Alert | None = None


def rules_now(viewer: Viewer, use: BudgetUse, figures: Figures) -> list[RuleNow]:
    """Return where each rule of the version in force stands, in the order of the form."""
    raised = Alert.objects.visible_to(viewer).filter(budget=use.budget, period_start=use.start, is_silent=False)
    alerts = {(alert.kind, alert.threshold): alert for alert in raised.order_by("raised_at")}
    return [
        replace(_rule_now(rule, use, figures), alert=alerts.get((rule.kind, rule.value)))
        for rule in ordered(use.rules)
    ]


def _rule_now(rule: BudgetRule, use: BudgetUse, figures: Figures) -> RuleNow:
    currency, kind = use.account.currency, rule.kind
    figure = None if kind == BudgetRule.Kind.NEW_SOURCE else figure_of(kind, figures)
    reached = figure is not None and verdict(kind, rule.value, figures) is Verdict.HOLDS
    if figure is None:
        now = _UNKNOWN.get(kind, "not known yet: there is no forecast" if kind in FORECAST else "not known yet")
    else:
        now = f"{number_text(kind, round(figure, 2 if kind == 'unit_cost' else 1), currency)} now"
        expected = None if reached or kind not in ACTUAL else expected_on(use, figures, rule)
        now += f"; probably on {short_date(expected)}" if expected else ""
    tone = _TONES[severity_of(kind, rule.value, use.amount)] if reached else "none"
    return RuleNow(rule_text(kind, rule.value, currency), now, reached, tone)


def expected_on(use: BudgetUse, figures: Figures, rule: BudgetRule) -> date | None:
    """Return the day on which a rule on spend is reached if the period ends at its most likely total, evenly spent.

    None when it is not, or when nothing is forecast.
    """
    if figures.fan is None or figures.fan.p50 <= use.used:
        return None
    missing = reached_at(rule.kind, rule.value, use.amount) - use.used
    ahead = figures.fan.p50 - use.used
    days = (use.after_day - use.today).days
    if missing > ahead or not days:
        return None
    return use.today + timedelta(days=min(int((missing / ahead * days).to_integral_value(ROUND_CEILING)), days) - 1)


@dataclass(frozen=True, slots=True)
class Decision:
    """A version of the budget or of its limit: when, by whom (as the viewer may know it), and what it says."""

    at: datetime
    who: str
    text: str


def decisions(viewer: Viewer, budget: Budget, currency: str, vendor: str) -> list[Decision]:
    """Return all versions of a budget and of its limit, the newest first. Customers read `vendor` for its staff."""
    versions = BudgetVersion.objects.visible_to(viewer).filter(budget=budget).select_related("created_by")
    limits = Limit.objects.visible_to(viewer).filter(budget=budget).select_related("created_by")
    seats = _own_people(viewer, budget)
    found = [
        Decision(
            version.created_at,
            _who(version.created_by, viewer, seats, vendor),
            f"Version {version.number}: {money_text(version.amount, currency)}; tells when "
            f"{rules_text(version.rules.all(), currency)}",
        )
        for version in versions.prefetch_related("rules")
    ]
    found += [
        Decision(limit.created_at, _who(limit.created_by, viewer, seats, vendor), _limit_text(limit))
        for limit in limits
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)


def who_did(user: User | None, viewer: Viewer, budget: Budget, vendor: str) -> str:
    """Return who did something: a name, or the vendor's for its staff when a customer reads it."""
    return _who(user, viewer, _own_people(viewer, budget), vendor)


def _own_people(viewer: Viewer, budget: Budget) -> set[object]:
    hears = receivers(viewer.organization_id, [budget.account_id])
    return {seat.user_id for seat in hears.seats.values() if seat.account_id == budget.account_id}


def _who(user: User | None, viewer: Viewer, own: set[object], vendor: str) -> str:
    if user is None:
        return "By a key"
    return str(user) if viewer.is_staff or user.pk in own else vendor


def _limit_text(limit: Limit) -> str:
    if limit.action == Limit.Action.NOTIFY:
        return f"Limit {limit.number}: at {limit.percent.normalize():f}% only tell"
    what = "stop" if limit.action == Limit.Action.STOP else f"throttle to {limit.throttle_percent.normalize():f}%"
    dry = " (dry run)" if limit.is_dry_run else ""
    return f"Limit {limit.number}: {what} at {limit.percent.normalize():f}%, {grace_text(limit)}{dry}"


def grace_text(limit: Limit) -> str:
    """Return the grace in words: “after 30 minutes or 10% more, whichever comes first”."""
    parts = [f"{limit.grace_minutes} minutes"] if limit.grace_minutes else []
    parts += [f"{limit.grace_percent.normalize():f}% more"] if limit.grace_percent else []
    return f"after {' or '.join(parts)}{', whichever comes first' if len(parts) == 2 else ''}" if parts else "at once"


def lift_words(standing: LimitState | None, steps: Iterable[tuple[LimitEvent, str]], zone: ZoneInfo) -> str:
    """Return until when a lifted limit lets work go on, who lifted it and why; nothing of one that is not lifted."""
    if standing is None or standing.state != LimitState.State.LIFTED or standing.lifted_until is None:
        return ""
    until = f"Work goes on as if there were none until {moment_text(standing.lifted_until, zone)}."
    lifted = next(((step, who) for step, who in steps if step.kind == LimitEvent.Kind.LIFTED), None)
    return f"{until} Lifted by {lifted[1] or 'a key'}: “{lifted[0].reason}”." if lifted else until


def limit_rows(limit: Limit, exempt: Iterable[str], roles: Iterable[str]) -> list[tuple[str, str]]:
    """Return a limit as (what, how) for those who only read it; names of exempt workflows and of roles are given."""
    acts = limit.action != Limit.Action.NOTIFY
    return [
        ("Warned of at", f"{limit.warn_percent.normalize():f}% of it"),
        ("Acts", grace_text(limit) if acts else "never: it only tells"),
        *([("Never slowed or stopped", listed(list(exempt)) or "nothing")] if acts else []),
        ("May be lifted by", f"{listed(list(roles))}, for {counted(limit.lift_hours, 'hour')}"),
    ]


@dataclass(frozen=True, slots=True)
class Hears:
    """Who is told of a budget's alerts: names, and how many of the vendor's whom a customer does not see by name."""

    people: tuple[str, ...]
    places: tuple[str, ...]
    hidden: int


def who_hears(viewer: Viewer, budget: Budget) -> Hears:
    """Return whom an alert of this budget goes to now."""
    hears = receivers(viewer.organization_id, [budget.account_id])
    seats = hears.people(budget.account_id, budget.pk)
    places = hears.places(budget.account_id, budget.pk, "alert.raised")
    shown = [seat for seat in seats if viewer.is_staff or seat.account_id is not None]
    own = [place for place in places if viewer.is_staff or place.by_customer]
    return Hears(
        tuple(str(seat.user) for seat in shown),
        tuple(place.name for place in own),
        len(seats) + len(places) - len(shown) - len(own),
    )
