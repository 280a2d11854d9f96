"""Adoption plans: made from an outline, changed by staff, completed by both sides and by data, talked about."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F

from accounts.actions.audit import audit
from accounts.models import Account
from accounts.permissions import require
from budgets.models import Budget
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.calc.milestones import KINDS, Facts, holds, makes_a_circle
from reviews.calc.objectives import MEASURES
from reviews.calc.plan_templates import Outline
from reviews.calc.production import LADDER
from reviews.models import AdoptionPlan, Milestone, MilestoneNeed, Objective, PlanComment
from reviews.reports.plan_measures import Measured
from reviews.reports.value_review_terms import terms_of
from reviews.reports.workflow_days import workflow_days
from usage.models import Workflow

State = AdoptionPlan.State
MOST_DAYS = 800


@dataclass(frozen=True, slots=True)
class Goal:
    """What an objective is to say; without a metric a person ticks it."""

    title: str
    due_on: date
    metric: str = ""
    target: Decimal | None = None
    workflow: Workflow | None = None
    our_owner_id: UUID | None = None
    their_owner: str = ""
    is_shared: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What a milestone is to say. `condition`: {kind, need} that data tick, None: a person does."""

    title: str
    due_on: date
    side: str = Milestone.Side.BOTH
    detail: str = ""
    workflow: Workflow | None = None
    our_owner_id: UUID | None = None
    their_owner: str = ""
    condition: dict[str, Any] | None = None
    is_shared: bool = True
    internal_because: str = ""
    moved_because: str = ""
    needs: Sequence[UUID] = field(default_factory=tuple)


def make_plan(
    viewer: Viewer, account: Account, title: str, starts_on: date, ends_on: date, now: datetime,
    outline: Outline | None = None,
) -> AdoptionPlan:  # fmt: skip
    """Return a new active plan, with what `outline` puts into it. The one before is closed and kept.

    Raises ValidationError in words for an empty title, and days that are in the wrong order or too many.
    """
    require(viewer, "plan.edit")
    if not title.strip():
        raise ValidationError({"title": "Give the plan a name."})
    if ends_on <= starts_on or (ends_on - starts_on).days > MOST_DAYS:
        raise ValidationError({"ends_on": f"The plan must end after it starts, within {MOST_DAYS} days."})
    with transaction.atomic():
        Account.objects.visible_to(viewer).select_for_update().get(pk=account.pk)
        AdoptionPlan.objects.visible_to(viewer).filter(account=account, state=State.ACTIVE).update(
            state=State.CLOSED, changed_at=now, changed_by=viewer.user_id
        )
        plan = AdoptionPlan.objects.create(
            organization_id=account.organization_id, account=account, title=title.strip()[:120], starts_on=starts_on,
            ends_on=ends_on, state=State.ACTIVE, owner_id=viewer.user_id, changed_by_id=viewer.user_id, changed_at=now,
        )  # fmt: skip
        if outline is not None:
            _fill(viewer, plan, outline, now)
        audit(viewer, "plan.created", plan, plan.title)
    return plan


def _fill(viewer: Viewer, plan: AdoptionPlan, outline: Outline, now: datetime) -> None:
    for one in outline.objectives:
        due_on = min(plan.starts_on + timedelta(days=one.due), plan.ends_on)
        save_objective(viewer, plan, Goal(one.title, due_on, one.metric, one.target), now)
    for step in outline.milestones:
        due_on = min(plan.starts_on + timedelta(days=step.due), plan.ends_on)
        because = "" if step.is_shared else "Preparation before we propose it"
        wanted = Step(step.title, due_on, step.side, is_shared=step.is_shared, internal_because=because)
        save_milestone(viewer, plan, wanted, now)


def close_plan(viewer: Viewer, plan: AdoptionPlan, now: datetime) -> None:
    """End a plan; it stays readable."""
    require(viewer, "plan.edit")
    with transaction.atomic():
        _changed(viewer, plan, now, state=State.CLOSED)
        audit(viewer, "plan.closed", plan, plan.title)


def save_objective(
    viewer: Viewer, plan: AdoptionPlan, wanted: Goal, now: datetime, row: Objective | None = None
) -> Objective:
    """Store a new or changed objective. A new one notes where its measure stands: its way begins there."""
    require(viewer, "plan.edit")
    _check_goal(plan, wanted)
    with transaction.atomic():
        today = day_of(now, zone_of(plan.account.timezone))
        if row is None:
            row = Objective(organization_id=plan.organization_id, account_id=plan.account_id, plan=plan)
            row.starts_on = max(plan.starts_on, min(today, wanted.due_on))
            row.position = Objective.objects.visible_to(viewer).filter(plan=plan).count()
        if row._state.adding or (row.metric, row.workflow_id) != (wanted.metric, _pk(wanted.workflow)):
            row.start_value = Measured(viewer, plan.account, now).value(wanted.metric, _pk(wanted.workflow))
        for name in ("title", "due_on", "metric", "target", "workflow", "our_owner_id", "their_owner", "is_shared"):
            setattr(row, name, getattr(wanted, name))
        row.starts_on = min(row.starts_on, row.due_on)
        row.save()
        _changed(viewer, plan, now)
        audit(viewer, "plan.objective_saved", row, row.title)
    return row


