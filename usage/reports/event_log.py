"""The event log: what arrived, what waits for its account or meter, and what was refused, newest first."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Func, Max, Min, Q, QuerySet, TextField
from django.db.models.fields.json import KT

from accounts.models import Account
from consumption_cs.lib.periods import Period, as_utc
from consumption_cs.lib.tenancy import Viewer
from usage.calc.event_reasons import Reason, quarantine_reason
from usage.calc.metering import PRODUCTION
from usage.models import Event, EventKey, Meter, QuarantinedEvent, RejectedEvent
from usage.reports.event_corrections import add_notes, add_notes_with_links

PAGE_SIZE = 50
MOST_COUNTED = 1000
MOST_CAUSES = 20
RANGES = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "31d": timedelta(days=31)}
# Events of a whole organization have no index on time alone: look at a short time first, and further back only when
# that was not enough, so that a busy organization never sorts all it has.
_STEPS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=35), None)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What the reader narrows the log to. `since` is a key of RANGES or "" for all time; `day` a local day.

    `late`: what happened in this time, but was received after the moment, when its billing period had been closed.
    """

    account_id: UUID | None = None
    meter_id: UUID | None = None
    workflow_id: UUID | None = None
    environment: str = ""
    words: str = ""
    since: str = ""
    day: Period | None = None
    late: tuple[Period, datetime] | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything but the account is asked for."""
        asked = (self.meter_id, self.workflow_id, self.environment, self.words, self.since, self.day, self.late)
        return any(asked)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of the page before: its time and what tells rows of the same time apart."""

    at: datetime
    key: UUID


def read_cursor(text: str | None) -> Cursor | None:
    """Return the place that an address names; None, the start, for one that cannot be read."""
    try:
        at, key = urlsafe_b64decode((text or "").encode()).decode().split(" ")
        return Cursor(as_utc(datetime.fromisoformat(at)), UUID(key))
    except (ValueError, OverflowError):
        return None


def write_cursor(cursor: Cursor | None) -> str:
    """Return the place as it stands in an address."""
    return urlsafe_b64encode(f"{cursor.at.isoformat()} {cursor.key}".encode()).decode() if cursor else ""


@dataclass(frozen=True, slots=True)
class Slice:
    """One page of rows, and where the next, older one starts."""

    rows: list[Any]
    older: Cursor | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each there are; above MOST_COUNTED nobody counts on."""

    accepted: int
    quarantined: int | None
    rejected: int | None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why some events wait, how many, and whether that has been put right."""

    reason: str
    name: str
    words: Reason
    events: int
    first_at: datetime
    last_at: datetime
    is_fixed: bool


def has_events(viewer: Viewer, account_id: UUID | None = None) -> bool:
    """Whether a single event was ever accepted."""
    events = Event.objects.visible_to(viewer)
    return (events.filter(account_id=account_id) if account_id else events).exists()


def count_events(viewer: Viewer, account: Account | None) -> Counts:
    """Count each kind up to MOST_COUNTED + 1. Customers learn only of what was accepted."""
    events = Event.objects.visible_to(viewer)
    accepted = _count_some(events.filter(account=account) if account else events)
    if viewer.is_portal:
        return Counts(accepted, None, None)
    return Counts(
        accepted, _count_some(waiting(viewer, account)), _count_some(RejectedEvent.objects.visible_to(viewer))
    )


def accepted_events(
    viewer: Viewer,
    wanted: EventFilter,
    cursor: Cursor | None,
    now: datetime,
    newest: datetime | None = None,
    size: int = PAGE_SIZE,
) -> Slice:
    """Return one page of accepted events, newest first by when they happened, without their properties.

    Each has `notes` of how it was corrected, if it was.

    `newest` is about when the last event happened, if it is long ago; without it the search starts at `now`.
    """
    events = _fitting(Event.objects.visible_to(viewer), wanted, now)
    if cursor:
        events = events.filter(Q(occurred_at__lt=cursor.at) | Q(occurred_at=cursor.at, key__lt=cursor.key))
        events = events.filter(occurred_at__lte=cursor.at)  # the same said so that partitions are pruned
    events = events.select_related("account", "meter", "workflow").order_by("-occurred_at", "-key").defer("properties")
    rows: list[Event] = []
    begin = cursor.at if cursor else min(newest or now, now)
    for step in (None,) if wanted.account_id else _STEPS:
        start = None if step is None else begin - step
        rows = list((events if start is None else events.filter(occurred_at__gt=start))[: size + 1])
        if len(rows) > size:
            break
    page = _sliced(rows, "occurred_at", "key", size)
    add_notes(viewer, page.rows)
    return page


def quarantined_events(
    viewer: Viewer, account: Account | None, wanted: EventFilter, cursor: Cursor | None, now: datetime
) -> Slice:
    """Return one page of events that wait, newest first by when they arrived."""
    events = waiting(viewer, account).annotate(
        event_id=KT("payload__id"),
        source=KT("payload__source"),
        type=KT("payload__type"),
        subject=KT("payload__subject"),
    )
    if wanted.words:
        events = events.filter(
            Q(event_id__icontains=wanted.words) | Q(source__icontains=wanted.words)
            | Q(type__icontains=wanted.words) | Q(subject__icontains=wanted.words)
        )  # fmt: skip
    events = _since(events, "received_at", wanted, now).select_related("api_key").defer("payload")
    return _paged(events, cursor)


