"""Everything said, sent and measured about an account in one list: typed entries among alerts, limits and moves."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from reviews.models import TimelineEntry
from reviews.reports.timeline_rungs import rungs
from reviews.reports.timeline_telemetry import TELEMETRY, TELEMETRY_ONLY, Item

SHOWN = 20
FILTERS = {
    "": "All",
    "conversation": "Conversations",
    "alert": "Alerts",
    "telemetry": "Telemetry",
    "customer": "Customer’s own",
}
_TIED = 50  # of the same moment at the seam of two pages
_MOST_TITLE = 110
_ICONS = {
    "call": "phone", "meeting": "users", "email": "mail", "note": "pencil", "review": "file", "unpaid": "receipt",
    "paid": "receipt",
}  # fmt: skip
_TONES = {"positive": "good", "negative": "bad"}
_PAYMENTS = {"unpaid": "bad", "paid": "good"}
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of the list, newest first. `older`: what to pass as `before` for the next; "" at the end."""

    items: list[Item] = field(default_factory=list)
    older: str = ""


def timeline(
    viewer: Viewer, account: Account, *, kinds: Collection[str] = (), before: str = "", limit: int = SHOWN
) -> Timeline:
    """Return what happened, newest first, before the cursor `before` (that of an earlier page's `older`).

    `kinds`: names of FILTERS; none: all of it. One query for each kind of thing. Internal: never for customers.
    """
    if viewer.is_portal:
        return Timeline()
    wanted = {kind for kind in kinds if kind}
    seam = _read(before)
    until = seam[0] if seam else datetime.max.replace(tzinfo=UTC)
    found: list[Item] = []
    for groups, source in SOURCES:
        if not wanted or wanted & groups:
            found += [item for item in source(account, until, limit + _TIED) if not wanted or item.groups & wanted]
    found.sort(key=lambda item: (item.at, item.key), reverse=True)
    rest = [item for item in found if seam is None or (item.at, item.key) < seam]
    shown = rest[:limit]
    return Timeline(shown, _write(shown[-1]) if len(rest) > limit else "")


def entries(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return typed entries, with who took part. Two queries."""
    rows = TimelineEntry.objects.filter(
        organization_id=account.organization_id, account=account, removed_at=None, at__lte=until
    )
    for entry in rows.select_related("by").prefetch_related("attendees").order_by("-at", "-pk")[:take]:
        yield entry_item(entry)


def entry_item(entry: TimelineEntry) -> Item:
    """Return an entry as it is shown: its first words as a title, by whom and with whom."""
    title, text = split_title(entry.text)
    if not title:
        title = entry.get_kind_display()
    return Item(
        at=entry.at,
        key=str(entry.pk),
        groups=frozenset({"conversation"}),
        icon=_ICONS[entry.kind],
        title=title,
        by=_by(entry),
        text=text,
        pill=_pill(entry),
        pill_tone=_PAYMENTS.get(entry.kind) or _TONES.get(entry.sentiment, ""),
        entry=entry,
    )


def _pill(entry: TimelineEntry) -> str:
    if entry.kind in _PAYMENTS:
        return entry.get_kind_display()
    return entry.get_sentiment_display() if entry.sentiment else ""


def split_title(text: str) -> tuple[str, str]:
    """Return the first line or sentence, if it is short enough for a title, and the rest."""
    first, _, rest = text.strip().partition("\n")
    if len(first) <= _MOST_TITLE and rest.strip():
        return first.rstrip(" ."), rest.strip()
    if not rest.strip():
        sentence, *more = _SENTENCE.split(first, maxsplit=1)
        if len(sentence) <= _MOST_TITLE:
            return sentence.rstrip(" ."), more[0] if more else ""
    return "", text.strip()


def _by(entry: TimelineEntry) -> str:
    minutes = f", {entry.minutes} min" if entry.minutes else ""
    who = str(entry.by) if entry.by else "imported" if entry.external_id else ""
    names = [contact.name for contact in entry.attendees.all()]
    with_whom = f"{'to' if entry.kind == 'email' else 'with'} {', '.join(names)}" if names else ""
    acted = " ".join(part for part in (who, with_whom) if part)
    edited = "edited" if entry.edited_at else ""
    return " · ".join(part for part in (f"{entry.get_kind_display()}{minutes}", acted, edited) if part)


def _read(cursor: str) -> tuple[datetime, str] | None:
    at, _, key = cursor.partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, key) if moment.tzinfo is not None else None


def _write(item: Item) -> str:
    return f"{item.at.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}~{item.key}"


Source = Callable[[Account, datetime, int], Iterable[Item]]
SOURCES: tuple[tuple[frozenset[str], Source], ...] = (
    (frozenset({"conversation"}), entries),
    *TELEMETRY,
    (TELEMETRY_ONLY, rungs),
)


def last_words(page: Timeline) -> str:
    """Return a heading for the list: how the last conversation was, or that there was none."""
    last: Any = next((item for item in page.items if item.entry is not None), None)
    if last is None:
        return "Nothing has been written down lately" if page.items else "Nothing has been written down yet"
    names = {"email": "e-mail", "review": "value review", "unpaid": "word on a payment", "paid": "word on a payment"}
    kind = names.get(last.entry.kind, last.entry.kind)
    felt = f" was {last.entry.get_sentiment_display().lower()}" if last.entry.sentiment else ""
    return f"Last {kind}{felt}: {last.title}"[:160]