def _check_goal(plan: AdoptionPlan, wanted: Goal) -> None:
    if not wanted.title.strip():
        raise ValidationError({"title": "Say what is to be reached."})
    if wanted.metric and wanted.metric not in MEASURES:
        raise ValidationError({"metric": "Choose what it is measured by."})
    if wanted.metric and wanted.target is None:
        raise ValidationError({"target": "An objective that is measured needs its target."})
    if not plan.starts_on <= wanted.due_on <= plan.ends_on:
        raise ValidationError({"due_on": "Choose a day within the plan."})


def _pk(workflow: Workflow | None) -> UUID | None:
    return workflow.pk if workflow else None


def tick_objective(viewer: Viewer, row: Objective, is_done: bool, now: datetime) -> None:
    """Say by hand that an objective without a measure is reached, or is not after all."""
    require(viewer, "plan.edit")
    if row.metric:
        raise ValidationError("This objective is measured: it is reached when its measure is.")
    with transaction.atomic():
        row.done_at = now if is_done else None
        row.save(update_fields=["done_at"])
        _changed(viewer, row.plan, now)
        audit(viewer, "plan.objective_reached" if is_done else "plan.objective_reopened", row, row.title)


def save_milestone(
    viewer: Viewer, plan: AdoptionPlan, wanted: Step, now: datetime, row: Milestone | None = None
) -> Milestone:
    """Store a new or changed milestone. Its first date is kept: timeliness is judged by it.

    Raises ValidationError in words for a date outside of the plan, a condition without a workflow, and milestones
    that would wait for each other.
    """
    require(viewer, "plan.edit")
    _check_step(plan, wanted)
    with transaction.atomic():
        AdoptionPlan.objects.visible_to(viewer).select_for_update().get(pk=plan.pk)
        if row is None:
            row = Milestone(
                organization_id=plan.organization_id, account_id=plan.account_id, plan=plan, first_due_on=wanted.due_on
            )
        _check_needs(viewer, plan, row, wanted.needs)
        for name in ("title", "due_on", "side", "detail", "workflow", "our_owner_id", "their_owner", "condition",
                     "is_shared", "internal_because", "moved_because"):  # fmt: skip
            setattr(row, name, getattr(wanted, name))
        row.save()
        _keep_needs(viewer, row, wanted.needs)
        _changed(viewer, plan, now)
        audit(viewer, "plan.milestone_saved", row, row.title)
    return row


def _check_step(plan: AdoptionPlan, wanted: Step) -> None:
    if not wanted.title.strip():
        raise ValidationError({"title": "Say what is to be done."})
    if not plan.starts_on <= wanted.due_on <= plan.ends_on:
        raise ValidationError({"due_on": "Choose a day within the plan."})
    if wanted.condition:
        if wanted.condition.get("kind") not in KINDS:
            raise ValidationError({"condition": "Choose what data are to tick it."})
        if wanted.workflow is None:
            raise ValidationError({"workflow": "Data tick a milestone of a workflow: choose which."})
        if wanted.condition["kind"] == "rung" and wanted.condition.get("need") not in LADDER:
            raise ValidationError({"condition": "Choose the rung that is to be reached."})


def _check_needs(viewer: Viewer, plan: AdoptionPlan, row: Milestone, needs: Sequence[UUID]) -> None:
    known = set(Milestone.objects.visible_to(viewer).filter(plan=plan).values_list("pk", flat=True))
    if not set(needs) <= known:
        raise ValidationError({"needs": "A milestone waits for others of its plan."})
    pairs = (
        MilestoneNeed.objects.visible_to(viewer).filter(milestone__plan=plan).values_list("milestone_id", "needs_id")
    )
    if makes_a_circle(pairs, row.pk, needs):
        raise ValidationError({"needs": "These milestones would wait for each other. Leave one of them out."})


def _keep_needs(viewer: Viewer, row: Milestone, needs: Sequence[UUID]) -> None:
    there = MilestoneNeed.objects.visible_to(viewer).filter(milestone=row)
    there.exclude(needs__in=needs).delete()
    kept = set(there.values_list("needs_id", flat=True))
    MilestoneNeed.objects.bulk_create(
        MilestoneNeed(organization_id=row.organization_id, account_id=row.account_id, milestone=row, needs_id=one)
        for one in needs
        if one not in kept
    )


def remove_item(viewer: Viewer, row: Objective | Milestone, now: datetime) -> None:
    """Take an objective or milestone out of its plan; the audit log keeps that it was there."""
    require(viewer, "plan.edit")
    with transaction.atomic():
        row.removed_at = now
        row.save(update_fields=["removed_at"])
        _changed(viewer, row.plan, now)
        audit(viewer, "plan.item_removed", row, row.title)


