"""Who is who at an account: contacts with their last visit, gaps where a role has nobody, who is away and covered."""

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from accounts.models import Account, Membership
from consumption_cs.lib.display import ago_text
from consumption_cs.lib.tenancy import Viewer
from reviews.models import Contact, Cover

Role = Contact.Role
_ORDER = (Role.CHAMPION, Role.EXECUTIVE, Role.BUYER, Role.ENGINEER, Role.USER)
_NEEDED = {
    Role.CHAMPION: ("champion", "Nobody speaks for you inside: ask who would miss you."),
    Role.EXECUTIVE: ("executive", "None known: ask your champion for an introduction."),
    Role.BUYER: ("budget holder", "Nobody known who approves the next commit."),
}
QUIET_DAYS = 30
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


@dataclass(frozen=True, slots=True)
class PersonShown:
    """Somebody at the customer. `seen`: their last visit in words; `tone` of their pill."""

    contact: Contact
    seen: str
    portal_role: str = ""
    is_quiet: bool = False

    @property
    def pill(self) -> tuple[str, str]:
        """The words and tone of the sign beside the name."""
        label = {Role.EXECUTIVE: "Executive", Role.BUYER: "Budget"}.get(
            Role(self.contact.role), self.contact.get_role_display()
        )
        if self.contact.left_on:
            return "Left", "bad" if self.contact.role == Role.CHAMPION else ""
        if self.is_quiet and self.contact.role in _NEEDED:
            return f"{label}, quiet", "warn"
        return label, "good" if self.contact.role == Role.CHAMPION else ""


@dataclass(frozen=True, slots=True)
class People:
    """The card: its heading, who is there, which roles nobody has, portal members nobody wrote down, who left."""

    heading: str
    there: list[PersonShown] = field(default_factory=list)
    missing: list[tuple[str, str, str]] = field(default_factory=list)  # role, its name, what to do
    members: list[Membership] = field(default_factory=list)
    left: list[PersonShown] = field(default_factory=list)


def people(viewer: Viewer, account: Account, now: datetime) -> People:
    """Return who is who. Two queries. Internal: nothing for customers."""
    if viewer.is_portal:
        return People("")
    contacts = Contact.objects.visible_to(viewer).filter(account=account).order_by("name", "pk")
    rows = Membership.objects.visible_to(viewer).filter(account=account, user__is_active=True)
    seats = {seat.user_id: seat for seat in rows.select_related("user").order_by("user__name", "user__email")}
    shown = [_shown(contact, seats.get(contact.user_id), now) for contact in contacts]
    shown.sort(key=lambda one: _ORDER.index(Role(one.contact.role)))
    there = [one for one in shown if not one.contact.left_on]
    roles = {one.contact.role for one in there}
    missing = [(role.value, role.label, words) for role, (_, words) in _NEEDED.items() if role not in roles]
    known = {one.contact.user_id for one in shown}
    others = [seat for user, seat in seats.items() if user not in known]
    return People(_heading(there), there, missing, others, [one for one in shown if one.contact.left_on])


def _shown(contact: Contact, seat: Membership | None, now: datetime) -> PersonShown:
    if contact.left_on:
        return PersonShown(contact, f"left {contact.left_on:%b} {contact.left_on.day}, {contact.left_on.year}")
    if seat is None:
        return PersonShown(contact, "not in the portal")
    seen = seat.last_seen_at
    words = ago_text(seen, now) if seen else "never signed in"
    is_quiet = seen is None or (now - seen).days >= QUIET_DAYS
    return PersonShown(contact, words, seat.get_role_display(), is_quiet)


def _heading(there: list[PersonShown]) -> str:
    """One sentence: "One champion, no executive"."""
    counts = {role: sum(one.contact.role == role for one in there) for role in _NEEDED}
    if not there:
        return "Nobody is known yet"
    parts = []
    for role in (Role.CHAMPION, Role.EXECUTIVE):
        noun, count = _NEEDED[role][0], counts[role]
        number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
        parts.append(f"{number} {noun}{'' if count in (0, 1) else 's'}")
    return f"{parts[0]}, {parts[1].lower()}"


def covers(viewer: Viewer, today: date) -> list[Cover]:
    """Return covers that hold or will, the earliest first. One query."""
    rows = Cover.objects.visible_to(viewer).filter(ends_on__gt=today).select_related("absent", "covered_by")
    return list(rows.order_by("starts_on", "pk"))


def covered_for(organization_id: UUID, today: date) -> dict[UUID, UUID]:
    """Return {who is away: who looks after their accounts} on a day. One query."""
    rows = Cover.objects.filter(organization_id=organization_id, starts_on__lte=today, ends_on__gt=today)
    return dict(rows.order_by("created_at").values_list("absent_id", "covered_by_id"))
