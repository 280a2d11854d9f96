"""Alerts that are raised once for each crossing, and what becomes of them without a person."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Max, Q

from budgets.actions import outbox
from budgets.models import Alert, AlertEvent, AlertTerms

MOST_TOLD, BUNDLE_DAYS = 3, 7  # alerts of one account told one by one
ESCALATE_MINUTES = 240  # without AlertTerms
ALARMING = (Alert.Severity.WARNING, Alert.Severity.CRITICAL)
OPEN_STATES = (Alert.State.OPEN, Alert.State.ACKNOWLEDGED, Alert.State.SNOOZED)

_DUE = """
INSERT INTO usage_settlement AS kept (organization_id, account_id, due_at) VALUES (%s, %s, %s)
ON CONFLICT (organization_id, account_id) DO UPDATE SET due_at = LEAST(kept.due_at, excluded.due_at)
"""


@dataclass(frozen=True, slots=True)
class NewAlert:
    """What is to be told, with the numbers it rests on ({name: decimal as text}); see Alert for the fields.

    `crossing` makes it unique within the account. `is_silent`: recorded, nobody is told.
    """

    account_id: UUID
    kind: str
    crossing: str
    headline: str
    severity: str = Alert.Severity.WARNING
    budget_id: UUID | None = None
    version_id: UUID | None = None
    anomaly_id: UUID | None = None
    workflow_id: UUID | None = None
    threshold: Decimal | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    numbers: dict[str, str] = field(default_factory=dict)
    cause: dict[str, Any] | None = None
    is_silent: bool = False
    accepted_at: datetime | None = None
    data_through: datetime | None = None


def look_soon(organization_id: UUID, account_id: UUID, now: datetime) -> None:
    """Have settlement look at the account. Before the account is held: settlement locks in this order too."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [organization_id, account_id, now])


def hold_accounts(organization_id: UUID, account_ids: Iterable[UUID | str]) -> None:
    """Lock the accounts' alerts and budgets until the transaction ends; whoever waits then sees what is written.

    In order of their ids. To be taken once, for all accounts of the transaction, before anything is decided.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM accounts_account WHERE organization_id = %s AND id = ANY(%s::uuid[])"
            " ORDER BY id FOR NO KEY UPDATE",
            [organization_id, [str(one) for one in account_ids]],
        )


def raise_alerts(organization_id: UUID, now: datetime, new: Sequence[NewAlert], *, tells: bool = True) -> list[Alert]:
    """Record what has not been recorded yet, by crossing, and tell it; return the alerts that are new.

    In the caller's transaction (`act_as`), which holds the accounts from here on. Silent ones are recorded only. More
    than three told alerts of an account within a week: later ones below critical go into the latest open one instead
    of being told one by one. `tells` False: the caller tells of them itself.
    """
    if not new:
        return []
    hold_accounts(organization_id, {one.account_id for one in new})
    known = _known(organization_id, new)
    wanted = []
    for one in new:
        if (one.account_id, one.crossing) not in known:
            known.add((one.account_id, one.crossing))
            wanted.append(one)
    if not wanted:
        return []
    desks = _desks(organization_id, now, {one.account_id for one in wanted})
    alerts = [_made(organization_id, now, one, desks[one.account_id]) for one in wanted]
    Alert.objects.bulk_create(alerts)
    log(alerts, AlertEvent.Kind.RAISED, now, lambda alert: alert.headline)
    log([a for a in alerts if a.bundled_into_id], AlertEvent.Kind.BUNDLED, now, _bundled_words)
    told = [alert for alert in alerts if not alert.is_silent and alert.bundled_into_id is None]
    if told and tells:
        outbox.tell(organization_id, now, "alert.raised", told)
    return alerts


def _known(organization_id: UUID, new: Sequence[NewAlert]) -> set[tuple[UUID, str]]:
    rows = Alert.objects.filter(
        organization_id=organization_id,
        account_id__in={one.account_id for one in new},
        crossing__in={one.crossing for one in new},
    )
    return set(rows.values_list("account_id", "crossing"))


@dataclass(slots=True)
class _Desk:
    """What an account's next alert needs to know of those before."""

    number: int = 0
    told: int = 0  # within the week
    latest: Alert | None = None  # open and told
    escalate: timedelta = timedelta(minutes=ESCALATE_MINUTES)


def _desks(organization_id: UUID, now: datetime, accounts: set[UUID]) -> dict[UUID, _Desk]:
    desks = {account: _Desk() for account in accounts}
    rows = Alert.objects.filter(organization_id=organization_id, account_id__in=accounts)
    told = Q(is_silent=False, bundled_into=None)
    recent = told & Q(raised_at__gt=now - timedelta(days=BUNDLE_DAYS))
    counted = rows.order_by().values("account_id").annotate(last=Max("number"), told=Count("pk", filter=recent))
    for row in counted:
        desks[row["account_id"]].number, desks[row["account_id"]].told = row["last"], row["told"]
    open_ones = rows.filter(told, state__in=OPEN_STATES).order_by("account_id", "-raised_at", "-number")
    for alert in open_ones.distinct("account_id"):
        desks[alert.account_id].latest = alert
    for account, minutes in escalation_minutes(organization_id, accounts).items():
        desks[account].escalate = timedelta(minutes=minutes)
    return desks