def share_item(viewer: Viewer, row: Objective | Milestone, is_shared: bool, because: str, now: datetime) -> None:
    """Show an item to the customer, or keep it internal with a reason."""
    require(viewer, "plan.edit")
    with transaction.atomic():
        row.is_shared = is_shared
        names = ["is_shared"]
        if isinstance(row, Milestone):
            row.internal_because = "" if is_shared else because.strip()[:200]
            names.append("internal_because")
        row.save(update_fields=names)
        _changed(viewer, row.plan, now)
        audit(viewer, "plan.item_shared" if is_shared else "plan.item_hidden", row, row.title)


def finish_milestone(viewer: Viewer, row: Milestone, now: datetime) -> None:
    """Complete a milestone by a person of either side; again changes nothing.

    Raises ValidationError for one that data tick, PermissionDenied for the customer's people on the vendor's own.
    """
    require(viewer, "plan.finish")
    if viewer.is_portal and row.side == Milestone.Side.US:
        raise PermissionDenied("This is for your contact to complete.")
    if row.condition:
        raise ValidationError("Data tick this milestone by themselves.")
    with transaction.atomic():
        locked = Milestone.objects.visible_to(viewer).select_for_update(of=("self",)).get(pk=row.pk)
        if locked.done_at is None:
            _finish(viewer, locked, viewer.user_id, now)


def _finish(viewer: Viewer, row: Milestone, by: UUID | None, now: datetime) -> None:
    row.done_at, row.done_on, row.done_by_id = now, day_of(now, zone_of(row.account.timezone)), by
    row.save(update_fields=["done_at", "done_on", "done_by"])
    audit(viewer, "plan.milestone_done", row, row.title)


def reopen_milestone(viewer: Viewer, row: Milestone, now: datetime) -> None:
    """Open a milestone again. The customer opens what the customer's own people completed."""
    require(viewer, "plan.finish")
    if viewer.is_portal and (row.done_by_id is None or row.done_by_id != viewer.user_id):
        raise PermissionDenied("Only who completed it opens it again.")
    with transaction.atomic():
        row.done_at = row.done_on = row.done_by = None
        row.save(update_fields=["done_at", "done_on", "done_by"])
        audit(viewer, "plan.milestone_reopened", row, row.title)


def say(
    viewer: Viewer, plan: AdoptionPlan, text: str, now: datetime, *, milestone: Milestone | None = None,
    is_shared: bool = True,
) -> PlanComment:  # fmt: skip
    """Add a comment to a plan or one of its milestones; the customer's are always shared."""
    require(viewer, "plan.view")
    if not text.strip() or len(text) > 4000:
        raise ValidationError("Write what you want to say, in up to 4,000 characters.")
    if viewer.user_id is None:
        raise PermissionDenied("Only a person comments.")
    with transaction.atomic():
        comment = PlanComment.objects.create(
            organization_id=plan.organization_id, account_id=plan.account_id, plan=plan, milestone=milestone,
            text=text.strip(), by_id=viewer.user_id, at=now, is_shared=is_shared or viewer.is_portal,
        )  # fmt: skip
        audit(viewer, "plan.commented", plan, plan.title)
    return comment


def _changed(viewer: Viewer, plan: AdoptionPlan, now: datetime, **more: Any) -> None:
    AdoptionPlan.objects.visible_to(viewer).filter(pk=plan.pk).update(
        version=F("version") + 1, changed_by=viewer.user_id, changed_at=now, **more
    )


def tick_plans(organization_id: UUID, now: datetime, account_ids: Collection[UUID] | None = None) -> int:
    """Complete the milestones of active plans whose condition holds; return how many. Again changes nothing."""
    viewer, ticked = Viewer(organization_id), 0
    with act_as(viewer):
        rows = Milestone.objects.visible_to(viewer).filter(
            plan__state=State.ACTIVE, removed_at=None, done_at=None, condition__isnull=False, workflow__isnull=False
        )
        if account_ids is not None:
            rows = rows.filter(account__in=list(account_ids))
        waiting = list(rows.select_for_update(of=("self",), skip_locked=True).select_related("account", "workflow"))
        facts = _facts(viewer, waiting, now)
        for row in waiting:
            if holds(row.condition or {}, facts.get(row.workflow_id)):
                _finish(viewer, row, None, now)
                ticked += 1
    return ticked


def _facts(viewer: Viewer, rows: Sequence[Milestone], now: datetime) -> dict[UUID | None, Facts]:
    accounts = {row.account_id: row.account for row in rows}
    today = {str(pk): day_of(now, zone_of(one.timezone)) for pk, one in accounts.items()}
    runs = {
        flow.workflow_id: Decimal(repr(float(flow.successes.sum())))
        for flows in workflow_days(viewer.organization_id, today).values()
        for flow in flows
    }
    budgets = set(
        Budget.objects.visible_to(viewer)
        .filter(account__in=list(accounts), workflow__isnull=False, archived_at=None)
        .values_list("workflow_id", flat=True)
    )
    valued = {
        UUID(name)
        for account in accounts.values()
        for name, terms in terms_of(viewer, account, now).items()
        if terms.state == "confirmed" and terms.value_each is not None
    }
    return {
        row.workflow_id: Facts(
            row.workflow.stage if row.workflow else "",
            runs.get(row.workflow_id, Decimal(0)),
            row.workflow_id in budgets,
            row.workflow_id in valued,
        )
        for row in rows
    }
