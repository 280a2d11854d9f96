"""Ladder, plan, outcomes, reviews and expansion of an account of the world, shared ones and internal ones."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import Account, Role, User
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.value_reviews import comment, correct, make_draft, publish
from reviews.models import (
    AdoptionPlan,
    Candidate,
    CandidateStep,
    GateTick,
    LadderCard,
    LadderRules,
    Milestone,
    Objective,
    OutcomeAnswer,
    OutcomeTerms,
    PlanComment,
    PlanLink,
    PlanTemplate,
    ReviewDraft,
    RungMove,
    ValueReview,
)
from tests.factories import staff_of
from usage.models import Workflow


@dataclass
class Valued:
    """What URLs about value name, of one account."""

    move: RungMove
    plan: AdoptionPlan
    objective: Objective
    milestone: Milestone
    link: PlanLink
    template: PlanTemplate
    terms: OutcomeTerms
    draft: ReviewDraft
    review: ValueReview
    candidate: Candidate


def make_valued(account: Account, workflow: Workflow, ours: User, theirs: User, canary: str, now: datetime) -> Valued:
    """Return rows whose texts all contain the canary; of what may be internal there is one of each."""
    enter(staff_of(account))
    today = now.date()
    own: dict[str, Any] = {"organization": account.organization, "account": account}
    gate = {"key": "owner", "label": f"{canary} gate", "by": "person", "is_met": True, "value": canary, "need": None}
    LadderRules.objects.get_or_create(
        organization=account.organization, number=1, defaults={"gates": {}, "note": canary, "made_by": ours}
    )
    LadderCard.objects.create(
        **own, workflow=workflow, our_owner=ours, their_owner=f"{canary} owner", remark=f"{canary} remark",
        gates=[gate], checked_at=now,
    )  # fmt: skip
    GateTick.objects.create(**own, workflow=workflow, key="owner", value=f"{canary} value", by=ours, at=now)
    move = RungMove.objects.create(
        **own, workflow=workflow, kind=RungMove.Kind.PROMOTION, from_stage="production", to_stage="hardened",
        evidence=[gate], happened_on=today, proposed_at=now,
    )  # fmt: skip
    plan = AdoptionPlan.objects.create(
        **own, title=f"{canary} plan", starts_on=today - timedelta(days=30), ends_on=today + timedelta(days=300),
        state=AdoptionPlan.State.ACTIVE, owner=ours, changed_by=ours, changed_at=now,
    )  # fmt: skip
    of_plan = own | {"plan": plan}
    objectives = [
        Objective.objects.create(
            **of_plan, title=f"{canary} {name}", metric="", starts_on=plan.starts_on, due_on=plan.ends_on,
            our_owner=ours, their_owner=f"{canary} owner", is_shared=name != "internal",
        )
        for name in ("objective", "internal")
    ]  # fmt: skip
    milestones = [
        Milestone.objects.create(
            **of_plan, objective=objectives[0], workflow=workflow, title=f"{canary} {name}", detail=canary,
            due_on=today + timedelta(days=9), first_due_on=today + timedelta(days=9), our_owner=ours,
            their_owner=f"{canary} owner", is_shared=name != "internal", internal_because=canary,
        )
        for name in ("step", "internal")
    ]  # fmt: skip
    for is_shared in (True, False):
        PlanComment.objects.create(
            **of_plan, milestone=milestones[0], text=f"{canary} said", by=ours, at=now, is_shared=is_shared
        )
    terms = [
        OutcomeTerms.objects.create(
            **own, workflow=workflow, definition=f"{canary} done", value_each=Decimal("0.42"), currency="USD",
            basis=canary, proposed_by=ours, proposed_at=now - timedelta(days=ago),
        )
        for ago in (2, 1)
    ]  # fmt: skip
    OutcomeAnswer.objects.create(
        **own, terms=terms[0], answer="confirmed", by=theirs, by_title=canary, at=now - timedelta(days=2)
    )
    candidates = [
        Candidate.objects.create(
            **own, title=f"{canary} idea", source=Candidate.Source.REQUESTED, currency="USD", key=key,
            value_a_month=5200, evidence=Decimal("0.8"), effort_weeks=2, known=canary, owner=ours, is_shared=bool(key),
        )
        for key in ("shared", "")
    ]  # fmt: skip
    CandidateStep.objects.create(**own, candidate=candidates[0], to_state="found", reason=canary, by=ours, at=now)
    return Valued(
        move=move, plan=plan, objective=objectives[0], milestone=milestones[0], terms=terms[1],
        candidate=candidates[0],
        link=PlanLink.objects.create(
            **of_plan, token_hash=f"{canary}-hash", expires_at=now + timedelta(days=9), made_by=ours
        ),
        template=PlanTemplate.objects.create(
            organization=account.organization, name=f"{canary} template", body={"objectives": [], "milestones": []}
        ),
        **_reviews(account, ours, canary, now),
    )  # fmt: skip


def _reviews(account: Account, ours: User, canary: str, now: datetime) -> dict[str, Any]:
    staff = Viewer(account.organization_id, None, Role.CSM, ours.pk)
    first, after = (now - timedelta(days=15)).date(), (now - timedelta(days=1)).date()
    review = publish(staff, make_draft(staff, account, first, after, now), now)
    comment(staff, review, "comment", f"{canary} comment", now)
    correct(staff, review, f"{canary} correction", now)
    return {"review": review, "draft": make_draft(staff, account, first, after, now)}
