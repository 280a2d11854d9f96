"""What becomes of outcomes and value reviews is told to the vendor's destinations: in the transaction of the act.

It is told whoever acts, the customer included; destinations of the customer never hear of it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from budgets.actions.outbox import site_url
from consumption_cs.lib.display import unit_price_text
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.telling import Happened, tell_events, vendors_rights
from reviews.models import OutcomeAnswer, OutcomeTerms, ReviewComment, ReviewCorrection, ReviewSignature, ValueReview

_ANSWERED = {OutcomeAnswer.Answer.CONFIRMED: "is confirmed", OutcomeAnswer.Answer.DECLINED: "is declined"}


def tell_proposed(viewer: Viewer, terms: OutcomeTerms, now: datetime) -> None:
    """`outcome.proposed`: somebody said what one outcome of a workflow is worth. No amount is null."""
    data = _of_terms(terms) | {"proposed_by": _email(terms.proposed_by_id)}
    heading = f"{terms.workflow.name}: {_worth(terms)} is proposed"
    one = Happened(
        "outcome.proposed", terms.workflow.account, str(terms.pk), data, heading, terms.definition, data["url"]
    )
    _tell(viewer, now, one)


def tell_answered(viewer: Viewer, answer: OutcomeAnswer, now: datetime) -> None:
    """`outcome.confirmed` or `outcome.declined`: the customer answered a proposal."""
    terms = answer.terms
    data = _of_terms(terms) | {"answered_by": _email(answer.by_id), "title": answer.by_title, "note": answer.note}
    heading = f"{terms.workflow.name}: {_worth(terms)} {_ANSWERED[OutcomeAnswer.Answer(answer.answer)]}"
    account, topic = terms.workflow.account, f"outcome.{answer.answer}"
    _tell(viewer, now, Happened(topic, account, str(answer.pk), data, heading, answer.note, data["url"]))


def tell_published(viewer: Viewer, review: ValueReview, now: datetime) -> None:
    """`review.published`: a value review is frozen."""
    data = {"starts_on": review.starts_on.isoformat(), "ends_on": review.ends_on.isoformat()}
    _of_review(viewer, now, "review.published", review, str(review.pk), data, "is published")


def tell_signed(viewer: Viewer, signature: ReviewSignature, now: datetime) -> None:
    """`review.signed`: one of the customer's people signed it off."""
    data = {"name": signature.name, "title": signature.title, "signed_by": _email(signature.by_id)}
    said = f"is signed off by {', '.join(filter(None, [signature.name, signature.title]))}"
    _of_review(viewer, now, "review.signed", signature.review, str(signature.pk), data, said)


def tell_commented(viewer: Viewer, comment: ReviewComment, now: datetime) -> None:
    """`review.commented`, or `review.correction_asked` where a correction is asked for; of either side."""
    is_request = comment.kind == ReviewComment.Kind.REQUEST
    topic = "review.correction_asked" if is_request else "review.commented"
    said = "is asked to be corrected" if is_request else "has a comment"
    data = {"comment_id": str(comment.pk), "commented_by": _email(comment.by_id), "by_customer": viewer.is_portal}
    _of_review(viewer, now, topic, comment.review, str(comment.pk), data | {"text": comment.text}, said)


def tell_corrected(viewer: Viewer, note: ReviewCorrection, now: datetime) -> None:
    """`review.corrected`: a numbered note stands above the review."""
    data = {"correction": note.number, "text": note.text}
    _of_review(viewer, now, "review.corrected", note.review, str(note.pk), data, f"has correction {note.number}")


def _of_terms(terms: OutcomeTerms) -> dict[str, Any]:
    return {
        "proposal_id": str(terms.pk),
        "workflow_id": str(terms.workflow_id),
        "workflow": terms.workflow.name,
        "definition": terms.definition,
        "lag_days": terms.lag_days,
        "value_each": f"{terms.value_each:f}" if terms.value_each is not None else None,
        "currency": terms.currency,
        "url": site_url("reviews:outcome_terms", terms.account_id, terms.workflow_id),
    }


def _of_review(
    viewer: Viewer, now: datetime, topic: str, review: ValueReview, key: str, data: dict[str, Any], said: str
) -> None:
    base: dict[str, Any] = {
        "id": str(review.pk),
        "number": review.number,
        "hash": review.hash,
        "url": site_url("reviews:value_review", review.account_id, review.pk),
    }
    heading = f"Value review {review.number} {said}"
    text = str(data.get("text", ""))
    _tell(viewer, now, Happened(topic, review.account, key, base | data, heading, text, base["url"]))


def _tell(viewer: Viewer, now: datetime, one: Happened) -> None:
    with vendors_rights(viewer):
        tell_events(viewer.organization_id, now, [one])


def _worth(terms: OutcomeTerms) -> str:
    one = f"one {terms.workflow.outcome_unit}"
    return one if terms.value_each is None else f"{one} at {unit_price_text(terms.value_each, terms.currency)}"


def _email(user_id: UUID | None) -> str | None:
    return User.objects.filter(pk=user_id).values_list("email", flat=True).first() if user_id else None
