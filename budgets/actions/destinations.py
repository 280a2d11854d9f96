"""Destinations: made, rotated, tested, switched on again, removed; deliveries sent again; routes and wishes."""

import secrets
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account, Membership
from accounts.permissions import require
from budgets.models import Budget, Delivery, Destination, Route
from consumption_cs.lib.sealed import seal
from consumption_cs.lib.tenancy import Viewer

OLD_SECRET_FOR = timedelta(hours=24)
BETWEEN_TESTS = timedelta(seconds=10)
MOST_DESTINATIONS, MOST_ROUTES = 30, 200  # of an account, or of the organization itself
Kind = Destination.Kind


def new_secret() -> str:
    """Return a secret of Standard Webhooks: whsec_ and 32 random bytes."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def add_destination(
    viewer: Viewer, account: Account | None, kind: str, name: str, address: str, shown: str, topics: list[str]
) -> tuple[Destination, str]:
    """Make a destination of an account, which then hears all its alerts, or of the organization.

    `address` was checked by the form. Returns it with the webhook's secret, which is never shown again. Raises
    ValidationError if there are too many.
    """
    require(viewer, "destination.manage")
    if account is None and viewer.is_portal:
        raise PermissionDenied("Only staff manage the organization's destinations.")
    if Destination.objects.visible_to(viewer).filter(account=account, removed_at=None).count() >= MOST_DESTINATIONS:
        raise ValidationError(f"There are {MOST_DESTINATIONS} destinations already. Remove one first.")
    secret = new_secret() if kind == Kind.WEBHOOK else ""
    with transaction.atomic():
        made = Destination.objects.create(
            organization_id=viewer.organization_id, account=account, kind=kind, name=name, address=seal(address),
            shown=shown[:200], secret=seal(secret) if secret else None, topics=topics,
            by_customer=viewer.is_portal, created_by_id=viewer.user_id,
        )  # fmt: skip
        if account is not None:
            Route.objects.create(organization_id=viewer.organization_id, account=account, destination=made)
        audit(viewer, "destination.added", made, made.name, {"kind": kind, "address": made.shown})
    return made, secret


def rotate(viewer: Viewer, place: Destination, now: datetime) -> str:
    """Give a webhook a new secret; the old one signs too for 24 hours. Returns the new one, shown once.

    Staff never learn the secret of a customer's own webhook.
    """
    require(viewer, "destination.manage")
    if place.by_customer != viewer.is_portal:
        raise PermissionDenied("Only those who set this webhook up may have its secret.")
    secret = new_secret()
    with transaction.atomic():
        place.old_secret, place.old_secret_until, place.secret = place.secret, now + OLD_SECRET_FOR, seal(secret)
        place.save(update_fields=["old_secret", "old_secret_until", "secret"])
        audit(viewer, "destination.secret_rotated", place, place.name)
    return secret


def send_test(viewer: Viewer, place: Destination, now: datetime) -> Delivery:
    """Put a message that says it is a test into the outbox; it is tried once.

    Raises ValidationError if one was sent just now.
    """
    require(viewer, "destination.manage")
    tests = Delivery.objects.visible_to(viewer).filter(destination=place, topic="test")
    if tests.filter(next_at__gt=now - BETWEEN_TESTS).exists():
        raise ValidationError("A test was sent just now. Wait ten seconds for what becomes of it.")
    text = "This is a test from Consumption CS. Nothing has happened."
    message: dict[str, Any] = {"subject": f"Test of “{place.name}”", "heading": "This is a test", "text": text}
    body = {"type": "test", "timestamp": now.isoformat(), "data": {"text": text}}
    row: Delivery = Delivery.objects.create(
        organization_id=place.organization_id, account_id=place.account_id, destination=place, topic="test",
        key=f"test:{uuid4()}", payload=body if place.kind == Kind.WEBHOOK else message, next_at=now,
        is_internal=not place.by_customer,
    )  # fmt: skip
    return row


def switch_on(viewer: Viewer, place: Destination) -> None:
    """Send to it again, after it was switched off."""
    require(viewer, "destination.manage")
    place.disabled_at, place.failing_since, place.disabled_reason = None, None, ""
    with transaction.atomic():
        place.save(update_fields=["disabled_at", "failing_since", "disabled_reason"])
        audit(viewer, "destination.switched_on", place, place.name)


def remove(viewer: Viewer, place: Destination, now: datetime) -> None:
    """Send nothing more to it, and forget its address and secrets; what was sent stays in the log."""
    require(viewer, "destination.manage")
    with transaction.atomic():
        place.removed_at, place.address = now, b""
        place.secret = place.old_secret = place.old_secret_until = None
        place.save(update_fields=["removed_at", "address", "secret", "old_secret", "old_secret_until"])
        Route.objects.filter(organization_id=place.organization_id, destination=place).delete()
        waiting = Delivery.objects.filter(organization_id=place.organization_id, destination=place)
        waiting.filter(state=Delivery.State.WAITING).update(
            state=Delivery.State.CANCELLED, note="The destination was removed."
        )
        audit(viewer, "destination.removed", place, place.name)


def replay(viewer: Viewer, row: Delivery, now: datetime) -> None:
    """Send a message that was given up again, under the same id, with all its tries before it."""
    require(viewer, "destination.manage")
    with transaction.atomic():
        held = Delivery.objects.visible_to(viewer).select_for_update().get(pk=row.pk)
        if held.state in (Delivery.State.DEAD, Delivery.State.CANCELLED):
            held.state, held.attempts, held.next_at = Delivery.State.WAITING, 0, now
            held.note, held.leased_until = "Sent again by hand.", None
            held.save(update_fields=["state", "attempts", "next_at", "note", "leased_until"])
            audit(viewer, "delivery.sent_again", held, held.topic)


def add_route(
    viewer: Viewer,
    account: Account,
    budget: Budget | None,
    seat: Membership | None,
    place: Destination | None,
    is_escalation: bool,
) -> Route:
    """Let a person or a destination hear of a budget, or of all alerts of the account. Again changes nothing.

    Raises ValidationError if there are too many.
    """
    require(viewer, "destination.manage")
    if Route.objects.visible_to(viewer).filter(account=account).count() >= MOST_ROUTES:
        raise ValidationError(f"There are {MOST_ROUTES} lines already. Remove one first.")
    route, is_new = Route.objects.get_or_create(
        organization_id=viewer.organization_id, account=account, budget=budget, membership=seat, destination=place,
        is_escalation=is_escalation,
    )  # fmt: skip
    if is_new:
        audit(viewer, "route.added", route, _told(route))
    return route


def remove_route(viewer: Viewer, route: Route) -> None:
    """They hear of it no more."""
    require(viewer, "destination.manage")
    audit(viewer, "route.removed", route, _told(route))
    route.delete()


def _told(route: Route) -> str:
    who = route.membership.user if route.membership else route.destination
    return f"{who}: {route.budget or 'every alert'}"
