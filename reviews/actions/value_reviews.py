"""Value reviews: drafted from the records, told in words, published once and for all, signed, commented, corrected."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.actions.audit import audit
from accounts.models import Account, User
from accounts.permissions import require
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.value_told import tell_commented, tell_corrected, tell_published, tell_signed
from reviews.calc.frozen import digest
from reviews.calc.narrative import SECTIONS, bind, problems
from reviews.models import (
    ReviewComment,
    ReviewCorrection,
    ReviewDraft,
    ReviewSignature,
    TimelineEntry,
    ValueReview,
)
from reviews.reports.value_review import Asked, find_figures
from reviews.reports.value_review_words import first_text

MOST_DAYS, MOST_SIGNERS = 400, 6
HIDEABLE = tuple(section for section in SECTIONS if section not in ("headline", "lead"))


def make_draft(
    viewer: Viewer,
    account: Account,
    starts_on: date,
    ends_on: date,
    now: datetime,
    compared_from: date | None = None,
    compared_to: date | None = None,
) -> ReviewDraft:
    """Return a draft of the local days [starts_on, ends_on) with all its figures and a first text.

    Compared with as many days just before, unless told otherwise. Raises ValidationError in words for days that have
    not ended, a period that is empty or longer than 400 days, and one that reaches into what it is compared with.
    """
    require(viewer, "review.edit")
    before_end = compared_to or starts_on
    before_start = compared_from or before_end - (ends_on - starts_on)
    _check_days(account, starts_on, ends_on, before_start, before_end, now)
    asked = Asked(viewer, account, starts_on, ends_on, before_start, before_end, now)
    figures = find_figures(asked)
    with transaction.atomic():
        draft = ReviewDraft.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            starts_on=starts_on,
            ends_on=ends_on,
            compared_from=before_start,
            compared_to=before_end,
            as_of=now,
            figures=figures,
            narrative=first_text(figures),
            signers=_signers_before(viewer, account),
            made_by_id=viewer.user_id,
            changed_at=now,
        )
        audit(viewer, "review.drafted", draft, f"{account.name}, {draft}")
    return draft


def _check_days(account: Account, start: date, end: date, before_start: date, before_end: date, now: datetime) -> None:
    today = day_of(now, zone_of(account.timezone))
    if end <= start:
        raise ValidationError("The period must end after it starts.")
    if end > today:
        raise ValidationError("The period has not ended yet: choose days up to yesterday.")
    if (end - start).days > MOST_DAYS:
        raise ValidationError(f"A review covers up to {MOST_DAYS} days: choose a shorter period.")
    if before_end <= before_start or before_end > start:
        raise ValidationError("Compare with a period that ends before this one begins.")


def _signers_before(viewer: Viewer, account: Account) -> list[dict[str, str]]:
    """Those who were asked last time are asked again."""
    last = ValueReview.objects.visible_to(viewer).filter(account=account).order_by("-number").first()
    return list(last.content.get("signers", [])) if last else []


def refresh_draft(viewer: Viewer, draft: ReviewDraft, now: datetime) -> list[str]:
    """Read all figures again as of now, keep the text, and return the names of the figures that changed."""
    require(viewer, "review.edit")
    with transaction.atomic():
        draft = _open_draft(viewer, draft)
        asked = Asked(
            viewer, draft.account, draft.starts_on, draft.ends_on, draft.compared_from, draft.compared_to, now
        )
        before, draft.figures = draft.figures.get("named", {}), find_figures(asked)
        draft.as_of = draft.changed_at = now
        draft.save(update_fields=["figures", "as_of", "changed_at"])
        audit(viewer, "review.refreshed", draft, f"{draft.account.name}, {draft}")
    after = draft.figures["named"]
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def edit_draft(
    viewer: Viewer,
    draft: ReviewDraft,
    narrative: Mapping[str, str],
    hidden: Sequence[str],
    signers: Sequence[Mapping[str, str]],
    now: datetime,
) -> ReviewDraft:
    """Keep the text, what is left out, and who is asked to sign.

    Raises ValidationError with a message for each section that uses an unknown figure or types one by hand.
    """
    require(viewer, "review.edit")
    with transaction.atomic():
        draft = _open_draft(viewer, draft)
        errors: dict[str, list[str]] = {}
        for section, text in narrative.items():
            if section not in SECTIONS:
                raise ValidationError(f"A review has no section “{section}”.")
            if found := problems(text, draft.figures["named"]):
                errors[section] = found
        if errors:
            raise ValidationError(errors)
        draft.narrative = {section: text.strip() for section, text in narrative.items() if text.strip()}
        draft.hidden = [section for section in hidden if section in HIDEABLE]
        draft.signers = _checked_signers(signers)
        draft.changed_at = now
        draft.save(update_fields=["narrative", "hidden", "signers", "changed_at"])
        audit(viewer, "review.edited", draft, f"{draft.account.name}, {draft}")
    return draft


def _checked_signers(signers: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    if len(signers) > MOST_SIGNERS:
        raise ValidationError(f"Ask at most {MOST_SIGNERS} people to sign.")
    found: dict[str, dict[str, str]] = {}
    for signer in signers:
        email = signer.get("email", "").strip().lower()
        validate_email(email)
        name = signer.get("name", "").strip()
        found[email] = {"name": name or email, "title": signer.get("title", "").strip()[:150], "email": email}
    return list(found.values())


def drop_draft(viewer: Viewer, draft: ReviewDraft, now: datetime) -> None:
    """End a draft that will not be published."""
    require(viewer, "review.edit")
    with transaction.atomic():
        draft = _open_draft(viewer, draft)
        draft.dropped_at = now
        draft.save(update_fields=["dropped_at"])
        audit(viewer, "review.dropped", draft, f"{draft.account.name}, {draft}")


def publish(viewer: Viewer, draft: ReviewDraft, now: datetime) -> ValueReview:
    """Freeze a draft as the account's next review and return it; publishing twice returns the same one.

    Raises ValidationError when a section's text names a figure that a refresh has taken away.
    """
    require(viewer, "review.edit")
    with transaction.atomic():
        # Reviews of one account are numbered one after the other.
        account = Account.objects.visible_to(viewer).select_for_update().get(pk=draft.account_id)
        draft = ReviewDraft.objects.visible_to(viewer).select_for_update().get(pk=draft.pk)
        if draft.published_id is not None:
            return ValueReview.objects.visible_to(viewer).get(pk=draft.published_id)
        if draft.dropped_at is not None:
            raise ValidationError("This draft was dropped. Make a new one.")
        before = ValueReview.objects.visible_to(viewer).filter(account=account).order_by("-number").first()
        number = before.number + 1 if before else 1
        content = _content(viewer, draft, number, before, now)
        review = ValueReview.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            number=number,
            starts_on=draft.starts_on,
            ends_on=draft.ends_on,
            as_of=draft.as_of,
            content=content,
            hash=digest(content),
            before=before,
            published_by_id=viewer.user_id,
            published_at=now,
        )
        TimelineEntry.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            kind=TimelineEntry.Kind.REVIEW,
            at=now,
            by_id=viewer.user_id,
            text=f"Value review {number}, {content['figures']['period']['label']}, was published.",
        )
        draft.published, draft.changed_at = review, now
        draft.save(update_fields=["published", "changed_at"])
        audit(viewer, "review.published", review, f"{account.name}, value review {number}", {"hash": review.hash})
        tell_published(viewer, review, now)
    return review


def _content(
    viewer: Viewer, draft: ReviewDraft, number: int, before: ValueReview | None, now: datetime
) -> dict[str, Any]:
    named = draft.figures["named"]
    errors = {section: problems(text, named) for section, text in draft.narrative.items()}
    if any(errors.values()):
        raise ValidationError({section: found for section, found in errors.items() if found})
    by = User.objects.filter(pk=viewer.user_id).first() if viewer.user_id else None
    return {
        "figures": draft.figures,
        "narrative": {section: bind(text, named) for section, text in draft.narrative.items()},
        "hidden": draft.hidden,
        "signers": draft.signers,
        "number": number,
        "before_number": before.number if before else None,
        "published_by": str(by.name or by.email) if by else "",
        "published_at": now.isoformat(),
    }


def is_intact(review: ValueReview) -> bool:
    """Say whether the content still has the hash it was published with."""
    return digest(review.content) == review.hash


def sign(viewer: Viewer, review: ValueReview, title: str, now: datetime) -> ReviewSignature:
    """Say for a person of the customer that they read the review and agree with its figures. Once for each person.

    Raises ValidationError for the vendor's people, and for a review whose content no longer has its hash.
    """
    require(viewer, "review.sign")
    if not viewer.is_portal or viewer.user_id is None:
        raise ValidationError("Only the customer signs off a review.")
    if not is_intact(review):
        raise ValidationError("This review does not match its hash, so it cannot be signed. Ask for a new one.")
    person = User.objects.get(pk=viewer.user_id)
    try:
        with transaction.atomic():
            signature = ReviewSignature.objects.create(
                organization_id=viewer.organization_id,
                account_id=review.account_id,
                review=review,
                by=person,
                name=person.name or person.email,
                title=title.strip()[:150] or _asked_title(review, person),
                hash=review.hash,
                at=now,
            )
            audit(viewer, "review.signed", review, f"Value review {review.number}", {"hash": review.hash})
            tell_signed(viewer, signature, now)
    except IntegrityError:
        return ReviewSignature.objects.visible_to(viewer).get(review=review, by=person)
    return signature


def _asked_title(review: ValueReview, person: User) -> str:
    asked = {signer["email"]: signer["title"] for signer in review.content.get("signers", [])}
    return str(asked.get(person.email.lower(), ""))


def comment(viewer: Viewer, review: ValueReview, kind: str, text: str, now: datetime) -> ReviewComment:
    """Add a comment of either side, or ask for a correction."""
    require(viewer, "review.comment")
    if viewer.user_id is None or not text.strip():
        raise ValidationError("Write what you want to say.")
    if kind not in ReviewComment.Kind.values:
        raise ValidationError("Choose whether this is a comment or asks for a correction.")
    if len(text) > 4000:
        raise ValidationError(f"This is {len(text):,} characters long. Keep it under 4,000.")
    with transaction.atomic():
        said = ReviewComment.objects.create(
            organization_id=viewer.organization_id,
            account_id=review.account_id,
            review=review,
            kind=kind,
            text=text.strip(),
            by_id=viewer.user_id,
            at=now,
        )
        audit(viewer, "review.commented", review, f"Value review {review.number}", {"kind": kind})
        tell_commented(viewer, said, now)
    return said


def correct(viewer: Viewer, review: ValueReview, text: str, now: datetime) -> ReviewCorrection:
    """Add a numbered note of the vendor above a review. The review itself stays as it was published."""
    require(viewer, "review.edit")
    if not text.strip():
        raise ValidationError("Say what was wrong and what is right.")
    with transaction.atomic():
        # Notes of one review are numbered one after the other.
        Account.objects.visible_to(viewer).select_for_update().get(pk=review.account_id)
        count = ReviewCorrection.objects.visible_to(viewer).filter(review=review).count()
        note = ReviewCorrection.objects.create(
            organization_id=viewer.organization_id,
            account_id=review.account_id,
            review=review,
            number=count + 1,
            text=text.strip(),
            by_id=viewer.user_id,
            at=now,
        )
        audit(viewer, "review.corrected", review, f"Value review {review.number}", {"number": note.number})
        tell_corrected(viewer, note, now)
    return note


def _open_draft(viewer: Viewer, draft: ReviewDraft) -> ReviewDraft:
    """Return the draft, locked. Raises ValidationError when it has ended."""
    found: ReviewDraft = (
        ReviewDraft.objects.visible_to(viewer)
        .select_for_update(of=("self",))
        .select_related("account")
        .get(pk=draft.pk)
    )
    if found.published_id is not None:
        raise ValidationError("This draft was published. Make a new one for other figures.")
    if found.dropped_at is not None:
        raise ValidationError("This draft was dropped. Make a new one.")
    return found
