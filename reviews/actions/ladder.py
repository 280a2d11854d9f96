"""The workflow ladder: what people do to it. Each act asks for the right to it, is audited, and is followed by a look.

Data and people tick gates; only a person moves a workflow, by confirming a proposal or by setting its rung with a
reason and an end.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account
from accounts.permissions import require
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.ladder_checks import check_ladders, look, withdrawn
from reviews.actions.ladder_told import tell_moves
from reviews.calc.ladder import OVERRIDE_DAYS, Rules, RulesError, read_rules
from reviews.calc.ladder_gates import GATES
from reviews.calc.production import LADDER
from reviews.models import GateTick, LadderCard, LadderRules, RungMove
from reviews.reports.ladder_facts import rules_in_force
from usage.actions.workflows import save_workflow
from usage.models import Workflow

__all__ = [
    "CardWanted", "check_ladders", "check_now", "confirm", "decline", "edit_card", "end_override", "save_rules",
    "set_rung", "tick", "untick",
]  # fmt: skip

State, Kind = RungMove.State, RungMove.Kind


@dataclass(frozen=True, slots=True)
class CardWanted:
    """Who moves a workflow on both sides, by when, and what it waits for in words that the customer reads."""

    our_owner_id: UUID | None = None
    their_owner: str = ""
    next_gate_on: date | None = None
    remark: str = ""


def check_now(viewer: Viewer, account: Account, now: datetime) -> int:
    """Look at the account's workflows at once."""
    require(viewer, "ladder.edit")
    return look(viewer.organization_id, now, [account.pk])


def tick(viewer: Viewer, account: Account, workflow: Workflow, key: str, value: str, now: datetime) -> GateTick:
    """Confirm a gate that no data can tick, with a name or an amount to show beside it."""
    require(viewer, "ladder.edit")
    gate = GATES.get(key)
    if gate is None or gate.by != "person":
        raise ValidationError("Data tick this gate: it is checked every hour.")
    with transaction.atomic():
        rows = GateTick.objects.visible_to(viewer).filter(workflow=workflow, key=key, revoked_at=None)
        _revoke(rows, viewer, now)
        made = GateTick.objects.create(
            organization_id=viewer.organization_id, account=account, workflow=workflow, key=key,
            value=value.strip()[:100], by_id=viewer.user_id, at=now,
        )  # fmt: skip
        audit(viewer, "gate.confirmed", workflow, workflow.name, {"gate": gate.label, "value": made.value})
        look(viewer.organization_id, now, [account.pk])
    return made


def untick(viewer: Viewer, account: Account, workflow: Workflow, key: str, now: datetime) -> bool:
    """Take a confirmation back; the row stays as a record. Return whether there was one."""
    require(viewer, "ladder.edit")
    with transaction.atomic():
        rows = GateTick.objects.visible_to(viewer).filter(workflow=workflow, key=key, revoked_at=None)
        if not _revoke(rows, viewer, now):
            return False
        audit(viewer, "gate.taken_back", workflow, workflow.name, {"gate": GATES[key].label})
        look(viewer.organization_id, now, [account.pk])
    return True


def _revoke(rows: Any, viewer: Viewer, now: datetime) -> int:
    changed: int = rows.update(revoked_by_id=viewer.user_id, revoked_at=now)
    return changed


def edit_card(viewer: Viewer, account: Account, workflow: Workflow, wanted: CardWanted, now: datetime) -> None:
    """Say who moves the workflow on both sides, by when, and what it waits for."""
    require(viewer, "ladder.edit")
    with transaction.atomic():
        card, _ = LadderCard.objects.get_or_create(
            organization_id=viewer.organization_id, account=account, workflow=workflow
        )
        changes = {
            name: [str(getattr(card, name) or ""), str(getattr(wanted, name) or "")]
            for name in ("their_owner", "next_gate_on", "remark")
            if (getattr(card, name) or None) != (getattr(wanted, name) or None)
        }
        if card.our_owner_id != wanted.our_owner_id:
            changes["our_owner"] = ["", "changed"]
        card.our_owner_id, card.their_owner = wanted.our_owner_id, wanted.their_owner.strip()
        card.next_gate_on, card.remark = wanted.next_gate_on, wanted.remark.strip()
        card.save(update_fields=["our_owner", "their_owner", "next_gate_on", "remark"])
        if changes:
            audit(viewer, "ladder.changed", workflow, workflow.name, changes)
        look(viewer.organization_id, now, [account.pk])


