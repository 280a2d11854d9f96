"""Expansion candidates: found, added, estimated, shared, planned for a quarter, moved on, won by themselves."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.actions.audit import audit
from accounts.models import Account
from accounts.permissions import require
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.calc.production import LIVE
from reviews.models import Candidate, CandidateStep, ExpansionCapacity
from reviews.reports.expansion import Suggestion, suggestions
from usage.actions.workflows import save_workflow
from usage.models import Workflow

State = Candidate.State
OPEN = (State.FOUND, State.PROPOSED, State.AGREED, State.BUILDING)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is thought of a candidate; money a month in the account's currency. None is not estimated."""

    title: str
    value_a_month: Decimal | None = None
    evidence: Decimal = Decimal(0)
    effort_weeks: Decimal | None = None
    obstacles: list[str] = field(default_factory=list)
    spend_likely: Decimal | None = None
    known: str = ""
    cadence: str = ""
    quarter: date | None = None
    owner_id: UUID | None = None


def add_candidate(
    viewer: Viewer, account: Account, wanted: Estimate, source: str, now: datetime, workflow: Workflow | None = None
) -> Candidate:
    """Add an idea or something the customer asked for. Raises ValidationError without a title, or for a second one of
    the same workflow."""
    require(viewer, "expansion.edit")
    _check(wanted)
    row = Candidate(
        organization_id=account.organization_id, account=account, source=source, currency=account.currency,
        workflow=workflow, created_by_id=viewer.user_id, created_at=now,
    )  # fmt: skip
    _write(row, wanted)
    try:
        with transaction.atomic():
            row.save()
            _step(viewer, row, "", State.FOUND, "", now)
            audit(viewer, "candidate.added", row, row.title)
    except IntegrityError as error:
        raise ValidationError("This workflow is a candidate already.") from error
    return row


def accept_suggestion(viewer: Viewer, account: Account, key: str, now: datetime) -> Candidate | None:
    """Make a candidate of what similar accounts run; None when it is no longer suggested."""
    require(viewer, "expansion.edit")
    found = next((one for one in suggestions(viewer, account, now) if one.key == key), None)
    if found is None:
        return None
    try:
        with transaction.atomic():
            return _from_suggestion(viewer, account, found, now)
    except IntegrityError:  # somebody took it in the same moment
        return None


def _from_suggestion(viewer: Viewer, account: Account, found: Suggestion, now: datetime) -> Candidate:
    spend, outcomes = found.spend, found.outcomes
    places = exponent(account.currency)
    ranges: dict[str, Any] = {}
    if spend:
        ranges |= {f"spend_{name}": round_to(getattr(spend, name), places) for name in ("low", "likely", "high")}
    if outcomes:
        ranges |= {f"outcomes_{name}": round_to(getattr(outcomes, name), 3) for name in ("low", "likely", "high")}
    with transaction.atomic():
        row = Candidate.objects.create(
            organization_id=account.organization_id, account=account, key=found.key, title=found.title,
            source=Candidate.Source.WHITESPACE, currency=account.currency, evidence=found.evidence, known=found.why,
            created_by_id=viewer.user_id, created_at=now, **ranges,
        )  # fmt: skip
        _step(viewer, row, "", State.FOUND, "", now)
        audit(viewer, "candidate.added", row, row.title)
    return row


def estimate(viewer: Viewer, row: Candidate, wanted: Estimate) -> Candidate:
    """Change what is thought of a candidate."""
    require(viewer, "expansion.edit")
    _check(wanted)
    with transaction.atomic():
        _write(row, wanted)
        row.save()
        audit(viewer, "candidate.estimated", row, row.title)
    return row


def _check(wanted: Estimate) -> None:
    if not wanted.title.strip():
        raise ValidationError({"title": "Name the workflow."})
    if not 0 <= wanted.evidence <= 1:
        raise ValidationError({"evidence": "Evidence is 0 to 100 %."})
    for name in ("value_a_month", "effort_weeks", "spend_likely"):
        amount = getattr(wanted, name)
        if amount is not None and not (amount.is_finite() and amount > 0):
            raise ValidationError({name: "Give an amount above zero, or leave it empty."})


def _write(row: Candidate, wanted: Estimate) -> None:
    for name in ("title", "value_a_month", "evidence", "effort_weeks", "obstacles", "known", "cadence", "quarter",
                 "owner_id"):  # fmt: skip
        setattr(row, name, getattr(wanted, name))
    likely = wanted.spend_likely
    if likely != row.spend_likely:
        # A person's estimate has no neighbours to take a range from: half to twice, until the first use tells.
        row.spend_low, row.spend_likely, row.spend_high = (
            (likely / 2, likely, likely * 2) if likely is not None else (None, None, None)
        )


