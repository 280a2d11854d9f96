"""Cost-tuning proposals: made from what the data shows or by hand, shared, accepted, done on a day, or declined."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account
from accounts.permissions import require
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.models import CostProposal
from reviews.reports.savings import account_suggestions
from reviews.reports.savings_words import words_of
from usage.models import Workflow

State = CostProposal.State
OLDEST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody proposes by hand; the saving is in the account's currency and above zero."""

    title: str
    saving_a_month: Decimal
    effort: str
    workflow: Workflow | None = None
    detail: str = ""
    trade_off: str = ""


def propose_found(viewer: Viewer, account: Account, kind: str, workflow: str, now: datetime) -> CostProposal | None:
    """Make a proposal of what the data shows now, with its evidence; None when it no longer shows it."""
    require(viewer, "book.edit")
    found = next(
        (one for one in account_suggestions(viewer, account, now) if (one.kind, one.workflow) == (kind, workflow)),
        None,
    )
    if found is None:
        return None
    words = words_of(found)
    proposal = CostProposal(
        organization_id=viewer.organization_id,
        account=account,
        workflow_id=UUID(found.workflow),
        title=words.title[:200],
        detail=words.detail,
        saving_a_month=round_to(found.saving_a_month, exponent(account.currency)),
        currency=account.currency,
        effort=found.effort,
        trade_off=words.trade_off,
        evidence={"kind": found.kind, **found.facts},
        created_by_id=viewer.user_id,
        created_at=now,
    )
    with transaction.atomic():
        proposal.save(force_insert=True)
        _audit(viewer, "proposed", proposal, {"saving_a_month": str(proposal.saving_a_month), "from": found.kind})
    return proposal


def add_proposal(viewer: Viewer, account: Account, wanted: Wanted, now: datetime) -> CostProposal:
    """Add a proposal by hand."""
    require(viewer, "book.edit")
    proposal = CostProposal(
        organization_id=viewer.organization_id, account=account, currency=account.currency,
        created_by_id=viewer.user_id, created_at=now, evidence={},
    )  # fmt: skip
    _fill(proposal, wanted)
    with transaction.atomic():
        proposal.save(force_insert=True)
        _audit(viewer, "proposed", proposal, {"saving_a_month": str(proposal.saving_a_month)})
    return proposal


def edit_proposal(viewer: Viewer, proposal: CostProposal, wanted: Wanted) -> None:
    """Change what a proposal says; its evidence and its state stay."""
    require(viewer, "book.edit")
    _fill(proposal, wanted)
    with transaction.atomic():
        proposal.save()
        _audit(viewer, "changed", proposal, {"saving_a_month": str(proposal.saving_a_month)})


def set_state(viewer: Viewer, proposal: CostProposal, state: str, now: datetime, done_on: date | None = None) -> None:
    """Accept, decline, finish or open again. Done needs the day from which the change works: today or before.

    Raises ValidationError with words for a day to come, or one longer ago than 400 days.
    """
    require(viewer, "book.edit")
    today = day_of(now, zone_of(proposal.account.timezone))
    if state == State.DONE:
        if done_on is None:
            raise ValidationError("Say on which day the change began to work.")
        if done_on > today:
            raise ValidationError("The change works from today or an earlier day; enter it once it does.")
        if (today - done_on).days > OLDEST_DAYS:
            raise ValidationError(f"The day lies more than {OLDEST_DAYS} days back: nothing is compared so far back.")
    proposal.state = State(state)
    proposal.done_on = done_on if state == State.DONE else None
    with transaction.atomic():
        proposal.save(update_fields=["state", "done_on"])
        _audit(viewer, proposal.state, proposal, {"done_on": str(done_on)} if proposal.done_on else {})


def share(viewer: Viewer, proposal: CostProposal, is_shared: bool) -> None:
    """Show a proposal to the customer, or no longer."""
    require(viewer, "book.edit")
    proposal.is_shared = is_shared
    with transaction.atomic():
        proposal.save(update_fields=["is_shared"])
        _audit(viewer, "shared" if is_shared else "unshared", proposal, {}, is_shared=True)


def _fill(proposal: CostProposal, wanted: Wanted) -> None:
    proposal.title, proposal.detail, proposal.trade_off = wanted.title, wanted.detail, wanted.trade_off
    proposal.saving_a_month = round_to(wanted.saving_a_month, exponent(proposal.currency))
    if proposal.saving_a_month <= 0:
        raise ValidationError("Say how much it saves a month, above zero.")
    proposal.effort, proposal.workflow = wanted.effort, wanted.workflow


def _audit(
    viewer: Viewer, verb: str, proposal: CostProposal, details: dict[str, object], *, is_shared: bool | None = None
) -> None:
    """Acts on shared proposals are in the customer's audit log; those on others on the vendor's record alone."""
    shown = proposal.is_shared if is_shared is None else is_shared
    target = proposal if shown else proposal.account
    more = details if shown else {**details, "title": proposal.title}
    audit(viewer, f"proposal.{verb}", target, proposal.title if shown else proposal.account.name, more)
