"""Having an account settled again because what was agreed with it has changed."""

from datetime import date, datetime

from django.db import connection

from accounts.models import Account
from budgets.models import LedgerState
from consumption_cs.lib.tenancy import Viewer
from usage.models import Settlement

_LOCK = """
INSERT INTO usage_settlement AS kept (organization_id, account_id, due_at) VALUES (%s, %s, %s)
ON CONFLICT (organization_id, account_id) DO UPDATE SET due_at = LEAST(kept.due_at, excluded.due_at)
"""

_MARK = """
INSERT INTO usage_touched_day AS kept (organization_id, account_id, day, received_at, reason)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (organization_id, account_id, day) DO UPDATE SET
    received_at = LEAST(kept.received_at, excluded.received_at),
    reason = concat_ws('; ', NULLIF(kept.reason, ''), excluded.reason)
"""


def hold_account(viewer: Viewer, account: Account, now: datetime) -> date | None:
    """Keep settlement away from the account until the transaction ends, and let it look at once then.

    Returns the day before which the account is frozen, or None.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [viewer.organization_id, account.pk, now])
    own = {"organization_id": viewer.organization_id, "account": account}
    closed = Settlement.objects.filter(**own).values_list("closed_until", flat=True).get()
    found: date | None = closed
    return found


def first_open_day(viewer: Viewer, account: Account, otherwise: date) -> date:
    """Return the first day whose ledger entries may still change."""
    state = LedgerState.objects.filter(organization_id=viewer.organization_id, account=account).first()
    return state.opening_on if state else otherwise


def redraw(viewer: Viewer, account: Account, from_day: date, reason: str, now: datetime) -> None:
    """Mark the day from which the account is drawn again; `reason` goes on the entries that replace others.

    In the transaction that changes the terms, after `hold_account`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [viewer.organization_id, account.pk, from_day, now, reason])
