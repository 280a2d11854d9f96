"""What the pages of people and keys say: each row with its state in words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from accounts.models import (
    PORTAL_ROLES,
    STAFF_ROLES,
    Account,
    ApiKey,
    Invitation,
    Membership,
    Organization,
    Role,
    Scope,
)
from consumption_cs.lib.tenancy import Viewer

ROLE_WORDS: dict[str, str] = {
    Role.ADMIN: "Everything: people, keys, meters, prices, settings.",
    Role.LEADER: "All accounts and the audit log; edits accounts, invites customers.",
    Role.CSM: "All accounts; edits them and their workflows, invites customers.",
    Role.FIELD_CTO: "The technical side: events, meters, keys, workflows.",
    Role.FINANCE: "Reads everything about money and sets prices.",
    Role.ANALYST: "Reads accounts, usage and prices; changes nothing.",
    Role.PORTAL_OWNER: "Sees usage and cost; manages people, keys and workflows.",
    Role.PORTAL_FINANCE: "Sees usage and cost, and who else has access.",
    Role.PORTAL_ENGINEER: "Sees events too; manages keys and workflows.",
    Role.PORTAL_VIEWER: "Sees usage and cost.",
}
ENDS_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A seat; `is_you` marks the reader's own, which they cannot change."""

    member: Membership
    is_you: bool


@dataclass(frozen=True, slots=True)
class InvitationLine:
    """An offer that nobody took yet."""

    invitation: Invitation
    is_expired: bool


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key with its state: `works` while it opens anything, `is_replaced` when another took its place.

    `sets_prices`: one with the scope `manage`, which only those replace who may hand it out.
    """

    key: ApiKey
    state: str
    tone: str
    until: datetime | None
    works: bool
    is_replaced: bool
    scopes: list[str]

    @property
    def sets_prices(self) -> bool:
        return Scope.MANAGE in self.key.scopes


def roles_of(account: Account | None) -> list[tuple[str, str, str]]:
    """Return (value, name, what it may do) of the roles of a customer's people, or of the staff."""
    return [(role.value, role.label, ROLE_WORDS[role]) for role in (PORTAL_ROLES if account else STAFF_ROLES)]


def member_lines(viewer: Viewer, account: Account | None) -> list[MemberLine]:
    """Return the seats of an account, or of the staff, the longest seated first."""
    rows = Membership.objects.visible_to(viewer).filter(account=account).select_related("user")
    return [MemberLine(member, member.user_id == viewer.user_id) for member in rows.order_by("created_at", "pk")]


def invitation_lines(viewer: Viewer, account: Account | None, now: datetime) -> list[InvitationLine]:
    """Return the invitations that were neither accepted nor taken back, the newest first."""
    rows = Invitation.objects.visible_to(viewer).filter(account=account, accepted_at=None, revoked_at=None)
    return [
        InvitationLine(invitation, invitation.expires_at <= now)
        for invitation in rows.select_related("invited_by").order_by("-created_at", "-pk")
    ]


def key_lines(viewer: Viewer, account: Account | None, now: datetime) -> list[KeyLine]:
    """Return the keys of an account, or of the organization itself: those that work first, then the newest."""
    rows = ApiKey.objects.visible_to(viewer).filter(account=account).select_related("created_by")
    keys = list(rows.order_by("-created_at", "-pk"))
    replaced = {key.replaces for key in keys if key.replaces}
    return sorted((_key_line(key, replaced, now) for key in keys), key=lambda line: not line.works)


def _key_line(key: ApiKey, replaced: set[UUID], now: datetime) -> KeyLine:
    is_replaced = key.pk in replaced
    state, tone, until, works = "Works", "good", None, True
    if key.revoked_at:
        state, tone, until, works = "Revoked", "", key.revoked_at, False
    elif key.expires_at and key.expires_at <= now:
        state, tone, until, works = "Replaced" if is_replaced else "Expired", "", key.expires_at, False
    elif is_replaced:
        state, tone, until = "Replaced, works until", "warn", key.expires_at
    elif key.expires_at:
        soon = key.expires_at <= now + ENDS_SOON
        state, tone, until = ("Ends soon" if soon else "Works until"), ("warn" if soon else "good"), key.expires_at
    return KeyLine(key, state, tone, until, works, is_replaced, [Scope(scope).label for scope in key.scopes])


def organization_ids() -> list[UUID]:
    """Return all organizations, in order: what jobs loop over, entering each in turn."""
    return list(Organization.objects.order_by("pk").values_list("pk", flat=True))
