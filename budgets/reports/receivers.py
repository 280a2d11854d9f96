"""Who hears of something in an account: people and destinations, by routes or by default, and by their wishes."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from accounts.models import Account, Membership, Role
from budgets.calc.delivery_times import quiet_until
from budgets.models import Alert, Destination, NotificationWishes, Route
from consumption_cs.lib.periods import zone_of

_RANK = {Alert.Severity.INFO: 0, Alert.Severity.WARNING: 1, Alert.Severity.CRITICAL: 2}


@dataclass(slots=True)
class Receivers:
    """What decides who hears, read once for some accounts."""

    accounts: dict[UUID, Account] = field(default_factory=dict)
    seats: dict[UUID, Membership] = field(default_factory=dict)
    wishes: dict[UUID, NotificationWishes] = field(default_factory=dict)
    destinations: dict[UUID, Destination] = field(default_factory=dict)  # in use
    routes: dict[UUID, list[Route]] = field(default_factory=lambda: defaultdict(list))
    routed_destinations: set[UUID] = field(default_factory=set)  # of the organization, that some route names

    def people(self, account_id: UUID, budget_id: UUID | None, escalated: bool = False) -> list[Membership]:
        """Return who is to hear by mail: those whom routes name, or else the account's owners and its CSM."""
        routes = self._routes(account_id, budget_id, escalated)
        named = [self.seats[r.membership_id] for r in routes if r.membership_id and r.membership_id in self.seats]
        if not named:
            account = self.accounts[account_id]
            lookers = {account.csm_id, account.field_cto_id} if escalated else {account.csm_id}
            named = [
                seat
                for seat in self.seats.values()
                if (seat.account_id == account_id and seat.role == Role.PORTAL_OWNER)
                or (seat.account_id is None and seat.user_id in lookers)
            ]
        return list({seat.user_id: seat for seat in named if seat.account_id in (None, account_id)}.values())

    def places(
        self, account_id: UUID, budget_id: UUID | None, topic: str, escalated: bool = False
    ) -> list[Destination]:
        """Return the destinations that hear: those routed to, and the organization's that no route narrows."""
        named = {route.destination_id for route in self._routes(account_id, budget_id, escalated)}
        return [
            one
            for one in self.destinations.values()
            if (one.pk in named or (one.account_id is None and one.pk not in self.routed_destinations))
            and one.account_id in (None, account_id)
            and (not one.topics or topic in one.topics)
        ]

    def _routes(self, account_id: UUID, budget_id: UUID | None, escalated: bool) -> list[Route]:
        return [
            route
            for route in self.routes[account_id]
            if (route.budget_id is None or route.budget_id == budget_id) and (escalated or not route.is_escalation)
        ]


def receivers(organization_id: UUID, account_ids: Iterable[UUID]) -> Receivers:
    """Read routes, seats, wishes and destinations of some accounts: six queries, in the caller's transaction."""
    found, wanted = Receivers(), set(account_ids)
    own = {"organization_id": organization_id}
    accounts = Account.objects.filter(**own, pk__in=wanted).select_related("organization")
    found.accounts = {account.pk: account for account in accounts}
    seats = Membership.objects.filter(Q(account__in=wanted) | Q(account=None), **own, user__is_active=True)
    found.seats = {seat.pk: seat for seat in seats.select_related("user").order_by("pk")}
    for wish in NotificationWishes.objects.filter(**own, membership__in=found.seats):
        found.wishes[wish.membership_id] = wish
    places = Destination.objects.filter(
        Q(account__in=wanted) | Q(account=None), **own, removed_at=None, disabled_at=None
    )
    found.destinations = {one.pk: one for one in places.order_by("pk")}
    for route in Route.objects.filter(**own, account__in=wanted).order_by("pk"):
        found.routes[route.account_id].append(route)
    rows = Route.objects.filter(**own, destination__account=None, destination__isnull=False)
    found.routed_destinations = set(rows.values_list("destination_id", flat=True))
    return found


def wants(wishes: NotificationWishes | None, severity: str) -> bool:
    """Return whether a member wants a mail about something of this severity. Without wishes: every one."""
    if wishes is None:
        return True
    return wishes.by_mail and _RANK[Alert.Severity(severity)] >= _RANK[Alert.Severity(wishes.least_severity)]


def held_until(wishes: NotificationWishes | None, now: datetime, is_critical: bool) -> datetime | None:
    """Return when a member's quiet time ends (UTC), if it holds a message of now; else None."""
    if wishes is None or (is_critical and wishes.critical_breaks_quiet):
        return None
    zone = zone_of(wishes.timezone)
    return quiet_until(now, zone, wishes.quiet_from, wishes.quiet_to, wishes.quiet_weekends)
