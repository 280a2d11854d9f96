"""An adoption plan in sentences: the headline, what is late, the facts, and whether a quarter holds too much."""

from collections import Counter
from datetime import date
from typing import Any

from consumption_cs.lib.display import counted
from reviews.calc.plan_templates import A_QUARTER
from reviews.reports.plans import PlanShown
from usage.reports.overview_words import short_date


def plan_headline(shown: PlanShown) -> str:
    """Return the sentence on top."""
    goals, steps = len(shown.objectives), len(shown.milestones)
    if not goals and not steps:
        return "The plan is empty. Begin with an objective."
    said = []
    if goals:
        said.append(
            f"{shown.on_plan} of {counted(goals, 'objective')} {'is' if goals == 1 else 'are'} on or ahead of plan"
        )
    if steps:
        said.append(f"{shown.done} of {counted(steps, 'milestone')} done")
    return "; ".join(said) + "."


def plan_lead(shown: PlanShown, today: date) -> str:
    """Return what is late, else what comes next."""
    late = shown.late
    if late:
        more = f", and {counted(len(late) - 1, 'more milestone')}" if len(late) > 1 else ""
        return f"“{late[0].row.title}” is {counted((today - late[0].row.due_on).days, 'day')} late{more}."
    if shown.next is not None:
        who = f", {shown.next.who}" if shown.next.who else ""
        return f"Next: “{shown.next.row.title}” by {short_date(shown.next.row.due_on)}{who}."
    return "Every milestone is done." if shown.milestones else ""


def plan_facts(shown: PlanShown, today: date) -> list[dict[str, Any]]:
    """Return the facts under the headline."""
    done = [one.row for one in shown.milestones if one.row.done_on]
    on_time = sum(one.done_on is not None and one.done_on <= one.first_due_on for one in done)
    days = (shown.plan.ends_on - today).days
    behind = shown.measured - shown.on_plan
    return [
        {"label": "Objectives on plan", "value": f"{shown.on_plan} of {len(shown.objectives)}",
         "note": f"{behind} behind" if behind > 0 else "", "tone": "warn"},
        {"label": "Milestones done", "value": f"{shown.done} of {len(shown.milestones)}",
         "note": f"{shown.by_data} by data" if shown.by_data else ""},
        {"label": "On time", "value": f"{on_time} of {len(done)}" if done else "None done yet",
         "note": "by the date first agreed" if done else ""},
        {"label": "Plan ends", "value": short_date(shown.plan.ends_on),
         "note": f"in {counted(days, 'day')}" if days > 0 else "ended"},
    ]  # fmt: skip


def quarter_warning(shown: PlanShown) -> str:
    """Return a warning when a quarter is to bring more workflows into production than teams manage; else nothing."""
    planned = Counter(
        (one.row.due_on.year, (one.row.due_on.month - 1) // 3 + 1)
        for one in shown.milestones
        if one.row.condition and one.row.condition.get("need") == "production" and one.row.done_at is None
    )
    full = [(quarter, count) for quarter, count in sorted(planned.items()) if count > A_QUARTER]
    if not full:
        return ""
    (year, quarter), count = full[0]
    return f"Q{quarter} {year} is to bring {count} workflows into production. Teams manage two or three a quarter."
