"""Plans to begin with that an organization makes itself: kept from a plan that went well, taken away."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.plan_templates import MilestoneOutline, ObjectiveOutline, Outline, body_of
from reviews.models import AdoptionPlan, Milestone, Objective, PlanTemplate


def keep_template(viewer: Viewer, plan: AdoptionPlan, name: str, segment: str, now: datetime) -> PlanTemplate:
    """Keep what a plan asks for as a template for a segment, "": any. One of the same name is replaced.

    Names of people, workflows and conditions of one account stay out of it. Raises ValidationError in words.
    """
    require(viewer, "plan.edit")
    name = name.strip()[:120]
    if not name:
        raise ValidationError("Give the template a name.")
    if segment and segment not in Account.Segment.values:
        raise ValidationError("Choose a segment.")
    body = body_of(_outline(viewer, plan, name))
    if not body["objectives"] and not body["milestones"]:
        raise ValidationError("The plan is empty: there is nothing to keep.")
    with transaction.atomic():
        row, _ = PlanTemplate.objects.visible_to(viewer).update_or_create(
            organization_id=plan.organization_id, name=name,
            defaults={"segment": segment, "body": body, "made_by_id": viewer.user_id, "changed_at": now},
        )  # fmt: skip
        audit(viewer, "plan.template_kept", row, name)
    return row


def remove_template(viewer: Viewer, row: PlanTemplate) -> None:
    """Take a template away; plans that began with it stay as they are."""
    require(viewer, "plan.edit")
    with transaction.atomic():
        audit(viewer, "plan.template_removed", row, row.name)
        row.delete()


def _outline(viewer: Viewer, plan: AdoptionPlan, name: str) -> Outline:
    objectives = Objective.objects.visible_to(viewer).filter(plan=plan, removed_at=None).order_by("position", "pk")
    milestones = Milestone.objects.visible_to(viewer).filter(plan=plan, removed_at=None).order_by("due_on", "pk")
    return Outline(
        "", name, "", (), (plan.ends_on - plan.starts_on).days,
        tuple(
            ObjectiveOutline(one.title, one.metric, one.target, (one.due_on - plan.starts_on).days)
            for one in objectives
        ),
        tuple(
            MilestoneOutline(one.title, (one.first_due_on - plan.starts_on).days, one.side, one.is_shared)
            for one in milestones
        ),
    )  # fmt: skip
