"""What a customer of the two worlds has of budgets, limits, alerts and messages, every text with the canary."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.models import Account, Membership
from budgets.models import (
    Alert,
    AlertEvent,
    AlertTerms,
    Anomaly,
    Budget,
    BudgetRule,
    BudgetVersion,
    Delivery,
    DeliveryAttempt,
    Destination,
    Forgiveness,
    Limit,
    LimitEvent,
    LimitState,
    NotificationWishes,
    Route,
)
from usage.models import Workflow

INTERNAL = "internal"  # follows the canary in what staff write among themselves: no customer may ever read it


@dataclass
class Guarded:
    """The rows that a URL can name."""

    budget: Budget
    alert: Alert
    destination: Destination
    delivery: Delivery
    forgiveness: Forgiveness
    staff_delivery: Delivery
    route: Route


def make_guarded(
    account: Account, workflow: Workflow, member: Membership, staff: Membership, canary: str, now: datetime
) -> Guarded:
    """Build a budget with a limit that acts, an alert with its log, a credit asked for, and what was sent."""
    own: dict[str, Any] = {"organization": account.organization, "account": account}
    budget = _budget(own, workflow, canary, now)
    alert = _alert(own, workflow, budget, staff, canary, now)
    AlertTerms.objects.create(**own)
    destination = _destination(own, f"{canary} hook")
    NotificationWishes.objects.create(**own, membership=member)
    route = Route.objects.create(**own, budget=budget, destination=destination)
    return Guarded(
        budget=budget,
        alert=alert,
        destination=destination,
        delivery=_delivery(own, alert, canary, now, destination=destination),
        forgiveness=Forgiveness.objects.create(
            **own, alert=alert, amount=7, currency=account.currency, reason=f"{canary} reason"
        ),
        staff_delivery=_delivery(
            own, alert, f"{canary}-{INTERNAL}", now, is_internal=True, membership=staff, email=staff.user.email
        ),
        route=route,
    )


def _budget(own: dict[str, Any], workflow: Workflow, canary: str, now: datetime) -> Budget:
    budget: Budget = Budget.objects.create(**own, name=f"{canary} budget", scope="workflow", workflow=workflow)
    version = BudgetVersion.objects.create(
        **own, budget=budget, number=1, amount=100, currency=own["account"].currency
    )
    BudgetRule.objects.create(**own, version=version, kind="actual_percent", value=80)
    limit = Limit.objects.create(
        **own, budget=budget, number=1, action=Limit.Action.STOP, lift_roles=["admin", "csm", "portal_owner"]
    )
    window = {"period_start": now - timedelta(days=3), "period_end": now + timedelta(days=20)}
    LimitState.objects.create(
        **own, **window, budget=budget, limit=limit, state=LimitState.State.ACTING, since=now, used=150, reached_at=now
    )
    LimitEvent.objects.create(
        **own, budget=budget, limit=limit, kind="acting", period_start=window["period_start"], at=now, used=150,
        amount=100, reason=f"{canary} why",
    )  # fmt: skip
    return budget


def _alert(
    own: dict[str, Any], workflow: Workflow, budget: Budget, staff: Membership, canary: str, now: datetime
) -> Alert:
    anomaly = Anomaly.objects.create(
        **own, kind="spike", workflow=workflow, started_at=now - timedelta(hours=5), detected_at=now,
        seen_until=now - timedelta(hours=1), window_hours=4, score=9, expected=10, actual=90, impact=80,
    )  # fmt: skip
    alert: Alert = Alert.objects.create(
        **own, number=1, kind="spike", crossing=f"anomaly:{anomaly.pk}", anomaly=anomaly, workflow=workflow,
        headline=f"{canary} doubled", numbers={"impact": "80", "actual": "90", "expected": "10"}, raised_at=now,
    )  # fmt: skip
    AlertEvent.objects.create(**own, alert=alert, kind="raised", at=now, text=f"{canary} raised")
    AlertEvent.objects.create(
        **own, alert=alert, kind="commented", at=now, by=staff.user, text=f"{canary}-{INTERNAL}", is_internal=True
    )
    Alert.objects.create(
        **own, number=2, kind="actual_percent", crossing="budget", budget=budget, headline=f"{canary} at 80 %",
        version=budget.versions.first(), threshold=80, raised_at=now, period_start=now - timedelta(days=3),
        period_end=now + timedelta(days=20),
    )  # fmt: skip
    return alert


def _destination(own: dict[str, Any], name: str) -> Destination:
    return Destination.objects.create(
        **own, kind="webhook", name=name, address=b"", shown=f"{name}.example", by_customer=True
    )


def _delivery(own: dict[str, Any], alert: Alert, canary: str, now: datetime, **more: Any) -> Delivery:
    delivery: Delivery = Delivery.objects.create(
        **own, alert=alert, topic="alert.raised", key=f"{canary} {alert.pk}", next_at=now, note=f"{canary} note",
        state=Delivery.State.DEAD, payload={"subject": canary, "text": canary, "html": canary, "url": "/"}, **more,
    )  # fmt: skip
    internal = more.get("is_internal", False)
    DeliveryAttempt.objects.create(
        organization=own["organization"], account=None if internal else own["account"], delivery=delivery, at=now,
        milliseconds=5, status=500, error=f"{canary} error",
    )  # fmt: skip
    return delivery
