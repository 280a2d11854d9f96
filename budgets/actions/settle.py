"""Settlement: marked days become money, money is drawn from commits, and periods close, account by account."""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from math import inf
from uuid import UUID

from django.db import DataError, IntegrityError, connection, transaction

from accounts.models import Account
from budgets.actions.closing import close_due_periods
from budgets.actions.draw import draw_accounts
from budgets.actions.evaluate import evaluate, hold_budgets
from consumption_cs.lib.periods import day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.rate import Claim, claim_accounts, clear_marks, rate_accounts

logger = logging.getLogger(__name__)

MAX_ACCOUNTS = 100  # one transaction holds their locks for some tenths of a second
_POISON = (DataError, IntegrityError, ValueError, ArithmeticError)

_SETTLED = """
UPDATE usage_settlement AS kept SET due_at = settled.due_at, settled_at = %s
FROM unnest(%s::uuid[], %s::timestamptz[], %s::boolean[]) AS settled(account_id, due_at, is_changed)
WHERE kept.organization_id = %s AND kept.account_id = settled.account_id
    AND (is_changed OR kept.due_at <> settled.due_at)
"""


def settle(
    organization_id: UUID,
    now: datetime,
    max_accounts: int = MAX_ACCOUNTS,
    seconds: float = inf,
    between: Callable[[], object] = lambda: None,
) -> int:
    """Rate and draw all touched days of one organization, and what a new local day brings; return how many days.

    In transactions of at most `max_accounts` accounts, each its own, until none waits or `seconds` have passed. Locks
    accounts, so that any number of callers may run at once; settling twice changes nothing. An account that cannot be
    settled keeps its marks, is logged, and holds up no other. Raises OperationalError when the database goes away;
    what was settled until then stays. `between` is called after each transaction but the last.
    """
    start = time.monotonic()
    settled, failed = 0, set[str]()
    while True:
        with act_as(Viewer(organization_id)):
            claim = claim_accounts(organization_id, now, failed, max_accounts)
            bad = _settle_what_can_be(organization_id, now, claim)
        settled += sum(mark.account not in bad for mark in claim.marks)
        failed |= bad
        if claim.is_last or time.monotonic() - start > seconds:
            return settled
        between()


def _settle_what_can_be(organization_id: UUID, now: datetime, claim: Claim) -> set[str]:
    """Settle all together; if that fails, account by account. Returns the accounts that failed."""
    if not claim.accounts:
        return set()
    try:
        with transaction.atomic():
            _settle(organization_id, now, claim)
        return set()
    except _POISON:
        if len(claim.accounts) == 1:
            logger.exception("account %s cannot be settled", claim.accounts[0])
            return set(claim.accounts)
    failed = set()
    for account in claim.accounts:
        failed |= _settle_what_can_be(organization_id, now, claim.of({account}))
    return failed


def _settle(organization_id: UUID, now: datetime, claim: Claim) -> None:
    held = hold_budgets(organization_id, claim.accounts)  # first: who edits an account holds it and then marks days
    first_days = rate_accounts(organization_id, now, claim)
    if first_days:
        draw_accounts(organization_id, now, first_days)
    clear_marks(organization_id, claim)
    close_due_periods(organization_id, now, claim.accounts)
    _note_settled(organization_id, now, claim.accounts, first_days)
    accepted: dict[str, datetime] = {}
    for mark in claim.marks:
        accepted[mark.account] = min(mark.received_at, accepted.get(mark.account, mark.received_at))
    evaluate(organization_id, now, claim.accounts, accepted, held=held)


def _note_settled(organization_id: UUID, now: datetime, accounts: Iterable[str], first_days: dict[str, date]) -> None:
    """Say when each account's next local day begins, for it wants a look then even without new use."""
    zones = Account.objects.filter(organization_id=organization_id, pk__in=list(accounts)).values_list(
        "pk", "timezone"
    )
    rows = [(str(pk), _next_day(zone, now), str(pk) in first_days) for pk, zone in zones]
    if rows:
        with connection.cursor() as cursor:
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(_SETTLED, [now, *columns, organization_id])


def _next_day(zone_name: str, now: datetime) -> datetime:
    zone = zone_of(zone_name)
    return day_start(day_of(now, zone) + timedelta(days=1), zone)
