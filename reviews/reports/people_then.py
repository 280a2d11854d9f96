"""Who was spoken to and who signed in, as of a moment, read at once for many accounts: what engagement is made of."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from accounts.models import Membership, Role
from reviews.models import Contact, TimelineEntry

TOUCHES = (TimelineEntry.Kind.CALL, TimelineEntry.Kind.MEETING, TimelineEntry.Kind.EMAIL, TimelineEntry.Kind.REVIEW)
PAYMENTS = (TimelineEntry.Kind.UNPAID, TimelineEntry.Kind.PAID)


@dataclass(frozen=True, slots=True)
class PeopleThen:
    """None: never, or nobody. `champion_left`: every champion that was named has left.

    `is_unpaid`: the last word on payments is that one failed, since `payment_at`; None: nobody wrote of any.
    `signed_in_at` is the last visit of anybody of the customer to the portal, `owner_signed_in_at` of an owner.
    """

    touched_at: datetime | None = None
    touch_kind: str = ""
    sentiment: str = ""
    sentiment_at: datetime | None = None
    is_unpaid: bool | None = None
    payment_at: datetime | None = None
    champions: int = 0
    champion_left: bool = False
    champion_signed_in_at: datetime | None = None
    owners: int = 0
    owner_signed_in_at: datetime | None = None
    signed_in_at: datetime | None = None


def people_then(organization_id: UUID, accounts: Sequence[UUID], now: datetime) -> dict[str, PeopleThen]:
    """Return what was known of each account's people at `now`. Five queries.

    Visits are known as the last one only, so for a moment that has passed they count when they are not later.
    """
    seats: dict[UUID, list[tuple[UUID, str, datetime | None]]] = defaultdict(list)
    champions: dict[UUID, list[tuple[UUID | None, date | None]]] = defaultdict(list)
    members = Membership.objects.filter(organization_id=organization_id, account__in=accounts)
    for account, *seat in members.values_list("account_id", "user_id", "role", "last_seen_at"):
        seats[account].append((seat[0], seat[1], seat[2]))
    contacts = Contact.objects.filter(organization_id=organization_id, account__in=accounts, created_at__lte=now)
    for account, user, left_on in contacts.filter(role=Contact.Role.CHAMPION).values_list(
        "account_id", "user_id", "left_on"
    ):
        champions[account].append((user, left_on))
    last = _last_entries(organization_id, accounts, now)
    return {
        str(account): _people(now, seats[account], champions[account], *(rows.get(account) for rows in last))
        for account in accounts
    }


def _people(
    now: datetime,
    seats: Sequence[tuple[UUID, str, datetime | None]],
    champions: Sequence[tuple[UUID | None, date | None]],
    touch: TimelineEntry | None,
    mood: TimelineEntry | None,
    payment: TimelineEntry | None,
) -> PeopleThen:
    seen = {user: at for user, _, at in seats if at is not None and at <= now}
    owners = [user for user, role, _ in seats if role == Role.PORTAL_OWNER]
    there = [user for user, left_on in champions if left_on is None or left_on > now.date()]
    return PeopleThen(
        touched_at=touch.at if touch else None,
        touch_kind=touch.kind if touch else "",
        sentiment=mood.sentiment if mood else "",
        sentiment_at=mood.at if mood else None,
        is_unpaid=None if payment is None else payment.kind == TimelineEntry.Kind.UNPAID,
        payment_at=payment.at if payment else None,
        champions=len(there),
        champion_left=bool(champions) and not there,
        champion_signed_in_at=max((seen[user] for user in there if user in seen), default=None),
        owners=len(owners),
        owner_signed_in_at=max((seen[user] for user in owners if user in seen), default=None),
        signed_in_at=max(seen.values(), default=None),
    )


def _last_entries(
    organization_id: UUID, accounts: Sequence[UUID], now: datetime
) -> tuple[dict[UUID, TimelineEntry], ...]:
    """Return of each account the last touch, the last entry that says how they felt, and the last on a payment."""
    rows = TimelineEntry.objects.filter(
        organization_id=organization_id, account__in=accounts, at__lte=now, removed_at=None
    ).order_by("account_id", "-at", "-pk").distinct("account_id")  # fmt: skip
    wanted = (rows.filter(kind__in=TOUCHES), rows.exclude(sentiment=""), rows.filter(kind__in=PAYMENTS))
    return tuple({row.account_id: row for row in found} for found in wanted)
