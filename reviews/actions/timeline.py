"""What was said and learned about an account: written down, corrected by who wrote it, taken away but kept."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from accounts.actions.audit import audit
from accounts.models import Account, Role
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer
from reviews.models import Attendance, Contact, TimelineEntry

MOST_TEXT = 10_000
MOST_MINUTES = 24 * 60
MOST_ATTENDEES = 50
_AHEAD = timedelta(minutes=5)  # clocks differ
_ANYBODYS = (Role.ADMIN, Role.LEADER)


@dataclass(frozen=True, slots=True)
class Said:
    """What an entry says. `attendees` are ids of the account's contacts."""

    kind: str
    at: datetime
    text: str
    sentiment: str = ""
    minutes: int | None = None
    attendees: tuple[UUID, ...] = ()
    external_id: str = ""


def log_entry(
    viewer: Viewer,
    account: Account,
    *,
    kind: str,
    at: datetime,
    text: str,
    sentiment: str = "",
    minutes: int | None = None,
    attendees: Collection[UUID | Contact] = (),
    external_id: str = "",
    now: datetime,
) -> TimelineEntry:
    """Write an entry into the account's timeline. Raises ValidationError, with words, for what makes no sense."""
    require(viewer, "book.edit")
    ids = tuple(one.pk if isinstance(one, Contact) else one for one in attendees)
    said = Said(kind, at, text, sentiment, minutes, ids, external_id)
    entry = TimelineEntry(
        organization_id=viewer.organization_id, account=account, by_id=viewer.user_id, created_at=now
    )
    with transaction.atomic():
        _write(viewer, entry, said, now)
        details = {"kind": entry.get_kind_display(), "entry": str(entry.pk)}
        audit(viewer, "timeline_entry.added", account, account.name, details)
    return entry


def edit_entry(viewer: Viewer, entry: TimelineEntry, said: Said, now: datetime) -> None:
    """Say it anew. Only who wrote it does; what it said before is kept in the audit log."""
    _mine(viewer, entry)
    before = {"text": entry.text[:2000], "kind": entry.kind, "sentiment": entry.sentiment}
    entry.edited_at = now
    with transaction.atomic():
        _write(viewer, entry, said, now)
        after = {"text": entry.text[:2000], "kind": entry.kind, "sentiment": entry.sentiment}
        changes = {name: {"from": before[name], "to": after[name]} for name in after if before[name] != after[name]}
        audit(viewer, "timeline_entry.changed", entry.account, entry.account.name, {"entry": str(entry.pk)} | changes)


def remove_entry(viewer: Viewer, entry: TimelineEntry, now: datetime) -> None:
    """Take it out of the timeline; the row stays, with when, and the audit log says who. Again changes nothing."""
    _mine(viewer, entry)
    if entry.removed_at is not None:
        return
    with transaction.atomic():
        entry.removed_at = now
        entry.save(update_fields=["removed_at"])
        details = {"entry": str(entry.pk), "said": entry.text[:2000]}
        audit(viewer, "timeline_entry.removed", entry.account, entry.account.name, details)


def may_change(viewer: Viewer, entry: TimelineEntry) -> bool:
    """Return whether the viewer may correct the entry: who wrote it, a leader or admin; imported ones, anybody."""
    return entry.by_id is None or entry.by_id == viewer.user_id or viewer.role in _ANYBODYS


def _mine(viewer: Viewer, entry: TimelineEntry) -> None:
    require(viewer, "book.edit")
    if not may_change(viewer, entry):
        raise PermissionDenied("Only who wrote an entry changes it.")


def _write(viewer: Viewer, entry: TimelineEntry, said: Said, now: datetime) -> None:
    if said.at > now + _AHEAD:
        raise ValidationError({"at": "This is in the future: write down what has happened."})
    if len(said.text) > MOST_TEXT:
        raise ValidationError({"text": f"Write {MOST_TEXT:,} characters at most."})
    if said.minutes is not None and not 0 < said.minutes <= MOST_MINUTES:
        raise ValidationError({"minutes": "Minutes are 1 to 1,440."})
    entry.kind, entry.at, entry.text = said.kind, said.at, said.text.strip()
    entry.sentiment, entry.minutes = said.sentiment, said.minutes
    entry.external_id = said.external_id or entry.external_id
    entry.full_clean(exclude=["organization", "account", "by", "edited_at", "removed_at", "created_at"])
    try:
        with transaction.atomic():
            entry.save()
    except IntegrityError as error:
        raise ValidationError({"external_id": "An entry of this account has this id already."}) from error
    _attend(viewer, entry, said.attendees)


def _attend(viewer: Viewer, entry: TimelineEntry, ids: Sequence[UUID]) -> None:
    wanted = set(ids)
    if len(wanted) > MOST_ATTENDEES:
        raise ValidationError({"attendees": f"Name {MOST_ATTENDEES} people at most."})
    own = {"organization_id": viewer.organization_id, "account_id": entry.account_id}
    known = set(Contact.objects.filter(pk__in=wanted, **own).values_list("pk", flat=True)) if wanted else set()
    if known != wanted:
        raise ValidationError({"attendees": "Choose people of this account."})
    there = set(Attendance.objects.filter(entry=entry, **own).values_list("contact_id", flat=True))
    Attendance.objects.filter(entry=entry, contact__in=there - wanted, **own).delete()
    Attendance.objects.bulk_create(Attendance(entry=entry, contact_id=one, **own) for one in wanted - there)
