"""What happens in the book is told to the vendor's own destinations and people, through the outbox of alerts.

Rows are written in the caller's transaction. Destinations of a customer never hear of it: the book is internal.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import Account, Membership, Role
from budgets.models import Alert, Delivery, Destination, NotificationWishes
from budgets.reports.receivers import Receivers, held_until, receivers, wants
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer, enter
from usage.wakeup import wake_delivery

Severity = Alert.Severity


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing to be told of an account. `key` is unique to it within its topic; `data` is for programs.

    `heading`, `text` and `url` are for channels that people read.
    """

    topic: str
    account: Account
    key: str
    data: dict[str, Any]
    heading: str = ""
    text: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one of the vendor's people. `key` is unique to it; `account` None: it is about several."""

    user_id: UUID
    key: str
    topic: str
    subject: str
    text: str
    url: str
    action: str
    account: Account | None = None
    facts: list[list[str]] = field(default_factory=list)
    severity: str = Severity.INFO


def tell_event(organization_id: UUID, now: datetime, topic: str, account: Account, data: dict[str, Any]) -> None:
    """Write a delivery for each destination of the vendor that hears `topic`, once.

    What makes it unique is `data["id"]` with `data["at"]`, if there is one: the same told twice is sent once.
    `heading`, `text` and `url` in `data`, if there, are what a channel shows.
    """
    key = ":".join(str(data[name]) for name in ("id", "at") if name in data)
    words = {name: str(data.get(name, "")) for name in ("heading", "text", "url")}
    tell_events(organization_id, now, [Happened(topic, account, key, data, **words)])


def tell_events(organization_id: UUID, now: datetime, happened: Iterable[Happened]) -> None:
    """Write the deliveries of many things at once: seven queries, however many there are."""
    told = list(happened)
    if not told:
        return
    hears = receivers(organization_id, {one.account.pk for one in told})
    _write([row for one in told for row in _to_places(now, hears, one)])


def mail_people(organization_id: UUID, now: datetime, mails: Iterable[Mail]) -> None:
    """Write a mail to each of the vendor's people, as they wish to hear; who has no seat any more gets none."""
    wanted = list(mails)
    if not wanted:
        return
    rows = Membership.objects.filter(organization_id=organization_id, account=None, user__is_active=True)
    named = rows.filter(user__in={mail.user_id for mail in wanted}).select_related("user")
    seats = {seat.user_id: seat for seat in named}
    wishes = {
        wish.membership_id: wish
        for wish in NotificationWishes.objects.filter(organization_id=organization_id, membership__in=seats.values())
    }
    _write([row for mail in wanted for row in _to_person(now, seats.get(mail.user_id), wishes, mail)])


@contextmanager
def vendors_rights(viewer: Viewer) -> Iterator[Viewer]:
    """What follows from a customer's act is the vendor's: plays and destinations that the customer cannot see."""
    if not viewer.is_portal:
        yield viewer
        return
    inside = Viewer(viewer.organization_id, None, Role.CSM, viewer.user_id, viewer.name)
    enter(inside)
    try:
        yield inside
    finally:
        enter(viewer)


def _write(rows: list[Delivery]) -> None:
    if rows:
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)
        transaction.on_commit(wake_delivery, robust=True)


def _to_places(now: datetime, hears: Receivers, one: Happened) -> Iterator[Delivery]:
    account = one.account
    body = {
        "type": one.topic,
        "timestamp": now.isoformat(),
        "data": {"account": {"id": str(account.pk), "key": account.key, "name": account.name}} | one.data,
    }
    message = {
        "subject": f"{account.name}: {one.heading or one.topic}",
        "heading": f"{account.name}: {one.heading or one.topic}",
        "text": one.text,
        "facts": [],
        "severity": Severity.INFO,
        "url": one.url,
        "action": "Open it",
    }
    for place in hears.places(account.pk, None, one.topic):
        is_webhook = place.kind == Destination.Kind.WEBHOOK
        # A channel that people read gets it only where somebody chose so; a program that takes all takes this too.
        if place.by_customer or not (is_webhook or one.topic in place.topics):
            continue
        yield Delivery(
            organization_id=account.organization_id,
            account_id=account.pk,
            destination=place,
            topic=one.topic,
            key=f"{one.topic}:{one.key}:d:{place.pk}",
            payload=body if is_webhook else message,
            is_internal=True,
            next_at=now,
        )


def _to_person(
    now: datetime, seat: Membership | None, wishes: dict[UUID, NotificationWishes], mail: Mail
) -> Iterator[Delivery]:
    wish = wishes.get(seat.pk) if seat else None
    if seat is None or not wants(wish, mail.severity):
        return
    until = held_until(wish, now, mail.severity == Severity.CRITICAL)
    note = f"Held until {until.astimezone(zone_of(wish.timezone)):%H:%M}: quiet hours." if until and wish else ""
    yield Delivery(
        organization_id=seat.organization_id,
        account_id=mail.account.pk if mail.account else None,
        membership=seat,
        email=seat.user.email,
        topic=mail.topic,
        key=f"{mail.topic}:{mail.key}:m:{mail.user_id}",
        payload={
            "subject": mail.subject,
            "heading": mail.subject,
            "text": mail.text,
            "facts": mail.facts,
            "severity": mail.severity,
            "url": mail.url,
            "action": mail.action,
        },
        is_internal=True,
        note=note,
        next_at=until or now,
    )
