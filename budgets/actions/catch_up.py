"""Bringing an organization's numbers up to date: what tasks, the sweeper and the wake-up after a request all do."""

import time
from collections.abc import Callable
from datetime import datetime
from math import inf
from random import sample
from uuid import UUID

from django.db import connection

from budgets.actions.settle import settle
from usage.actions.roll_up import roll_up

SECONDS_TO_ROLL_UP = 0.5  # what comes in waits so long while others are settled
FEW_BATCHES = 50  # no backlog
SECONDS_FOR_ONE = 3.0  # then the next organization has its turn
SECONDS_FOR_ALL = 20.0  # then the tick ends, well before its time limit; the next one goes on


def organizations_waiting() -> list[UUID]:
    """Return the organizations that have batches to merge or days to settle, in any order. One cheap query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_organizations_waiting()")
        waiting = [organization_id for (organization_id,) in cursor.fetchall()]
    # So that under a load that never ends nobody is always last.
    return sample(waiting, len(waiting))


def catch_up(organization_id: UUID, now: datetime, seconds: float = inf) -> int:
    """Merge all waiting batches of an organization and settle what they touched; return the number of batches.

    Idempotent, and safe beside any number of others doing the same. Stops when `seconds` have passed, after the
    transaction that is under way: the rest waits for the next call. What comes in while many accounts are settled is
    merged in between, so that it waits for its account's turn and not for everybody's.
    """
    start = time.monotonic()
    merged = 0
    while time.monotonic() - start < seconds:
        done = roll_up(organization_id, now)
        merged += done.batches
        if not done.found_work or (done.batches < FEW_BATCHES and time.monotonic() - start > SECONDS_TO_ROLL_UP):
            break  # under a load that never ends there is always a little more
    last = time.monotonic()

    def roll_up_now_and_then() -> None:
        nonlocal merged, last
        if time.monotonic() - last > SECONDS_TO_ROLL_UP:
            merged += roll_up(organization_id, now).batches
            last = time.monotonic()

    settle(organization_id, now, seconds=seconds, between=roll_up_now_and_then)
    return merged


def catch_up_all(clock: Callable[[], datetime], wanted: Callable[[], bool] = lambda: True) -> int:
    """Catch up every organization that waits, in short turns, while `wanted`; return the number of batches."""
    start = time.monotonic()
    merged = 0
    for organization_id in organizations_waiting():
        if not wanted() or time.monotonic() - start > SECONDS_FOR_ALL:
            break
        merged += catch_up(organization_id, clock(), SECONDS_FOR_ONE)
    return merged


def settle_all(clock: Callable[[], datetime]) -> int:
    """Settle every organization that waits, in short turns; return the number of days."""
    start = time.monotonic()
    settled = 0
    for organization_id in organizations_waiting():
        if time.monotonic() - start > SECONDS_FOR_ALL:
            break
        settled += settle(organization_id, clock(), seconds=SECONDS_FOR_ONE)
    return settled
