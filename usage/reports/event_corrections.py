"""Which events were taken back or replaced, by what and why: the notes that the event log shows, both ways."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from consumption_cs.lib.tenancy import Viewer
from usage.models import Correction, Event

ORIGINAL, REVERSAL, REPLACEMENT = "original", "reversal", "replacement"
_TAGS = {
    (ORIGINAL, Correction.Kind.VOID): "voided",
    (ORIGINAL, Correction.Kind.REPLACE): "replaced",
    (REVERSAL, Correction.Kind.VOID): "reversal",
    (REVERSAL, Correction.Kind.REPLACE): "reversal",
    (REPLACEMENT, Correction.Kind.REPLACE): "replacement",
}


@dataclass(slots=True)
class Note:
    """That an event plays a role in a correction. `others` are the events to link to, by their role."""

    role: str
    correction: Correction
    others: dict[str, Event] | None = None

    @property
    def tag(self) -> str:
        """What the log says beside the event, in a word or two."""
        return _TAGS[self.role, Correction.Kind(self.correction.kind)]

    @property
    def original(self) -> Event | None:
        """The event that was corrected."""
        return (self.others or {}).get(ORIGINAL)

    @property
    def corrected_by(self) -> Event | None:
        """The event that corrected it: what counts instead, or else what takes it back."""
        others = self.others or {}
        return others.get(REPLACEMENT) or others.get(REVERSAL)


def add_notes(viewer: Viewer, events: list[Any]) -> None:
    """Give each of the events its `notes` (none for nearly all) and `is_reversal`, with one statement for all."""
    notes: dict[UUID, list[Note]] = {event.key: [] for event in events}
    if not notes:
        return
    for correction in _corrections(viewer, {event.account_id for event in events}, notes):
        for role, key in _roles(correction):
            if key in notes:
                notes[key].append(Note(role, correction))
    for event in events:
        event.notes = notes[event.key]
        event.is_reversal = any(note.role == REVERSAL for note in event.notes)


def add_notes_with_links(viewer: Viewer, event: Any) -> None:
    """Give one event its `notes`, each with the other events that it speaks of; and in a word how it stands.

    `standing` is "voided", "replaced", "reversal", "replacement" or "": what was done to it before what it does.
    """
    add_notes(viewer, [event])
    event.standing = min(event.notes, key=lambda note: note.role != ORIGINAL).tag if event.notes else ""
    for note in event.notes:
        note.others = {
            role: other for role, key, at in _parts(note.correction)
            if (other := _find(viewer, event.account_id, key, at)) is not None
        }  # fmt: skip


def _corrections(viewer: Viewer, accounts: Iterable[UUID], keys: Iterable[UUID]) -> Iterable[Correction]:
    wanted = list(keys)
    return (
        Correction.objects.visible_to(viewer)
        .filter(account__in=accounts)
        .filter(Q(original_key__in=wanted) | Q(reversal_key__in=wanted) | Q(replacement_key__in=wanted))
        .order_by("received_at", "pk")
    )


def _roles(correction: Correction) -> list[tuple[str, UUID]]:
    return [(role, key) for role, key, _ in _parts(correction)]


def _parts(correction: Correction) -> list[tuple[str, UUID, datetime]]:
    parts = [
        (ORIGINAL, correction.original_key, correction.original_at),
        (REVERSAL, correction.reversal_key, correction.original_at),
    ]
    if correction.replacement_key and correction.replacement_at:
        parts.append((REPLACEMENT, correction.replacement_key, correction.replacement_at))
    return parts


def _find(viewer: Viewer, account_id: UUID, key: UUID, occurred_at: datetime) -> Event | None:
    rows = Event.objects.visible_to(viewer).filter(account_id=account_id, key=key, occurred_at=occurred_at)
    return rows.select_related("meter").defer("properties").first()
