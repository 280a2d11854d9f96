"""What an outcome is and what one is worth: proposed by either side, confirmed or declined by the customer."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.permissions import require
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.value_told import tell_answered, tell_proposed
from reviews.models import OutcomeAnswer, OutcomeTerms
from usage.models import Workflow

Answer = OutcomeAnswer.Answer
MOST_LAG = 180
_MOST_VALUE = Decimal(10) ** 9
_MORE_PLACES = 4  # one outcome may be worth less than a cent


@dataclass(frozen=True, slots=True)
class Proposal:
    """What counts as an outcome, after how many days it is known, and what one is worth (None: no claim)."""

    definition: str
    lag_days: int
    value_each: Decimal | None
    basis: str = ""


def propose(viewer: Viewer, workflow: Workflow, wanted: Proposal, now: datetime) -> OutcomeTerms:
    """Ask the customer to confirm what an outcome of `workflow` is and is worth. Nothing counts before they do.

    Raises ValidationError in words for an empty definition, a value that is not above zero, and a lag out of range.
    """
    require(viewer, "outcome.propose")
    return _propose(viewer, workflow, wanted, now)


def _propose(viewer: Viewer, workflow: Workflow, wanted: Proposal, now: datetime) -> OutcomeTerms:
    _check(wanted)
    currency, each = workflow.account.currency, wanted.value_each
    with transaction.atomic():
        terms = OutcomeTerms.objects.create(
            organization_id=workflow.organization_id,
            account_id=workflow.account_id,
            workflow=workflow,
            definition=wanted.definition.strip(),
            lag_days=wanted.lag_days,
            value_each=None if each is None else round_to(each, exponent(currency) + _MORE_PLACES),
            currency=currency,
            basis=wanted.basis.strip(),
            proposed_by_id=viewer.user_id,
            proposed_at=now,
        )
        audit(viewer, "outcome.proposed", terms, workflow.name, {"value": str(terms.value_each or "")})
        tell_proposed(viewer, terms, now)
    return terms


def _check(wanted: Proposal) -> None:
    if not wanted.definition.strip():
        raise ValidationError({"definition": "Say what counts as an outcome."})
    if not 0 <= wanted.lag_days <= MOST_LAG:
        raise ValidationError({"lag_days": f"An outcome is known after 0 to {MOST_LAG} days."})
    each = wanted.value_each
    if each is not None and not (each.is_finite() and 0 < each < _MOST_VALUE):
        raise ValidationError({"value_each": "The value of an outcome is above zero."})


def answer(
    viewer: Viewer, terms: OutcomeTerms, said: str, now: datetime, *, title: str = "", note: str = ""
) -> OutcomeAnswer:
    """Confirm or decline a proposal for the customer. A later answer counts from then on; earlier ones are kept.

    Raises ValidationError for a declined one without a reason, PermissionDenied for the vendor's people.
    """
    require(viewer, "outcome.confirm")
    if not viewer.is_portal or viewer.user_id is None:
        raise PermissionDenied("Only the customer confirms what an outcome is worth.")
    if said not in Answer.values:
        raise ValidationError("Confirm the value or decline it.")
    if said == Answer.DECLINED and not note.strip():
        raise ValidationError({"note": "Say what is wrong with it, or propose another value."})
    with transaction.atomic():
        given = OutcomeAnswer.objects.create(
            organization_id=terms.organization_id,
            account_id=terms.account_id,
            terms=terms,
            answer=said,
            by_id=viewer.user_id,
            by_title=title.strip()[:100],
            at=now,
            note=note.strip(),
        )
        audit(viewer, f"outcome.{said}", terms, terms.workflow.name, {"value": str(terms.value_each or "")})
        tell_answered(viewer, given, now)
    return given


def propose_another(
    viewer: Viewer, workflow: Workflow, wanted: Proposal, now: datetime, *, title: str = ""
) -> OutcomeTerms:
    """Let the customer say itself what an outcome is worth: it is confirmed at once."""
    require(viewer, "outcome.confirm")
    with transaction.atomic():
        terms = _propose(viewer, workflow, wanted, now)
        answer(viewer, terms, Answer.CONFIRMED, now, title=title)
    return terms
