"""What waits for somebody in the value of accounts: steps of plans, values to confirm, signatures, steps to decide."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from uuid import UUID

from consumption_cs.lib.display import counted, listed
from consumption_cs.lib.tenancy import Viewer
from reviews.models import AdoptionPlan, Milestone, OutcomeTerms, ReviewSignature, RungMove, ValueReview

SOON = timedelta(days=7)
KINDS = {
    "step": "step of a plan",
    "value": "value to confirm",
    "signature": "signature",
    "move": "move on the ladder",
}


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that waits: its kind, what it is about, and the day it is or was due."""

    kind: str
    title: str
    on: date

    @property
    def words(self) -> str:
        """What kind of thing it is."""
        return KINDS[self.kind]


def value_due(viewer: Viewer, today: date) -> Mapping[UUID, list[Due]]:
    """Return by account what is late, due within a week, or has waited for an answer. Four queries."""
    found: dict[UUID, list[Due]] = defaultdict(list)
    steps = Milestone.objects.visible_to(viewer).filter(
        plan__state=AdoptionPlan.State.ACTIVE, removed_at=None, done_at=None, due_on__lt=today + SOON
    )
    for account, title, due_on in steps.values_list("account_id", "title", "due_on"):
        found[account].append(Due("step", title, due_on))
    waiting = OutcomeTerms.objects.visible_to(viewer).filter(answers=None, proposed_at__lt=_start(today - SOON))
    answered = OutcomeTerms.objects.visible_to(viewer).exclude(answers=None).values_list("workflow_id", "proposed_at")
    newest: dict[UUID, datetime] = {}
    for workflow, at in answered:
        newest[workflow] = max(at, newest.get(workflow, at))
    # Of several proposals for a workflow the newest waits, once.
    latest = {row.workflow_id: row for row in waiting.select_related("workflow").order_by("proposed_at", "pk")}
    for row in latest.values():
        if row.workflow_id not in newest or newest[row.workflow_id] < row.proposed_at:
            found[row.account_id].append(Due("value", row.workflow.name, row.proposed_at.date()))
    for review, title in _unsigned(viewer, today):
        found[review.account_id].append(Due("signature", title, review.published_at.date()))
    moves = RungMove.objects.visible_to(viewer).filter(state=RungMove.State.PROPOSED).select_related("workflow")
    for move in moves:
        found[move.account_id].append(Due("move", move.workflow.name, move.happened_on))
    return found


def _unsigned(viewer: Viewer, today: date) -> list[tuple[ValueReview, str]]:
    """The newest review of each account for which somebody who was asked has not signed for a week."""
    rows = ValueReview.objects.visible_to(viewer).filter(published_at__lt=_start(today - SOON))
    newest = {row.account_id: row for row in rows.order_by("number")}
    signed: dict[UUID, set[str]] = defaultdict(set)
    there = ReviewSignature.objects.visible_to(viewer).filter(review__in=list(newest.values()))
    for review, email in there.values_list("review_id", "by__email"):
        signed[review].add(email.lower())
    return [
        (row, f"Value review {row.number}")
        for row in newest.values()
        if any(asked["email"] not in signed[row.pk] for asked in row.content.get("signers", []))
    ]


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)


def due_words(found: Mapping[str, int]) -> str:
    """Return the counts of each kind in words: "2 steps of a plan and 1 signature"."""
    plural = {"step": "steps of plans", "value": "values to confirm", "signature": "signatures",
              "move": "moves on the ladder"}  # fmt: skip
    said = [
        counted(found[kind], name) if found[kind] == 1 else f"{found[kind]} {plural[kind]}"
        for kind, name in KINDS.items()
        if found.get(kind)
    ]
    return listed(said)
