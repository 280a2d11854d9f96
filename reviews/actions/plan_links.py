"""Secret addresses of a plan: made with an end and perhaps a passcode, opened by whoever holds them, ended."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F

from accounts.actions.audit import audit
from accounts.credentials import hash_secret
from accounts.models import Role
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer, enter, present
from reviews.models import AdoptionPlan, PlanLink

MOST_DAYS, MOST_FAILURES = 90, 10
LEAST_PASSCODE = 6


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that counts, and the viewer it shows the plan to: one who sees what the customer sees, and no more."""

    link: PlanLink
    viewer: Viewer


def make_link(viewer: Viewer, plan: AdoptionPlan, days: int, passcode: str, now: datetime) -> tuple[PlanLink, str]:
    """Return a new link and its token, which is never shown again.

    Raises ValidationError for more than 90 days and a passcode under six characters.
    """
    require(viewer, "plan.edit")
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError({"days": f"A link counts for 1 to {MOST_DAYS} days."})
    if passcode and len(passcode) < LEAST_PASSCODE:
        raise ValidationError({"passcode": f"A passcode has {LEAST_PASSCODE} characters or more."})
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        link = PlanLink.objects.create(
            organization_id=plan.organization_id, account_id=plan.account_id, plan=plan,
            token_hash=hash_secret(token), passcode=make_password(passcode) if passcode else "",
            expires_at=now + timedelta(days=days), made_by_id=viewer.user_id,
        )  # fmt: skip
        audit(viewer, "plan.link_made", link, plan.title, {"days": days, "passcode": bool(passcode)})
    return link, token


def end_link(viewer: Viewer, link: PlanLink, now: datetime) -> None:
    """End the address at once."""
    require(viewer, "plan.edit")
    with transaction.atomic():
        link.revoked_at = now
        link.save(update_fields=["revoked_at"])
        audit(viewer, "plan.link_ended", link, link.plan.title)


def open_link(token: str, now: datetime) -> Opened | None:
    """Return what the token opens, entering the customer's view; None for one that does not count.

    To be called inside a transaction. It counts until it expires, is ended, or ten wrong passcodes in a row.
    """
    present(token_hash=hash_secret(token))
    link = PlanLink.objects.filter(token_hash=hash_secret(token), revoked_at=None, expires_at__gt=now).first()
    if link is None or link.failures >= MOST_FAILURES:
        return None
    viewer = Viewer(link.organization_id, link.account_id, Role.PORTAL_VIEWER)
    enter(viewer)
    return Opened(link, viewer)


def try_passcode(link: PlanLink, passcode: str) -> bool:
    """Say whether the passcode is right. A wrong one counts against the link, a right one begins the count anew."""
    enter(Viewer(link.organization_id))
    rows = PlanLink.objects.filter(organization_id=link.organization_id, pk=link.pk)
    locked = rows.select_for_update().get()
    is_right = locked.failures < MOST_FAILURES and check_password(passcode, locked.passcode)
    rows.update(failures=0 if is_right else F("failures") + 1)
    return is_right


def note_opened(link: PlanLink, now: datetime) -> None:
    """Count that the plan was read through the link."""
    enter(Viewer(link.organization_id))
    PlanLink.objects.filter(organization_id=link.organization_id, pk=link.pk).update(
        opened=F("opened") + 1, last_opened_at=now
    )
