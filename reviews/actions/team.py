"""What an organization asks of its team, and the hours that people have."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer
from reviews.models import BookTerms, StaffHours
from usage.actions.accounts import staff_people


@dataclass(frozen=True, slots=True)
class Terms:
    """Hours a week by tier and by open play, days, and targets of retention in percent."""

    tier_hours: Mapping[str, Decimal]
    play_hours: Decimal
    review_days: int
    approval_days: int
    onboarding_days: int
    gross_target: Decimal
    net_target: Decimal


def save_terms(viewer: Viewer, asked: Terms) -> BookTerms:
    """Keep what is asked of the team; the whole book goes by it from now on. Needs recipe.edit."""
    require(viewer, "recipe.edit")
    with transaction.atomic():
        terms, _ = BookTerms.objects.visible_to(viewer).get_or_create(organization_id=viewer.organization_id)
        before = _told(terms)
        terms.tier_hours = {tier: f"{hours}" for tier, hours in asked.tier_hours.items()}
        for name in ("play_hours", "review_days", "approval_days", "onboarding_days", "gross_target", "net_target"):
            setattr(terms, name, getattr(asked, name))
        terms.save()
        audit(viewer, "book_terms.changed", terms, "Terms of the book", {"before": before, "after": _told(terms)})
    return terms


def save_hours(viewer: Viewer, user_id: UUID, hours: Decimal | None) -> None:
    """Keep the hours a week that a person has for accounts; None: not known.

    Raises ValidationError, and User.DoesNotExist for who is not of the team.
    """
    require(viewer, "recipe.edit")
    person = staff_people(viewer).get(pk=user_id)
    if hours is not None and not 0 <= hours <= 80:
        raise ValidationError("Hours a week are 0 to 80.")
    with transaction.atomic():
        rows = StaffHours.objects.visible_to(viewer).filter(user=person)
        if hours is None:
            rows.delete()
        elif not rows.update(hours_a_week=hours):
            StaffHours.objects.create(organization_id=viewer.organization_id, user=person, hours_a_week=hours)
        audit(
            viewer,
            "staff_hours.changed",
            person,
            str(person),
            {"hours a week": f"{hours}" if hours is not None else ""},
        )


def _told(terms: BookTerms) -> dict[str, str]:
    """What of the terms goes into the audit log."""
    tiers = ", ".join(f"{tier} {hours} h" for tier, hours in sorted(terms.tier_hours.items()))
    return {
        "tiers": tiers, "play": f"{terms.play_hours} h", "review": f"{terms.review_days} days",
        "approval": f"{terms.approval_days} days", "onboarding": f"{terms.onboarding_days} days",
        "gross": f"{terms.gross_target}%", "net": f"{terms.net_target}%",
    }  # fmt: skip