def confirm(viewer: Viewer, account: Account, move: RungMove, now: datetime) -> None:
    """Take a proposed step: the workflow stands on the rung proposed. Raises ValidationError if it is decided."""
    require(viewer, "ladder.edit")
    with transaction.atomic():
        move = _open(viewer, account, move)
        workflow = _locked(viewer, account, move.workflow_id)
        if workflow.stage != move.from_stage:
            raise ValidationError("The workflow stands on another rung by now. Look at the board again.")
        _decide(viewer, move, State.CONFIRMED, "", now)
        _stand(viewer, account, workflow, move.to_stage)
        _audit_move(viewer, "rung.confirmed", workflow, move)
        tell_moves(viewer.organization_id, now, "rung.decided", [move.pk])
        look(viewer.organization_id, now, [account.pk])


def decline(viewer: Viewer, account: Account, move: RungMove, reason: str, now: datetime) -> None:
    """Leave the workflow where it is, and say why. The same step is proposed again after four weeks at the earliest.

    A step back that is declined stays in the history: the data said so.
    """
    require(viewer, "ladder.edit")
    if not reason.strip():
        raise ValidationError("Say why: it stays beside the proposal in the history.")
    with transaction.atomic():
        move = _open(viewer, account, move)
        _decide(viewer, move, State.DECLINED, reason.strip()[:300], now)
        workflow = _locked(viewer, account, move.workflow_id)
        # On the vendor's record alone: the customer never heard of the proposal.
        audit(viewer, "rung.declined", account, account.name, {"workflow": workflow.name, "to": move.to_stage})
        tell_moves(viewer.organization_id, now, "rung.decided", [move.pk])


def set_rung(
    viewer: Viewer,
    account: Account,
    workflow: Workflow,
    stage: str,
    reason: str,
    expires_on: date | None,
    now: datetime,
) -> RungMove:
    """Put a workflow on a rung against the gates, for a reason and at most 90 days; then the data propose again."""
    require(viewer, "ladder.edit")
    today = day_of(now, zone_of(account.timezone))
    _check_override(stage, reason, expires_on, today)
    with transaction.atomic():
        workflow = _locked(viewer, account, workflow.pk)
        if workflow.stage == stage:
            raise ValidationError("It stands on that rung already.")
        rows = RungMove.objects.visible_to(viewer).filter(workflow=workflow, state=State.PROPOSED)
        for proposed in rows.select_for_update(of=("self",)):
            withdrawn(proposed, "Somebody set the rung by hand.", now).save()
        move = RungMove.objects.create(
            organization_id=viewer.organization_id, account=account, workflow=workflow, kind=Kind.OVERRIDE,
            from_stage=workflow.stage, to_stage=stage, evidence=_evidence(viewer, workflow), happened_on=today,
            proposed_at=now, state=State.CONFIRMED, decided_by_id=viewer.user_id, decided_at=now,
            reason=reason.strip()[:300], expires_on=expires_on,
        )  # fmt: skip
        _stand(viewer, account, workflow, stage)
        _audit_move(viewer, "rung.overridden", workflow, move)
        tell_moves(viewer.organization_id, now, "rung.decided", [move.pk])
        look(viewer.organization_id, now, [account.pk])
    return move


