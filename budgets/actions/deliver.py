"""Workers that send what waits in the outbox: leased, in threads, so that one slow receiver delays no other.

A lease is a row's own; a worker that dies leaves it to run out, and the next one sends again with the same id.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.models import Membership, Role
from budgets.actions.sending import GONE, Letter, Outcome, send
from budgets.actions.stopping import stop_token
from budgets.calc.delivery_times import retry_at
from budgets.models import Delivery, DeliveryAttempt, Destination
from consumption_cs.lib.sealed import SealError, unseal
from consumption_cs.lib.tenancy import Viewer, act_as

logger = logging.getLogger(__name__)

AT_ONCE, AT_ONCE_FOR_ORGANIZATION = 64, 32  # threads that wait for answers
AT_ONCE_FOR_ONE, AT_ONCE_FOR_MAIL = 2, 8  # for one destination; by mail, for an organization: one server takes it all
LEASE = timedelta(seconds=45)  # three times what a try may take: a worker that died delays a message by no more
FAILS_FOR = timedelta(days=5)
SECONDS_OF_ROUND, SECONDS_BETWEEN_LOOKS = 2.0, 0.25
State = Delivery.State
Sender = Callable[[Letter, datetime], Outcome]


class Courier:
    """Sends, and keeps what is under way from one `round` to the next: nobody waits for a slow receiver.

    One for each process, used by one thread. What it had under way when its process dies is sent again by others
    once the leases have run out.
    """

    def __init__(self, sender: Sender | None = None) -> None:
        self._sender = sender or send
        self._pool: ThreadPoolExecutor | None = None  # made in the process that sends: threads do not survive a fork
        self._flights: dict[Future[Outcome], tuple[UUID, UUID]] = {}

    def round(
        self, organizations: Iterable[UUID], clock: Callable[[], datetime], seconds: float = SECONDS_OF_ROUND
    ) -> int:
        """Send what is due in all organizations, and look again until nothing is under way; return how many tries.

        After `seconds` it ends all the same: the next round writes down what became of the rest, within its lease.
        """
        tried, until, owners = 0, time.monotonic() + seconds, list(organizations)
        while True:
            for organization_id in random.sample(owners, len(owners)):  # so that nobody is always last
                self._send_off(organization_id, clock())
            if not self._flights:
                return tried
            wait(self._flights, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            tried += self._write_down(clock)
            if time.monotonic() >= until:
                return tried

    def finish(self, clock: Callable[[], datetime]) -> int:
        """Wait for what is under way, which ends within its own 15 s, and write it down."""
        tried = 0
        while self._flights:
            wait(self._flights, None, FIRST_COMPLETED)
            tried += self._write_down(clock)
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        return tried

    def _send_off(self, organization_id: UUID, now: datetime) -> None:
        own = sum(owner == organization_id for owner, _ in self._flights.values())
        for delivery_id, letter in lease(
            organization_id, now, min(AT_ONCE - len(self._flights), AT_ONCE_FOR_ORGANIZATION - own)
        ):
            if self._pool is None:
                self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="courier")
            self._flights[self._pool.submit(self._sender, letter, now)] = (organization_id, delivery_id)

    def _write_down(self, clock: Callable[[], datetime]) -> int:
        """What cannot be written because the database is away stays, and is written in a later round."""
        landed = [future for future in self._flights if future.done()]
        for future in landed:
            record(*self._flights[future], _outcome(future), clock())
            del self._flights[future]
        return len(landed)


def deliver_all(
    organizations: Iterable[UUID],
    clock: Callable[[], datetime],
    seconds: float = SECONDS_OF_ROUND,
    sender: Sender | None = None,
) -> int:
    """Send what is due in all organizations, and wait for all of it; return how many tries. Any number may run."""
    courier = Courier(sender)
    return courier.round(organizations, clock, seconds) + courier.finish(clock)


def _outcome(future: "Future[Outcome]") -> Outcome:
    try:
        return future.result()
    except Exception:
        logger.exception("delivery.broke")
        return Outcome(0, None, "It could not be sent: an error of ours.")


def lease(organization_id: UUID, now: datetime, most: int) -> list[tuple[UUID, Letter]]:
    """Take what is due, at most two at once for one destination; return what a thread needs to send each.

    One transaction, which ends before anything is sent: leases are there before the first byte leaves.
    """
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
    under_way: Counter[UUID | None] = Counter(
        rows.filter(leased_until__gt=now).order_by().values_list("destination", flat=True)
    )
    taken: list[Delivery] = []
    while len(taken) < most:
        found = free.exclude(pk__in=[row.pk for row in taken]).exclude(_of_the_full(under_way))
        batch = list(_locked(found)[: most * 2])
        if not batch:
            break
        for row in batch:
            if len(taken) < most and under_way[row.destination_id] < _most_for(row.destination_id):
                taken.append(row)
                under_way[row.destination_id] += 1
    return taken


def _most_for(destination: UUID | None) -> int:
    return AT_ONCE_FOR_MAIL if destination is None else AT_ONCE_FOR_ONE


def _of_the_full(under_way: Mapping[UUID | None, int]) -> Q:
    full = {place for place, number in under_way.items() if number >= _most_for(place)}
    wanted = Q(destination__in=[place for place in full if place is not None], destination__isnull=False)
    return wanted | Q(destination=None) if None in full else wanted


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
        held = Delivery.objects.select_for_update(of=("self",)).select_related("destination")
        row = held.filter(pk=delivery_id).first()
        if row is None:
            return
        DeliveryAttempt.objects.create(
            organization_id=organization_id, account_id=None if row.is_internal else row.account_id, delivery=row,
            at=now, milliseconds=outcome.milliseconds, status=outcome.status, error=outcome.error[:300],
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
