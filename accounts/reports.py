"""What the pages about people, keys and the audit log show."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from accounts.models import Account, ApiKey, AuditEvent, Invitation, Membership, Role, User
from consumption_cs.lib.tenancy import Viewer

_ORDER = {role: at for at, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Members:
    """People with a seat, highest role first, and the offers that nobody has taken up yet."""

    members: list[Membership]
    invitations: list[Invitation]


def members_of(viewer: Viewer, account: Account | None) -> Members:
    """Return the staff of the organization, or the people of one account."""
    seats = Membership.objects.visible_to(viewer).filter(account=account).select_related("user")
    offers = Invitation.objects.visible_to(viewer).filter(account=account, accepted_at=None, revoked_at=None)
    return Members(
        sorted(seats, key=lambda seat: (_ORDER[seat.role], str(seat.user).lower())),
        list(offers.select_related("invited_by").order_by("-created_at")),
    )


def keys_of(viewer: Viewer, account: Account | None, now: datetime) -> tuple[list[ApiKey], list[ApiKey]]:
    """Return the keys that work now and those that no longer do, newest first."""
    rows = list(
        ApiKey.objects.visible_to(viewer).filter(account=account).select_related("created_by").order_by("-created_at")
    )
    usable = [key for key in rows if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)]
    return usable, [key for key in rows if key not in usable]


def staff_of(viewer: Viewer) -> QuerySet[User]:
    """Return the people who may look after accounts: the organization's staff."""
    seats = Membership.objects.filter(organization_id=viewer.organization_id, account=None)
    return User.objects.filter(pk__in=seats.values("user_id")).order_by("name", "email")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; local days of `zone`, the last one included."""

    person: UUID | None = None
    action: str = ""
    first: date | None = None
    last: date | None = None
    zone: str = "UTC"


def audit_events(viewer: Viewer, account: Account | None, wanted: AuditFilter) -> QuerySet[AuditEvent]:
    """Return the audit rows that fit, newest first: all of the organization's, or those about one account."""
    rows = AuditEvent.objects.visible_to(viewer).select_related("actor", "account")
    if account:
        rows = rows.filter(Q(account=account) | Q(target_type="account", target_id=str(account.pk)))
    if wanted.person:
        rows = rows.filter(actor_id=wanted.person)
    if wanted.action:
        rows = rows.filter(action__startswith=wanted.action)
    zone = ZoneInfo(wanted.zone)
    if wanted.first:
        rows = rows.filter(created_at__gte=datetime.combine(wanted.first, time(), zone))
    if wanted.last:
        rows = rows.filter(created_at__lt=datetime.combine(wanted.last + timedelta(days=1), time(), zone))
    found: QuerySet[AuditEvent] = rows.order_by("-created_at", "-pk")
    return found


def audit_choices(viewer: Viewer, account: Account | None) -> dict[str, Any]:
    """Return the people and acts that occur, to filter by."""
    rows = audit_events(viewer, account, AuditFilter())
    people = rows.filter(actor__isnull=False).order_by("actor_name").values_list("actor_id", "actor_name").distinct()
    actions = rows.order_by("action").values_list("action", flat=True).distinct()
    return {"people": list(dict(people).items()), "actions": [(name, act_text(name)) for name in actions]}


def act_text(action: str) -> str:
    """Return "member.role_changed" as "Member role changed"."""
    return re.sub(r"[._]", " ", action).capitalize()