def move(viewer: Viewer, row: Candidate, to_state: str, reason: str, now: datetime) -> Candidate:
    """Move a candidate on, back, or to "not now", which needs a reason. Once agreed it is an idea on the ladder.

    It is won by the ladder alone. Raises ValidationError in words for an unknown state, a missing reason, a win
    without production, and a workflow that is another candidate's.
    """
    require(viewer, "expansion.edit")
    if to_state not in State.values:
        raise ValidationError("Choose where it goes.")
    if to_state == State.LOST and not reason.strip():
        raise ValidationError("Say why not now: it is what the win rate is learned from.")
    with transaction.atomic():
        locked = Candidate.objects.visible_to(viewer).select_for_update(of=("self",)).get(pk=row.pk)
        if locked.state == to_state:
            return locked
        _may_move(locked, to_state)
        before, locked.state = locked.state, to_state
        if to_state in (State.AGREED, State.BUILDING) and locked.workflow_id is None:
            locked.workflow = _on_the_ladder(viewer, row)
        locked.save(update_fields=["state", "workflow"])
        _step(viewer, locked, before, to_state, reason, now)
        audit(viewer, "candidate.moved", locked, locked.title, {"from": before, "to": to_state})
    return locked


def _may_move(row: Candidate, to_state: str) -> None:
    if row.state == State.WON:
        raise ValidationError("It is in production: the ladder says what becomes of it.")
    if to_state == State.WON and (row.workflow is None or row.workflow.stage not in LIVE):
        raise ValidationError("It is won by itself, when its workflow reaches production on the ladder.")


def _on_the_ladder(viewer: Viewer, row: Candidate) -> Workflow:
    key = row.key or "-".join(row.title.lower().split())[:200]
    found = Workflow.objects.visible_to(viewer).filter(account_id=row.account_id, key=key).first()
    if found is not None:
        if Candidate.objects.visible_to(viewer).filter(workflow=found).exclude(pk=row.pk).exists():
            raise ValidationError(f"The workflow {found.name} is another candidate’s already. Rename this one.")
        return found
    made = Workflow(key=key, name=row.title, stage=Workflow.Stage.IDEA)
    return save_workflow(viewer, row.account, made)


def share(viewer: Viewer, row: Candidate, is_shared: bool) -> None:
    """Show a candidate to the customer, or keep it internal."""
    require(viewer, "expansion.edit")
    with transaction.atomic():
        row.is_shared = is_shared
        row.save(update_fields=["is_shared"])
        audit(viewer, "candidate.shared" if is_shared else "candidate.hidden", row, row.title)


def set_weeks(viewer: Viewer, user_id: UUID, quarter: date, weeks: Decimal) -> None:
    """Say how many weeks a person has in a quarter. Raises ValidationError out of 0 to 13."""
    require(viewer, "expansion.plan")
    if not 0 <= weeks <= 13:
        raise ValidationError("A quarter has 0 to 13 weeks.")
    with transaction.atomic():
        row, _ = ExpansionCapacity.objects.visible_to(viewer).update_or_create(
            organization_id=viewer.organization_id, user_id=user_id, quarter=quarter, defaults={"weeks": weeks}
        )
        audit(viewer, "expansion.weeks_set", row, f"{quarter}", {"weeks": str(weeks)})


def win_what_runs(organization_id: UUID, now: datetime, account_ids: Collection[UUID] | None = None) -> int:
    """Mark as won the candidates whose workflow stands in production; return how many. Again changes nothing."""
    viewer, won = Viewer(organization_id), 0
    with act_as(viewer):
        rows = Candidate.objects.visible_to(viewer).filter(state__in=OPEN, workflow__stage__in=LIVE)
        if account_ids is not None:
            rows = rows.filter(account__in=list(account_ids))
        for row in rows.select_for_update(of=("self",), skip_locked=True):
            before, row.state = row.state, State.WON
            row.save(update_fields=["state"])
            _step(viewer, row, before, State.WON, "It is in production", now)
            won += 1
    return won


def _step(viewer: Viewer, row: Candidate, before: str, after: str, reason: str, now: datetime) -> None:
    CandidateStep.objects.create(
        organization_id=row.organization_id, account_id=row.account_id, candidate=row, from_state=before,
        to_state=after, reason=reason.strip()[:300], by_id=viewer.user_id, at=now,
    )  # fmt: skip
