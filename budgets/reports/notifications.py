"""Destinations, routes and the delivery log as their readers may see them."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, Q, QuerySet

from accounts.models import Account, Membership
from budgets.models import Budget, Delivery, DeliveryAttempt, Destination, Route
from consumption_cs.lib.tenancy import Viewer

_TONES = {"waiting": "info", "delivered": "good", "dead": "bad", "cancelled": "none"}
TOPICS = {
    "alert.raised": "Alert",
    "alert.reopened": "Alert is back",
    "alert.recovered": "Alert recovered",
    "alert.escalated": "Alert escalated",
    "limit.warned": "Limit is close",
    "limit.reached": "Limit reached",
    "limit.acting": "Limit in force",
    "limit.would_act": "Limit would act (dry run)",
    "limit.lifted": "Limit lifted",
    "limit.cleared": "Limit cleared",
    "limit.tested": "Limit rehearsal",
    "health.changed": "Health changed its band",
    "signal.opened": "Early warning opened",
    "signal.closed": "Early warning over",
    "play.started": "Play started",
    "play.step_done": "Step of a play done",
    "play.ended": "Play ended",
    "play.late": "Play is late",
    "rung.proposed": "A workflow may step up or back",
    "rung.decided": "Rung of a workflow decided",
    "outcome.proposed": "Value of an outcome proposed",
    "outcome.confirmed": "Value of an outcome confirmed",
    "outcome.declined": "Value of an outcome declined",
    "review.published": "Value review published",
    "review.signed": "Value review signed off",
    "review.commented": "Comment on a value review",
    "review.correction_asked": "Correction of a value review asked for",
    "review.corrected": "Value review corrected",
    "task.created": "Task added",
    "task.done": "Task done",
    "digest.daily": "Daily digest",
    "digest.weekly": "Monday digest",
    "delivery.given_up": "Message given up",
    "test": "Test",
}


def destinations(viewer: Viewer, account: Account | None) -> "QuerySet[Destination]":
    """Return the destinations in use of one account, or with None of the organization; customers see their own."""
    rows: QuerySet[Destination] = Destination.objects.visible_to(viewer).filter(account=account, removed_at=None)
    if viewer.is_portal:
        rows = rows.filter(by_customer=True)
    return rows.order_by("name", "pk")


def routes(viewer: Viewer, account: Account) -> "QuerySet[Route]":
    """Return who hears what of an account; customers read of their own people and destinations only."""
    rows: QuerySet[Route] = Route.objects.visible_to(viewer).filter(account=account)
    if viewer.is_portal:
        rows = rows.filter(Q(membership__account=account) | Q(destination__by_customer=True))
    rows = rows.select_related("budget", "membership__user", "destination")
    return rows.order_by("budget__name", "is_escalation", "pk")


def seats_to_tell(viewer: Viewer, account: Account) -> "QuerySet[Membership]":
    """Return the people who may be named: the account's and, for staff, the vendor's."""
    seats: QuerySet[Membership] = Membership.objects.visible_to(viewer).filter(user__is_active=True)
    own = Q(account=account) if viewer.is_portal else Q(account=account) | Q(account=None)
    return seats.filter(own).select_related("user").order_by("user__name", "user__email")


def budgets_to_tell(viewer: Viewer, account: Account) -> "QuerySet[Budget]":
    """Return the budgets that a route may be about."""
    rows: QuerySet[Budget] = Budget.objects.visible_to(viewer).filter(account=account, archived_at=None)
    return rows.order_by("name", "pk")


def places_to_tell(viewer: Viewer, account: Account) -> "QuerySet[Destination]":
    """Return the destinations that a route of the account may lead to."""
    rows: QuerySet[Destination] = Destination.objects.visible_to(viewer).filter(removed_at=None)
    if viewer.is_portal:
        return rows.filter(account=account, by_customer=True).order_by("name")
    return rows.filter(Q(account=account) | Q(account=None)).order_by("name")


def deliveries(viewer: Viewer, account: Account | None) -> "QuerySet[Delivery]":
    """Return the log, newest first, with its tries. Customers never see what went to staff."""
    rows: QuerySet[Delivery] = Delivery.objects.visible_to(viewer)
    if account is not None:
        rows = rows.filter(account=account)
    tries = DeliveryAttempt.objects.visible_to(viewer).order_by("at")
    if viewer.is_portal:
        rows = rows.filter(is_internal=False)
    rows = rows.select_related("destination", "membership__user", "account")
    return rows.prefetch_related(Prefetch("tries", tries)).order_by("-created_at", "-pk")


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One message of the log, in words."""

    row: Delivery
    now: datetime

    @property
    def topic_name(self) -> str:
        return TOPICS.get(self.row.topic, self.row.topic)

    @property
    def subject(self) -> str:
        data = self.row.payload.get("data", {}) if isinstance(self.row.payload, dict) else {}
        return str(self.row.payload.get("heading") or data.get("headline") or data.get("text") or "")

    @property
    def receiver(self) -> str:
        return self.row.destination.name if self.row.destination else self.row.email

    @property
    def tone(self) -> str:
        return _TONES[self.row.state]

    @property
    def may_replay(self) -> bool:
        return self.row.state in (Delivery.State.DEAD, Delivery.State.CANCELLED)

    @property
    def is_retrying(self) -> bool:
        return self.row.state == Delivery.State.WAITING and self.row.next_at > self.now
