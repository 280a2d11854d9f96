"""Who published, signed and said what about a value review: what is live beside its frozen content."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account, Membership, User
from accounts.permissions import CAPABILITIES
from consumption_cs.lib.tenancy import Viewer
from reviews.models import ReviewComment, ReviewCorrection, ReviewSignature, ValueReview


@dataclass(frozen=True, slots=True)
class Signer:
    """One who was asked to sign, or did without being asked. `at` None: not yet."""

    name: str
    title: str
    at: datetime | None
    is_you: bool


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside a review. `pill` is its state in words with a tone."""

    signers: Sequence[Signer]
    comments: Sequence[ReviewComment]
    corrections: Sequence[ReviewCorrection]
    has_signed: bool
    pill: tuple[str, str]
    can_sign: Sequence[str]  # names of those who may

    @property
    def signed(self) -> int:
        return sum(signer.at is not None for signer in self.signers)


def beside(viewer: Viewer, review: ValueReview) -> Beside:
    """Return the signatures, comments and corrections of a review. Five queries."""
    signatures = list(ReviewSignature.objects.visible_to(viewer).filter(review=review).order_by("at", "pk"))
    said = ReviewComment.objects.visible_to(viewer).filter(review=review).select_related("by").order_by("at", "pk")
    notes = ReviewCorrection.objects.visible_to(viewer).filter(review=review).order_by("number")
    you = User.objects.filter(pk=viewer.user_id).first() if viewer.user_id else None
    signers = _signers(review, signatures, you)
    corrections = list(notes)
    waiting = [signer for signer in signers if signer.at is None]
    return Beside(
        signers=signers,
        comments=list(said),
        corrections=corrections,
        has_signed=any(one.by_id == viewer.user_id for one in signatures),
        pill=_pill(viewer, signatures, waiting, bool(corrections)),
        can_sign=able_to_sign(viewer, review.account),
    )


def _signers(review: ValueReview, signatures: Sequence[ReviewSignature], you: User | None) -> list[Signer]:
    emails = dict(User.objects.filter(pk__in=[one.by_id for one in signatures]).values_list("pk", "email"))
    at = {emails[one.by_id].lower(): one for one in signatures}
    mine = you.email.lower() if you else ""
    found = []
    for asked in review.content.get("signers", []):
        done = at.pop(asked["email"], None)
        title = done.title if done and done.title else asked["title"]  # as they signed, else as they were asked
        found.append(Signer(asked["name"], title, done.at if done else None, asked["email"] == mine))
    return [*found, *(Signer(one.name, one.title, one.at, email == mine) for email, one in at.items())]


def _pill(
    viewer: Viewer, signatures: Sequence[ReviewSignature], waiting: Sequence[Signer], is_corrected: bool
) -> tuple[str, str]:
    if any(signer.is_you for signer in waiting):
        return "Waiting for your sign-off", "warn"
    if waiting:
        return f"Waiting for {waiting[0].name}", "warn"
    if signatures:
        return ("Signed, corrected since" if is_corrected else "Signed"), "good"
    return ("Corrected", "warn") if is_corrected else ("Not signed yet", "info")


def able_to_sign(viewer: Viewer, account: Account) -> list[str]:
    """Return the names of the customer's people who may sign off, sorted."""
    able = [role for role, capabilities in CAPABILITIES.items() if "review.sign" in capabilities]
    rows = Membership.objects.visible_to(viewer).filter(account=account, role__in=able).select_related("user")
    return sorted(str(row.user.name or row.user.email) for row in rows)
