"""What people do with alerts, and what time does: acknowledged, snoozed, escalated, resolved."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from accounts.permissions import require
from budgets.actions import outbox
from budgets.actions.raising import (
    ALARMING,
    ESCALATE_MINUTES,
    OPEN_STATES,
    NewAlert,
    annotate,
    close,
    escalation_minutes,
    hold_accounts,
    log,
    raise_alerts,
    recover,
    reopen,
)
from budgets.models import Alert, AlertEvent
from consumption_cs.lib.tenancy import Viewer, act_as

__all__ = [
    "OPEN_STATES",
    "NewAlert",
    "acknowledge",
    "annotate",
    "assign",
    "close",
    "comment",
    "hold_accounts",
    "judge",
    "raise_alerts",
    "recover",
    "reopen",
    "resolve",
    "snooze",
    "tick",
]

MOST_SNOOZED = 30  # days
MOST_AT_ONCE = 500


@contextmanager
def _changing(viewer: Viewer, alert: Alert) -> Iterator[Alert]:
    """The alert as it is now, locked; what changed is saved and put into the caller's object too."""
    require(viewer, "alert.handle")
    with transaction.atomic():
        held = Alert.objects.visible_to(viewer).select_for_update().get(pk=alert.pk)
        yield held
        held.save(update_fields=_HANDLED)
        for name in _HANDLED:
            setattr(alert, name, getattr(held, name))


_HANDLED = (
    "state",
    "acknowledged_at",
    "acknowledged_by",
    "assigned_to",
    "snoozed_until",
    "escalates_at",
    "resolved_at",
    "feedback",
    "feedback_by",
    "feedback_at",
)


def acknowledge(viewer: Viewer, alert: Alert, now: datetime) -> None:
    """Somebody has seen it: it does not escalate any more. Again, or once it is resolved, changes nothing."""
    with _changing(viewer, alert) as held:
        if held.state in (Alert.State.OPEN, Alert.State.SNOOZED):
            held.state, held.escalates_at = Alert.State.ACKNOWLEDGED, None
            held.acknowledged_at, held.acknowledged_by_id = now, viewer.user_id
            log([held], AlertEvent.Kind.ACKNOWLEDGED, now, by=viewer.user_id)


def snooze(viewer: Viewer, alert: Alert, until: datetime, now: datetime) -> None:
    """Leave it alone until a moment within 30 days; limits go on. Raises ValidationError in words."""
    if not now < until <= now + timedelta(days=MOST_SNOOZED):
        raise ValidationError(f"Choose a time from now on, at most {MOST_SNOOZED} days ahead.")
    with _changing(viewer, alert) as held:
        if held.state == Alert.State.RESOLVED:
            raise ValidationError("This alert is resolved: there is nothing to snooze.")
        held.state, held.snoozed_until, held.escalates_at = Alert.State.SNOOZED, until, None
        log([held], AlertEvent.Kind.SNOOZED, now, f"Until {until:%Y-%m-%d %H:%M} UTC", viewer.user_id)


def assign(viewer: Viewer, alert: Alert, user: User | None, now: datetime) -> None:
    """Give it to somebody, or to nobody. The same again changes nothing."""
    with _changing(viewer, alert) as held:
        if held.assigned_to_id != (user.pk if user else None):
            held.assigned_to = user
            log([held], AlertEvent.Kind.ASSIGNED, now, f"To {user}" if user else "To nobody", viewer.user_id)


def comment(viewer: Viewer, alert: Alert, text: str, now: datetime, internal: bool = False) -> None:
    """Add a comment to its log; an internal one is never shown to the customer. Raises ValidationError if empty."""
    require(viewer, "alert.handle")
    if not text.strip():
        raise ValidationError("Write a comment first.")
    if internal and viewer.is_portal:
        raise ValidationError("Only the vendor's staff write internal comments.")
    AlertEvent.objects.create(
        organization_id=alert.organization_id,
        account_id=alert.account_id,
        alert=Alert.objects.visible_to(viewer).get(pk=alert.pk),
        kind=AlertEvent.Kind.COMMENTED,
        at=now,
        by_id=viewer.user_id,
        text=text.strip(),
        is_internal=internal,
    )


def judge(viewer: Viewer, alert: Alert, feedback: str, now: datetime) -> None:
    """Say whether it was useful, expected or wrong. The last word counts. Raises ValidationError."""
    if feedback not in Alert.Feedback.values:
        raise ValidationError("Choose: useful, expected or wrong.")
    with _changing(viewer, alert) as held:
        if (held.feedback, held.feedback_by_id) != (feedback, viewer.user_id):
            held.feedback, held.feedback_by_id, held.feedback_at = feedback, viewer.user_id, now
            log([held], AlertEvent.Kind.FEEDBACK, now, str(Alert.Feedback(feedback).label), viewer.user_id)


def resolve(viewer: Viewer, alert: Alert, now: datetime) -> None:
    """Close it by hand. Again changes nothing."""
    with _changing(viewer, alert) as held:
        if held.state != Alert.State.RESOLVED:
            held.state, held.resolved_at, held.escalates_at = Alert.State.RESOLVED, now, None
            log([held], AlertEvent.Kind.RESOLVED, now, by=viewer.user_id)


def tick(organization_id: UUID, now: datetime) -> int:
    """Escalate what nobody acknowledged, wake what was snoozed, resolve what lies in a period that is over.

    Opens its own transaction; a second call changes nothing. Returns how many alerts changed.
    """
    with act_as(Viewer(organization_id)):
        rows = Alert.objects.filter(organization_id=organization_id).select_for_update(skip_locked=True)
        over = list(
            rows.filter(state__in=OPEN_STATES, budget__isnull=False, period_end__lte=now).order_by("pk")[:MOST_AT_ONCE]
        )
        close(now, over, "The period is over.")
        awake = list(rows.filter(state=Alert.State.SNOOZED, snoozed_until__lte=now).order_by("pk")[:MOST_AT_ONCE])
        _wake(organization_id, now, awake)
        late = list(rows.filter(state=Alert.State.OPEN, escalates_at__lte=now).order_by("pk")[:MOST_AT_ONCE])
        _escalate(organization_id, now, late)
        return len(over) + len(awake) + len(late)


def _wake(organization_id: UUID, now: datetime, alerts: Sequence[Alert]) -> None:
    if not alerts:
        return
    minutes = escalation_minutes(organization_id, {alert.account_id for alert in alerts})
    for alert in alerts:
        alert.state = Alert.State.OPEN
        if alert.severity in ALARMING and alert.acknowledged_at is None:
            alert.escalates_at = now + timedelta(minutes=minutes.get(alert.account_id, ESCALATE_MINUTES))
    Alert.objects.bulk_update(alerts, ["state", "escalates_at"])
    log(alerts, AlertEvent.Kind.WOKEN, now)


def _escalate(organization_id: UUID, now: datetime, alerts: Sequence[Alert]) -> None:
    if not alerts:
        return
    for alert in alerts:
        alert.escalated_at, alert.escalates_at = now, None
    Alert.objects.bulk_update(alerts, ["escalated_at", "escalates_at"])
    log(alerts, AlertEvent.Kind.ESCALATED, now, "Nobody has acknowledged it.")
    outbox.tell(organization_id, now, "alert.escalated", alerts)
