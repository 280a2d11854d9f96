"""Alerts: raised once for each crossing, told, handled by people, escalated, recovered and resolved."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q

from accounts.models import User
from accounts.permissions import require
from budgets.models import Alert, AlertEvent, AlertTerms
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer

MOST_TOLD, BUNDLE_DAYS = 3, 7  # alerts of one account told one by one
ESCALATE_MINUTES = 240  # without AlertTerms
_ALARMING = (Alert.Severity.WARNING, Alert.Severity.CRITICAL)
OPEN_STATES = (Alert.State.OPEN, Alert.State.ACKNOWLEDGED, Alert.State.SNOOZED)


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


def raise_alerts(organization_id: UUID, now: datetime, new: Sequence[NewAlert]) -> list[Alert]:
    """Record what has not been recorded yet, by crossing, and tell it; return the alerts that are new.

    In the caller's transaction (`act_as`), with the accounts locked. Silent ones are recorded only. More than three
    told alerts of an account within a week: later ones below critical go into the latest open one instead of being
    told one by one.
    """
    return []


def acknowledge(viewer: Viewer, alert: Alert, now: datetime) -> None:
    """Somebody has seen it: it does not escalate any more. Again changes nothing."""


def snooze(viewer: Viewer, alert: Alert, until: datetime, now: datetime) -> None:
    """Leave it alone until a moment within 30 days; limits go on. Raises ValidationError in words."""


def assign(viewer: Viewer, alert: Alert, user: User | None, now: datetime) -> None:
    """Give it to somebody, or to nobody."""


def comment(viewer: Viewer, alert: Alert, text: str, now: datetime, internal: bool = False) -> None:
    """Add a comment to its log; an internal one is never shown to the customer. Raises ValidationError if empty."""


def judge(viewer: Viewer, alert: Alert, feedback: str, now: datetime) -> None:
    """Say whether it was useful, expected or wrong. The last word counts. Raises ValidationError."""


def resolve(viewer: Viewer, alert: Alert, now: datetime) -> None:
    """Close it by hand. Again changes nothing."""


def tick(organization_id: UUID, now: datetime) -> int:
    """Escalate what nobody acknowledged, wake what was snoozed, resolve what recovered or whose period is over.

    Opens its own transaction; a second call changes nothing. Returns how many alerts changed.
    """
    return 0
