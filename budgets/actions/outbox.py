"""The outbox: what is to be told is written in the transaction of what happened, and sent by workers."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from budgets.models import Alert, LimitEvent


def tell(organization_id: UUID, now: datetime, topic: str, alerts: Sequence[Alert]) -> None:
    """Write a delivery for each receiver of each alert. `topic`: alert.raised, .reopened, .recovered or .escalated."""


def tell_limit(organization_id: UUID, now: datetime, limit_events: Sequence[LimitEvent]) -> None:
    """Write a delivery for each receiver of each step of a limit."""
