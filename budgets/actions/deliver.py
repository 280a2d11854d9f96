"""Workers that send what waits in the outbox: leased, in threads, so that one slow receiver delays no other.

A lease is a row's own; a worker that dies leaves it to run out, and the next one sends again with the same id.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from accounts.models import Membership, Role
from budgets.actions.sending import GONE, Letter, Outcome, send
from budgets.actions.stopping import stop_token
from budgets.calc.delivery_times import retry_at
from budgets.models import Delivery, DeliveryAttempt, Destination
from consumption_cs.lib.sealed import SealError, unseal
from consumption_cs.lib.tenancy import Viewer, act_as

logger = logging.getLogger(__name__)

AT_ONCE, AT_ONCE_FOR_ONE = 16, 2
LEASE = timedelta(seconds=90)
FAILS_FOR = timedelta(days=5)
SECONDS_TO_LEASE, SECONDS_BETWEEN_LOOKS = 20.0, 0.5
State = Delivery.State
Sender = Callable[[Letter, datetime], Outcome]


def deliver_all(
    organizations: Iterable[UUID],
    clock: Callable[[], datetime],
    seconds: float = SECONDS_TO_LEASE,
    sender: Sender = send,
) -> int:
    """Send what is due in all organizations, looking again while anything is under way; return how many tries.

    Nothing is taken up after `seconds`; what is under way then ends within its own 15 s. Any number may run at once.
    """
    tried, until = 0, time.monotonic() + seconds
    flights: dict[Future[Outcome], tuple[UUID, UUID]] = {}
    owners = list(organizations)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            if time.monotonic() < until:
                for organization_id in random.sample(owners, len(owners)):  # so that nobody is always last
                    for delivery_id, letter in lease(organization_id, clock(), AT_ONCE - len(flights)):
                        flights[pool.submit(sender, letter, clock())] = (organization_id, delivery_id)
            if not flights:
                return tried
            done, _ = wait(flights, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            for future in done:
                organization_id, delivery_id = flights.pop(future)
                record(organization_id, delivery_id, _outcome(future), clock())
                tried += 1


def _outcome(future: "Future[Outcome]") -> Outcome:
    try:
        return future.result()
    except Exception:
        logger.exception("delivery.broke")
        return Outcome(0, None, "It could not be sent: an error of ours.")


def lease(organization_id: UUID, now: datetime, most: int) -> list[tuple[UUID, Letter]]:
    """Take what is due, at most two at once for one destination; return what a thread needs to send each."""
    if most <= 0:
        return []
    with act_as(Viewer(organization_id)), connection.cursor() as cursor:
        rows = Delivery.objects.filter(organization_id=organization_id, state=State.WAITING)
        if not rows.filter(next_at__lte=now).exists():
            return []
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"deliver {organization_id}"])
        if not cursor.fetchone()[0]:
            return []
        taken = _choose(rows, now, most)
        for row in taken:
            row.leased_until = now + LEASE
        Delivery.objects.bulk_update(taken, ["leased_until"])
        return [(row.pk, letter) for row in taken if (letter := _letter(row, now)) is not None]


def _choose(rows: "QuerySet[Delivery]", now: datetime, most: int) -> list[Delivery]:
    """In order of time, but what one destination has too many of does not stand before the others."""
    free = rows.filter(Q(leased_until=None) | Q(leased_until__lte=now), next_at__lte=now)
    busy = rows.filter(leased_until__gt=now, destination__isnull=False).order_by()
    under_way = {r["destination"]: r["n"] for r in busy.values("destination").annotate(n=Count("pk"))}
    full = [pk for pk, number in under_way.items() if number >= AT_ONCE_FOR_ONE]
    taken: list[Delivery] = []
    while len(taken) < most:
        found = free.filter(Q(destination=None) | ~Q(destination__in=full)).exclude(pk__in=[row.pk for row in taken])
        batch = list(_locked(found)[: most * 2])
        if not batch:
            break
        for row in batch:
            place = row.destination_id
            if len(taken) < most and (place is None or under_way.get(place, 0) < AT_ONCE_FOR_ONE):
                taken.append(row)
                if place:
                    under_way[place] = under_way.get(place, 0) + 1
        full = [pk for pk, number in under_way.items() if number >= AT_ONCE_FOR_ONE]
    return taken


def _locked(rows: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    return locked.select_related("destination", "organization", "membership__user").order_by("next_at", "pk")


def _letter(row: Delivery, now: datetime) -> Letter | None:
    """Return what to send; None, and the row is closed, if nobody is there any more."""
    place = row.destination
    if place is None:
        if row.membership is None or not row.membership.user.is_active:
            return _closed(row, "The person has no seat any more.")
        stop = urljoin(settings.SITE_URL, reverse("budgets:stop_mails", args=[stop_token(row.membership)]))
        return Letter(str(row.pk), "email", row.email, row.payload, (), row.organization.name, stop, _told_note(row))
    if place.removed_at or place.disabled_at:
        return _closed(row, "The destination was removed." if place.removed_at else "The destination is switched off.")
    try:
        secrets = [unseal(place.secret)] if place.secret else []
        if place.old_secret and place.old_secret_until and place.old_secret_until > now:
            secrets.append(unseal(place.old_secret))
        address = unseal(place.address)
    except SealError:
        return _closed(row, "The address or secret cannot be read; enter it again.")
    return Letter(str(row.pk), place.kind, address, row.payload, tuple(secrets), row.organization.name)


def _told_note(row: Delivery) -> str:
    return row.note.replace("Held until", "This message was held until") if row.note.startswith("Held") else ""


def _closed(row: Delivery, note: str) -> Letter | None:
    row.state, row.note, row.leased_until = State.CANCELLED, note, None
    row.save(update_fields=["state", "note", "leased_until"])
    return None


def record(organization_id: UUID, delivery_id: UUID, outcome: Outcome, now: datetime) -> None:
    """Write down what became of a try, and what follows: done, once more later, or given up and told to the admins."""
    with act_as(Viewer(organization_id)):
        row = Delivery.objects.select_for_update(of=("self",)).select_related("destination").get(pk=delivery_id)
        DeliveryAttempt.objects.create(
            organization_id=organization_id, account_id=None if row.is_internal else row.account_id, delivery=row,
            at=now, milliseconds=outcome.milliseconds, status=outcome.status, error=outcome.error,
        )  # fmt: skip
        row.attempts, row.leased_until = row.attempts + 1, None
        if not outcome.error:
            row.state, row.delivered_at = State.DELIVERED, now
        elif row.state == State.WAITING:
            _failed(row, outcome, now)
        row.save(update_fields=["attempts", "leased_until", "state", "delivered_at", "next_at", "note"])
        if row.destination is not None:
            _note_health(row.destination, outcome, now)


def _failed(row: Delivery, outcome: Outcome, now: datetime) -> None:
    again = None if outcome.is_final else retry_at(row.attempts, now, random.random())  # noqa: S311
    if again is not None and row.topic != "test":
        row.next_at = again
        return
    row.state, row.note = State.DEAD, outcome.error[:200]
    if row.topic not in ("test", "delivery.given_up"):
        place = row.destination.name if row.destination else row.email
        about = f"A message to {place} could not be delivered and was given up: {outcome.error}"
        _tell_admins(row, f"given_up:{row.pk}", "A message could not be delivered", about, now)


def _note_health(place: Destination, outcome: Outcome, now: datetime) -> None:
    """Switch a destination off that is gone (410), or that has failed for five days with no success between."""
    held = Destination.objects.select_for_update().get(pk=place.pk)
    if not outcome.error:
        if held.failing_since:
            held.failing_since = None
            held.save(update_fields=["failing_since"])
        return
    held.failing_since = held.failing_since or now
    reason = ""
    if outcome.status == GONE:
        reason = "It said that it is gone (410)."
    elif now - held.failing_since >= FAILS_FOR:
        reason = "It has failed for five days."
    if reason and held.disabled_at is None:
        held.disabled_at, held.disabled_reason = now, reason
        waiting = Delivery.objects.filter(destination=held, state=State.WAITING)
        waiting.update(state=State.DEAD, note="The destination was switched off.", leased_until=None)
        row = Delivery(organization_id=held.organization_id, account_id=held.account_id, destination=held)
        about = f"“{held.name}” was switched off. {reason} Switch it on again once it works; nothing is lost."
        _tell_admins(row, f"off:{held.pk}:{now:%Y%m%d%H%M}", f"“{held.name}” was switched off", about, now)
    held.save(update_fields=["failing_since", "disabled_at", "disabled_reason"])


def _tell_admins(row: Delivery, key: str, heading: str, text: str, now: datetime) -> None:
    """A mail to who can mend it: the owners of a customer's own destination, else the organization's admins."""
    place = row.destination
    of_customer = place is not None and place.by_customer
    seats = Membership.objects.filter(organization_id=row.organization_id, user__is_active=True)
    if of_customer:
        seats = seats.filter(account_id=row.account_id, role=Role.PORTAL_OWNER)
        page = reverse("budgets:account_deliveries", args=[row.account_id])
    else:
        seats = seats.filter(account=None, role=Role.ADMIN)
        page = reverse("budgets:deliveries")
    message = {
        "subject": heading, "heading": heading, "text": text, "facts": [],
        "url": urljoin(settings.SITE_URL, page), "action": "Open the delivery log",
    }  # fmt: skip
    Delivery.objects.bulk_create(
        [
            Delivery(
                organization_id=row.organization_id,
                account_id=row.account_id,
                membership=seat,
                email=seat.user.email,
                topic="delivery.given_up",
                key=f"{key}:m:{seat.user_id}",
                payload=message,
                next_at=now,
                is_internal=not of_customer,
            )
            for seat in seats.select_related("user")
        ],
        ignore_conflicts=True,
    )
