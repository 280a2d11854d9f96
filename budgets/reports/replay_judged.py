"""Which alerts of a replay would have been false alarms, and why.

What somebody has judged counts first: an alert of the same day and kind (for a pace also one about unusual usage)
that was called expected or wrong makes a false alarm, one called useful does not. Else a pace or a new workflow is a
false alarm on a day with a planned activity; a pace, on a day without anything unusual whose period ended without
going over; a forecast, if its period ended so; and "less than planned", if its period ended above that. What was spent
is never false by itself: it was spent. A period that is not over leaves these open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from budgets.calc.budget_rules import FORECAST, PACES
from budgets.calc.replay import Span
from budgets.calc.replay_rules import Crossing
from budgets.models import Alert, Anomaly, PlannedActivity
from consumption_cs.lib.display import money_text
from consumption_cs.lib.periods import day_of

NEW_SOURCE = "new_source"
UNUSUAL = (Anomaly.Kind.SPIKE, Anomaly.Kind.STEP, Anomaly.Kind.LEAK)
USEFUL, FALSE, OPEN = "useful", "false", "open"
_JUDGED = {
    Alert.Feedback.USEFUL: (USEFUL, "it was called useful at the time"),
    Alert.Feedback.EXPECTED: (FALSE, "it was expected, as somebody said at the time"),
    Alert.Feedback.WRONG: (FALSE, "it was wrong, as somebody said at the time"),
}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known by now of the days that are replayed."""

    zone: ZoneInfo
    today: date
    currency: str
    plans: Sequence[PlannedActivity]
    judged: Sequence[Alert]
    unusual: Sequence[Anomaly]

    def plan_on(self, day: date) -> PlannedActivity | None:
        return next((one for one in self.plans if one.starts_on <= day < one.ends_on), None)

    def unusual_on(self, day: date) -> Anomaly | None:
        """The costliest stretch of unusual usage that touches a day."""
        touching = [
            one
            for one in self.unusual
            if day_of(one.started_at, self.zone) <= day <= day_of(one.seen_until, self.zone)
        ]
        return max(touching, key=lambda one: one.impact, default=None)


def judge(crossing: Crossing, span: Span, amount: Decimal, known: Known) -> tuple[str, str]:
    """Return useful, false or open, and why in a few words."""
    kind, day = crossing.kind, crossing.day
    kinds = {kind, *(UNUSUAL if kind in PACES else ())}
    said = [one for one in known.judged if one.kind in kinds and day_of(one.raised_at, known.zone) == day]
    if said:
        return _JUDGED[Alert.Feedback(said[-1].feedback)]
    if kind in PACES or kind == NEW_SOURCE:
        plan, unusual = known.plan_on(day), known.unusual_on(day)
        if plan is not None:
            return FALSE, f"planned: {plan.name}"
        if unusual is not None or kind == NEW_SOURCE:
            return USEFUL, about(unusual) if unusual is not None else "nobody had planned it"
    if kind in FORECAST or kind in PACES or kind == "under_use":
        return _ended(crossing, span, amount, known)
    return USEFUL, ""


def _ended(crossing: Crossing, span: Span, amount: Decimal, known: Known) -> tuple[str, str]:
    if span.after > known.today:
        return OPEN, "the period is not over"
    ended = f"it ended at {money_text(span.spent, known.currency, places=0)}"
    if crossing.kind == "under_use":
        is_right = span.spent < amount * crossing.value / 100
        return (USEFUL, ended) if is_right else (FALSE, f"{ended}, as planned")
    return (USEFUL, f"{ended}, over the budget") if span.spent > amount else (FALSE, f"{ended}, not over")


def about(anomaly: Anomaly) -> str:
    """Return what was unusual: "Spike in Claims triage"."""
    kind = anomaly.get_kind_display()
    return f"{kind} in {anomaly.workflow.name}" if anomaly.workflow else str(kind)
