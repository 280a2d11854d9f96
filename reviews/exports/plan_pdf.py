"""The shared part of an adoption plan on paper, set by typst: what the customer sees, whoever prints it."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import typst

from accounts.models import Account, Role
from budgets.exports.pdf_packing import packed
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.models import AdoptionPlan
from reviews.reports.plan_words import plan_facts, plan_headline, plan_lead
from reviews.reports.plans import MilestoneShown, ObjectiveShown, plan_shown
from usage.reports.overview_words import short_date

PAPERS = {"a4": "a4", "letter": "us-letter"}
_TEMPLATE = Path(__file__).with_name("plan.typ").read_bytes()


def plan_pdf(account: Account, plan: AdoptionPlan, now: datetime, paper: str = "a4") -> bytes:
    """Return the plan's PDF on A4 or Letter, measured as of `now`. Raises KeyError for another paper."""
    told = on_paper(account, plan, now) | {"paper": PAPERS[paper]}
    made: bytes = typst.compile(
        _TEMPLATE,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(told, ensure_ascii=False, default=str)},
        timestamp=int(now.timestamp()),
    )
    return packed(made)


def on_paper(account: Account, plan: AdoptionPlan, now: datetime) -> dict[str, Any]:
    """Return what the PDF says: the customer's view of the plan, so internal items are never in it."""
    customer = Viewer(account.organization_id, account.pk, Role.PORTAL_VIEWER)
    shown, today = plan_shown(customer, account, plan, now), day_of(now, zone_of(account.timezone))
    return {
        "title": f"{plan.title}, {account.name}",
        "organization": account.organization.name,
        "account": account.name,
        "period": f"{_long(plan.starts_on)} to {_long(plan.ends_on)}",
        "as_of": _long(today),
        "headline": plan_headline(shown),
        "lead": plan_lead(shown, today),
        "facts": plan_facts(shown, today),
        "objectives": [_objective(one) for one in shown.objectives],
        "milestones": [_milestone(one) for one in shown.milestones],
        "margin": f"{plan.title}, version {plan.version}, as of {_long(today)}",
        "date": [today.year, today.month, today.day],
    }


STATES = {"reached": "Reached", "on_track": "On track", "behind": "Behind", "unknown": "Not measured yet"}
STEPS = {"done": "Done", "late": "Late", "waits": "Waits", "next": "Open"}


def _long(day: date) -> str:
    return f"{short_date(day)}, {day.year}"


def _objective(one: ObjectiveShown) -> dict[str, str]:
    row = one.row
    way = f"From {one.start} to {one.target}" if one.start else f"Target {one.target}" if one.target else "By a person"
    return {
        "title": f"{row.title} ({row.workflow.name})" if row.workflow else row.title,
        "value": one.value,
        "way": f"{way}, by {_long(row.due_on)}",
        "who": " and ".join(filter(None, [row.their_owner, _name(row.our_owner)])),
        "width": one.width,
        "mark": one.mark,
        "state": STATES[one.state],
        "key": one.state,
    }


def _milestone(one: MilestoneShown) -> dict[str, str]:
    waits = f". After “{'”, “'.join(one.waits_for)}”" if one.waits_for else ""
    return {
        "title": one.row.title,
        "detail": one.row.detail,
        "when": one.when + waits,
        "who": one.who,
        "state": STEPS[one.state],
        "key": one.state,
    }


def _name(person: Any) -> str:
    return (person.name or person.email) if person else ""