def escalation_minutes(organization_id: UUID, accounts: Iterable[UUID]) -> dict[UUID, int]:
    """Return after how many minutes an alert escalates, of the accounts that have terms of their own."""
    rows = AlertTerms.objects.filter(organization_id=organization_id, account_id__in=list(accounts))
    return dict(rows.values_list("account_id", "escalate_minutes"))


def _made(organization_id: UUID, now: datetime, new: NewAlert, desk: _Desk) -> Alert:
    desk.number += 1
    fields = {field.name: getattr(new, field.name) for field in dataclass_fields(new)}
    alert = Alert(organization_id=organization_id, number=desk.number, raised_at=now, **fields)
    if new.is_silent:
        return alert
    if desk.told >= MOST_TOLD and new.severity != Alert.Severity.CRITICAL and desk.latest is not None:
        alert.bundled_into = desk.latest
        return alert
    if new.severity in ALARMING:
        alert.escalates_at = now + desk.escalate
    desk.told, desk.latest = desk.told + 1, alert
    return alert


def _bundled_words(alert: Alert) -> str:
    into = alert.bundled_into
    return f"More than {MOST_TOLD} alerts within {BUNDLE_DAYS} days: part of alert {into.number if into else ''}."


def log(
    alerts: Sequence[Alert], kind: str, now: datetime, words: Callable[[Alert], str] | str = "", by: UUID | None = None
) -> None:
    """Add a line to each alert's log: `words` are the same for all, or made from the alert; `by` a user's id."""
    AlertEvent.objects.bulk_create(
        AlertEvent(
            organization_id=alert.organization_id,
            account_id=alert.account_id,
            alert=alert,
            kind=kind,
            at=now,
            by_id=by,
            text=words if isinstance(words, str) else words(alert),
        )
        for alert in alerts
    )


def annotate(now: datetime, alert: Alert, text: str) -> None:
    """Note that the numbers of an alert changed later. It stays what it is: it is not raised again."""
    log([alert], AlertEvent.Kind.ANNOTATED, now, text)


def recover(
    organization_id: UUID, now: datetime, alerts: Sequence[Alert], words: str = "", *, is_told: bool = True
) -> None:
    """The figures went back by themselves: resolved, and told once. In the caller's transaction."""
    back = [alert for alert in alerts if alert.recovered_at is None]
    open_ones = [alert for alert in back if alert.state != Alert.State.RESOLVED]
    for alert in back:
        alert.recovered_at, alert.escalates_at = now, None
        if alert.state != Alert.State.RESOLVED:
            alert.state, alert.resolved_at = Alert.State.RESOLVED, now
    Alert.objects.bulk_update(back, ["recovered_at", "escalates_at", "state", "resolved_at"])
    log(back, AlertEvent.Kind.RECOVERED, now, words)
    told = [alert for alert in open_ones if not alert.is_silent and alert.bundled_into_id is None]
    if told and is_told:
        outbox.tell(organization_id, now, "alert.recovered", told)


def reopen(organization_id: UUID, now: datetime, alerts: Sequence[Alert], words: str = "") -> None:
    """What had recovered is back within its period: the same alert, open again. In the caller's transaction."""
    if not alerts:
        return
    minutes = escalation_minutes(organization_id, {alert.account_id for alert in alerts})
    for alert in alerts:
        alert.recovered_at = alert.resolved_at = None
        alert.state = Alert.State.OPEN
        if alert.severity in ALARMING and not alert.is_silent and alert.bundled_into_id is None:
            alert.escalates_at = now + timedelta(minutes=minutes.get(alert.account_id, ESCALATE_MINUTES))
    Alert.objects.bulk_update(alerts, ["recovered_at", "resolved_at", "state", "escalates_at"])
    log(alerts, AlertEvent.Kind.REOPENED, now, words)
    told = [alert for alert in alerts if not alert.is_silent and alert.bundled_into_id is None]
    if told:
        outbox.tell(organization_id, now, "alert.reopened", told)


def close(now: datetime, alerts: Sequence[Alert], words: str) -> None:
    """Resolve without a person: the period is over, or the budget was changed. In the caller's transaction."""
    for alert in alerts:
        alert.state, alert.resolved_at, alert.escalates_at = Alert.State.RESOLVED, now, None
    Alert.objects.bulk_update(alerts, ["state", "resolved_at", "escalates_at"])
    log(alerts, AlertEvent.Kind.RESOLVED, now, words)