def rejected_events(viewer: Viewer, wanted: EventFilter, cursor: Cursor | None, now: datetime) -> Slice:
    """Return one page of what was refused, newest first."""
    events = RejectedEvent.objects.visible_to(viewer)
    if wanted.words:
        events = events.filter(
            Q(excerpt__icontains=wanted.words) | Q(detail__icontains=wanted.words) | Q(code__icontains=wanted.words)
        )
    return _paged(_since(events, "received_at", wanted, now).select_related("api_key"), cursor)


def causes(viewer: Viewer, account: Account | None) -> list[Cause]:
    """Return why events wait, the most frequent cause first, and whether its account or meter exists by now."""
    rows = list(
        waiting(viewer, account)
        .annotate(type=KT("payload__type"), subject=KT("payload__subject"))
        .values("reason", "detail")
        .annotate(events=Count("pk"), first_at=Min("received_at"), last_at=Max("received_at"),
                  one_type=Min("type"), one_subject=Min("subject"))
        .order_by("-events", "detail")[:MOST_CAUSES]
    )  # fmt: skip
    subjects = {row["one_subject"] for row in rows if row["reason"] == "unknown_subject"}
    types = {row["one_type"] for row in rows if row["reason"] == "unknown_type"}
    known = set(Account.objects.visible_to(viewer).filter(key__in=subjects).values_list("key", flat=True))
    known |= set(Meter.objects.visible_to(viewer).filter(event_type__in=types).values_list("event_type", flat=True))
    return [_cause(row, known) for row in rows]


def waiting(viewer: Viewer, account: Account | None = None) -> QuerySet[Any]:
    """Events in quarantine that were not replayed; of one account those that name it as subject."""
    events = QuarantinedEvent.objects.visible_to(viewer).filter(replayed_at=None)
    return events.filter(payload__subject=account.key) if account else events


def with_cause(events: QuerySet[Any], reason: str, name: str) -> QuerySet[Any]:
    """Those of the events that wait for one reason and the account or type called `name`."""
    column = "payload__subject" if reason == "unknown_subject" else "payload__type"
    return events.filter(reason=reason, **{column: name})


def find_event(viewer: Viewer, key: UUID) -> Event | None:
    """Return one accepted event with its properties as formatted JSON in `pretty`, digits as they came.

    Its `notes` say by what and why it was corrected, or what it corrects.
    """
    times = EventKey.objects.visible_to(viewer).filter(key=key).values_list("occurred_at", flat=True)
    occurred_at = times.first()
    if occurred_at is None:
        return None
    event = (
        Event.objects.visible_to(viewer)
        .filter(key=key, occurred_at=occurred_at)
        .select_related("account", "meter", "workflow")
        .annotate(pretty=_pretty("properties"))
        .first()
    )
    if event is not None:
        add_notes_with_links(viewer, event)
    return event


def find_quarantined(viewer: Viewer, pk: UUID) -> QuarantinedEvent | None:
    """Return one event of the quarantine, replayed or not, with its payload in `pretty`."""
    return QuarantinedEvent.objects.visible_to(viewer).filter(pk=pk).annotate(pretty=_pretty("payload")).first()


def _pretty(name: str) -> Func:
    return Func(F(name), function="jsonb_pretty", output_field=TextField())


def _fitting(events: QuerySet[Any], wanted: EventFilter, now: datetime) -> QuerySet[Any]:
    exact = {"account_id": wanted.account_id, "meter_id": wanted.meter_id, "workflow_id": wanted.workflow_id}
    events = events.filter(**{name: value for name, value in exact.items() if value})
    if wanted.environment == PRODUCTION:
        events = events.filter(environment=PRODUCTION)
    elif wanted.environment:
        events = events.exclude(environment=PRODUCTION)
    if wanted.day:
        events = events.filter(occurred_at__gte=wanted.day.start, occurred_at__lt=wanted.day.end)
    if wanted.late:
        during, closed_at = wanted.late
        events = events.filter(occurred_at__gte=during.start, occurred_at__lt=during.end, received_at__gte=closed_at)
    if wanted.words:
        events = events.filter(Q(event_id__icontains=wanted.words) | Q(source__icontains=wanted.words))
        # A search without a time would read everything there is.
        wanted = wanted if wanted.since or wanted.day or wanted.late else replace(wanted, since="31d")
    return _since(events, "occurred_at", wanted, now)


def _since(rows: QuerySet[Any], column: str, wanted: EventFilter, now: datetime) -> QuerySet[Any]:
    span = RANGES.get(wanted.since)
    return rows.filter(**{f"{column}__gt": now - span}) if span else rows


def _paged(rows: QuerySet[Any], cursor: Cursor | None) -> Slice:
    if cursor:
        rows = rows.filter(Q(received_at__lt=cursor.at) | Q(received_at=cursor.at, pk__lt=cursor.key))
    return _sliced(list(rows.order_by("-received_at", "-pk")[: PAGE_SIZE + 1]), "received_at", "pk")


def _sliced(rows: list[Any], at: str, key: str, size: int = PAGE_SIZE) -> Slice:
    page = rows[:size]
    more = len(rows) > size
    return Slice(page, Cursor(getattr(page[-1], at), getattr(page[-1], key)) if more else None)


def _count_some(rows: QuerySet[Any]) -> int:
    return int(rows.order_by()[: MOST_COUNTED + 1].count())


def _cause(row: dict[str, Any], known: Iterable[str]) -> Cause:
    name = row["one_subject"] if row["reason"] == "unknown_subject" else row["one_type"]
    return Cause(
        row["reason"],
        name,
        quarantine_reason(row["reason"]),
        row["events"],
        row["first_at"],
        row["last_at"],
        name in known,
    )