def end_override(viewer: Viewer, account: Account, move: RungMove, now: datetime) -> None:
    """Let the data propose again from today on; the workflow stays where it is until somebody confirms a step."""
    require(viewer, "ladder.edit")
    today = day_of(now, zone_of(account.timezone))
    with transaction.atomic():
        rows = RungMove.objects.visible_to(viewer).filter(account=account, kind=Kind.OVERRIDE, expires_on__gt=today)
        held = rows.select_for_update(of=("self",)).filter(pk=move.pk).first()
        if held is None:
            raise ValidationError("It has ended already.")
        held.expires_on = today
        held.save(update_fields=["expires_on"])
        _audit_move(viewer, "rung.override_ended", _locked(viewer, account, held.workflow_id), held)
        look(viewer.organization_id, now, [account.pk])


def save_rules(viewer: Viewer, gates: Rules, note: str, now: datetime) -> LadderRules | None:
    """Put new entry criteria in force as the next version; None when nothing changed. Raises ValidationError."""
    require(viewer, "ladder.rules")
    try:
        read = read_rules(gates)
    except RulesError as error:
        raise ValidationError(str(error)) from error
    with transaction.atomic():
        number, present = rules_in_force(viewer.organization_id)
        if read == present:
            return None
        made = LadderRules.objects.create(
            organization_id=viewer.organization_id, number=number + 1, gates=read, note=note.strip()[:300],
            made_by_id=viewer.user_id, made_at=now,
        )  # fmt: skip
        audit(viewer, "ladder.rules_changed", made, f"Version {made.number}", {"note": made.note})
    return made


def _open(viewer: Viewer, account: Account, move: RungMove) -> RungMove:
    rows = RungMove.objects.visible_to(viewer).filter(account=account, state=State.PROPOSED)
    found: RungMove | None = rows.select_for_update(of=("self",)).filter(pk=move.pk).first()
    if found is None:
        raise ValidationError("Somebody has decided this proposal, or it no longer holds. Look at the board again.")
    return found


def _locked(viewer: Viewer, account: Account, workflow_id: UUID) -> Workflow:
    rows = Workflow.objects.visible_to(viewer).filter(account=account)
    found: Workflow = rows.select_for_update(of=("self",)).get(pk=workflow_id)
    return found


def _decide(viewer: Viewer, move: RungMove, state: str, reason: str, now: datetime) -> None:
    move.state, move.reason, move.decided_by_id, move.decided_at = State(state), reason, viewer.user_id, now
    move.save(update_fields=["state", "reason", "decided_by", "decided_at"])


def _stand(viewer: Viewer, account: Account, workflow: Workflow, stage: str) -> None:
    """Change the rung. What was known of holding and failing was about the one before."""
    workflow.stage = Workflow.Stage(stage)
    save_workflow(viewer, account, workflow)
    rows = LadderCard.objects.visible_to(viewer).filter(workflow=workflow)
    rows.update(holds_since=None, fails_since=None, next_gate_on=None)


def _evidence(viewer: Viewer, workflow: Workflow) -> list[dict[str, Any]]:
    card = LadderCard.objects.visible_to(viewer).filter(workflow=workflow).first()
    return [{name: value for name, value in row.items() if name != "calls"} for row in card.gates] if card else []


def _check_override(stage: str, reason: str, expires_on: date | None, today: date) -> None:
    if stage not in LADDER:
        raise ValidationError("Choose a rung.")
    if not reason.strip():
        raise ValidationError("Say why: a rung set by hand needs a reason.")
    if expires_on is None or not today < expires_on <= today + timedelta(days=OVERRIDE_DAYS):
        raise ValidationError(f"Say until when: a day after today, at most {OVERRIDE_DAYS} days on.")


def _audit_move(viewer: Viewer, action: str, workflow: Workflow, move: RungMove) -> None:
    details = {"from": move.from_stage, "to": move.to_stage, "kind": move.kind}
    more = {"until": str(move.expires_on)} if move.expires_on else {}
    audit(viewer, action, move, workflow.name, details | more)
