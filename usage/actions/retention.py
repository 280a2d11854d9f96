"""Room ahead and forgetting behind: partitions for the months to come, and rows whose time is over."""

from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import connection

from accounts.models import Organization
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.imports.create import UNDO_FOR
from usage.actions.roll_up import HOURS_KEPT

MONTHS_AHEAD = 3
REJECTED_KEPT = timedelta(days=90)
BATCHES_KEPT = timedelta(days=90)
IDEMPOTENCY_KEYS_KEPT = timedelta(hours=24)
_AT_ONCE = 10_000
# Until then a closed import can be undone. What was wrong with its rows and what it changed stay to be read.
_OF_ENDED_IMPORTS = (
    "usage_import_id IN (SELECT id FROM usage_import WHERE state IN ('closed', 'undone', 'reverted')"
    " AND coalesce(ended_at, closed_at) < %s)"
)

# Each deletes at most a bounded number of rows of one organization, so that no lock is held for long.
_FORGET = {
    "usage_hour": ("starts_at < %s", HOURS_KEPT),
    "usage_rejectedevent": ("received_at < %s", REJECTED_KEPT),
    "accounts_idempotencykey": ("created_at < %s", IDEMPOTENCY_KEYS_KEPT),
    "usage_import_row": (_OF_ENDED_IMPORTS, UNDO_FOR),
    "usage_import_sum": (_OF_ENDED_IMPORTS, UNDO_FOR),
    "usage_import_chunk": (_OF_ENDED_IMPORTS, UNDO_FOR),
    "usage_ingestbatch": ("rolled_at IS NOT NULL AND received_at < %s", BATCHES_KEPT),
}


def make_partitions(now: datetime) -> int:
    """Make the event table's partitions of this month, the last, and the next ones; return how many were missing."""
    first = now.date().replace(day=1)
    made = 0
    with connection.cursor() as cursor:
        for month in range(-1, MONTHS_AHEAD + 1):
            cursor.execute("SELECT usage_make_partition(%s)", [add_months(first, month)])
            made += bool(cursor.fetchone()[0])
    return made


def forget_old_rows(now: datetime) -> dict[str, int]:
    """Delete what is past its time; return table → number of rows. Events, their keys and days are kept for ever."""
    forgotten = {"django_session": Session.objects.filter(expire_date__lt=now).delete()[0]}
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cache WHERE expires < %s", [now])
        forgotten["cache"] = cursor.rowcount
    for organization_id in Organization.objects.values_list("pk", flat=True):
        for table, (condition, kept) in _FORGET.items():
            forgotten[table] = forgotten.get(table, 0) + _forget(organization_id, table, condition, now - kept)
    return forgotten


def _forget(organization_id: UUID, table: str, condition: str, before: datetime) -> int:
    total = 0
    while True:
        with act_as(Viewer(organization_id)), connection.cursor() as cursor:
            # ctid: no table has to have an `id` for it; all names are those above.
            cursor.execute(
                f"DELETE FROM {table} WHERE organization_id = %s AND ctid = ANY(ARRAY("  # noqa: S608
                f"SELECT ctid FROM {table} WHERE organization_id = %s AND {condition} LIMIT %s))",
                [organization_id, organization_id, before, _AT_ONCE],
            )
            total += cursor.rowcount
            if cursor.rowcount < _AT_ONCE:
                return total
