"""Who looks after whose accounts while they are away."""

from datetime import date
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Role
from accounts.permissions import can, require
from consumption_cs.lib.tenancy import Viewer
from reviews.models import Cover
from usage.actions.accounts import staff_people

MOST_DAYS = 366


def add_cover(viewer: Viewer, absent: UUID, covered_by: UUID, starts_on: date, ends_on: date) -> Cover:
    """Have one colleague look after another's accounts on days [starts_on, ends_on). Raises ValidationError."""
    _may(viewer, absent)
    people = {person.pk: person for person in staff_people(viewer).filter(pk__in=[absent, covered_by])}
    if absent not in people or covered_by not in people:
        raise ValidationError("Choose two people of your team.")
    if absent == covered_by:
        raise ValidationError("Choose somebody else to cover.")
    if not 2000 <= starts_on.year <= 2098 or (ends_on - starts_on).days > MOST_DAYS:
        raise ValidationError("A cover lasts a year at most.")
    rows = Cover.objects.visible_to(viewer).filter(starts_on__lt=ends_on, ends_on__gt=starts_on)
    if rows.filter(absent=absent).exists():
        raise ValidationError(f"Somebody covers {people[absent]} on some of these days already.")
    if rows.filter(absent=covered_by).exists():
        raise ValidationError(f"{people[covered_by]} is away on some of these days.")
    cover = Cover(
        organization_id=viewer.organization_id,
        absent_id=absent,
        covered_by_id=covered_by,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    cover.full_clean(exclude=["organization", "absent", "covered_by", "created_at"])
    with transaction.atomic():
        cover.save()
        days = {"from": f"{starts_on}", "until": f"{ends_on}"}
        audit(viewer, "cover.added", cover, f"{people[covered_by]} for {people[absent]}", days)
    return cover


def end_cover(viewer: Viewer, cover: Cover, today: date) -> None:
    """End it today; one that has not begun is taken away."""
    _may(viewer, cover.absent_id)
    with transaction.atomic():
        audit(viewer, "cover.ended", cover, f"{cover.covered_by} for {cover.absent}")
        if cover.starts_on >= today:
            Cover.objects.visible_to(viewer).filter(pk=cover.pk).delete()
        elif cover.ends_on > today:
            cover.ends_on = today
            cover.save(update_fields=["ends_on"])


def may_cover_for(viewer: Viewer, absent: UUID) -> bool:
    """Return whether the viewer may say who covers for this person: themselves, or as a leader or admin anybody."""
    return can(viewer, "book.edit") and (absent == viewer.user_id or viewer.role in (Role.ADMIN, Role.LEADER))


def _may(viewer: Viewer, absent: UUID) -> None:
    require(viewer, "book.edit")
    if not may_cover_for(viewer, absent):
        raise PermissionDenied("You say who covers for you; leaders and admins say it for others.")
