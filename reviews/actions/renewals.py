"""What people say of renewals, and why accounts spend less: each with who said it; the latter approved by another."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.core.exceptions import ValidationError

from accounts.actions.audit import audit
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from reviews.models import LossEvidence, RenewalCall


def give_opinion(
    viewer: Viewer,
    account: Account,
    term_ends_on: date,
    opinion: str,
    reason: str,
    now: datetime,
    *,
    is_final: bool = False,
    automated: str = "",
) -> RenewalCall:
    """Add an opinion on a term; the last counts, and a final one settles it. Raises ValidationError."""
    if opinion not in RenewalCall.Opinion.values:
        raise ValidationError("Choose grow, flat or at risk.")
    if is_final and not reason.strip():
        raise ValidationError("A final call needs its reason.")
    call = RenewalCall.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        term_ends_on=term_ends_on,
        opinion=opinion,
        is_final=is_final,
        reason=reason.strip()[:2000],
        automated=automated,
        by_id=viewer.user_id,
        at=now,
    )
    audit(viewer, "renewal.called", call, account.name, {"opinion": call.get_opinion_display(), "final": is_final})
    return call


def add_evidence(
    viewer: Viewer,
    account: Account,
    kind: str,
    starts_on: date,
    ends_on: date | None,
    amount_a_month: Decimal | None,
    note: str,
) -> LossEvidence:
    """Write down why an account spends less. It counts once somebody else approves it. Raises ValidationError."""
    made = LossEvidence(
        organization_id=viewer.organization_id,
        account=account,
        kind=kind,
        starts_on=starts_on,
        ends_on=ends_on,
        amount_a_month=amount_a_month,
        currency=account.currency,
        note=note.strip(),
        entered_by_id=viewer.user_id,
    )
    made.full_clean(exclude=["organization", "account", "entered_by", "approved_by", "approved_at"])
    made.save()
    audit(viewer, "evidence.added", made, account.name, {"kind": made.get_kind_display(), "note": made.note})
    return made


def approve_evidence(viewer: Viewer, evidence_id: UUID, now: datetime) -> LossEvidence:
    """Let it count; nobody approves their own. Raises ValidationError, LossEvidence.DoesNotExist."""
    row = LossEvidence.objects.visible_to(viewer).select_for_update(of=("self",)).get(pk=evidence_id)
    if row.approved_at is not None:
        return row
    if row.entered_by_id == viewer.user_id:
        raise ValidationError("Somebody else must approve what you entered.")
    row.approved_at, row.approved_by_id = now, viewer.user_id
    row.save(update_fields=["approved_at", "approved_by"])
    account = Account.objects.visible_to(viewer).get(pk=row.account_id)
    audit(viewer, "evidence.approved", row, account.name, {"kind": row.get_kind_display()})
    return row


def withdraw_evidence(viewer: Viewer, evidence_id: UUID) -> None:
    """Take back what is not approved yet. Raises ValidationError, LossEvidence.DoesNotExist."""
    row = LossEvidence.objects.visible_to(viewer).select_for_update(of=("self",)).get(pk=evidence_id)
    if row.approved_at is not None:
        raise ValidationError("It is approved: write down what speaks against it instead.")
    audit(viewer, "evidence.withdrawn", row, str(row.account_id), {"kind": row.get_kind_display(), "note": row.note})
    row.delete()
