"""Bringing an organization's numbers up to date: what tasks, the sweeper and the wake-up after a request all do."""

from datetime import datetime
from uuid import UUID

from django.db import connection

from usage.actions.roll_up import MAX_BATCHES, roll_up
from usage.actions.settle import settle

MAX_ROUNDS = 20  # then others get their turn; the next tick goes on


def organizations_waiting() -> list[UUID]:
    """Return the organizations that have batches to merge or days to settle. One cheap query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_organizations_waiting()")
        return [organization_id for (organization_id,) in cursor.fetchall()]


def catch_up(organization_id: UUID, now: datetime) -> int:
    """Merge all waiting batches of an organization and settle what they touched; return the number of batches.

    Idempotent, and safe beside any number of others doing the same.
    """
    merged = 0
    for _ in range(MAX_ROUNDS):
        done = roll_up(organization_id, now, MAX_BATCHES)
        merged += done.batches
        if not done.found_work:
            break
    settle(organization_id, now)
    return merged
