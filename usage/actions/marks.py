"""The marks that say which days await settlement: set by ticks and price changes, claimed and cleared by settlement.

Settlement claims accounts by the lock of their Settlement row and never waits for a mark: a tick that marks a day
again gives the mark a new version, and only the version that was claimed is cleared.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.actions.roll_up import hold_roll_up
from usage.models import Meter

_MAKE_SETTLEMENTS = """
INSERT INTO usage_settlement (organization_id, account_id, due_at)
SELECT DISTINCT organization_id, account_id, %s::timestamptz FROM usage_touched_day AS mark
WHERE organization_id = %s AND NOT EXISTS (
    SELECT FROM usage_settlement AS kept
    WHERE kept.organization_id = mark.organization_id AND kept.account_id = mark.account_id)
ORDER BY account_id
ON CONFLICT DO NOTHING
"""

# Oldest first, so that an account that changes all the time does not keep the others waiting.
_CLAIM_TOUCHED = """
SELECT kept.account_id::text, due_at <= %(now)s
FROM usage_settlement AS kept JOIN (
    SELECT account_id, min(received_at) AS since FROM usage_touched_day
    WHERE organization_id = %(organization)s GROUP BY account_id
) AS waiting USING (account_id)
WHERE organization_id = %(organization)s AND NOT account_id = ANY(%(without)s::uuid[])
ORDER BY since, account_id LIMIT %(limit)s FOR UPDATE OF kept SKIP LOCKED
"""

_CLAIM_DUE = """
SELECT account_id::text FROM usage_settlement
WHERE organization_id = %s AND due_at <= %s AND NOT account_id = ANY(%s::uuid[])
ORDER BY due_at, account_id LIMIT %s FOR UPDATE SKIP LOCKED
"""

_MARKS = """
SELECT account_id::text, day, reason, xmin::text, received_at FROM usage_touched_day
WHERE organization_id = %s AND account_id = ANY(%s::uuid[])
ORDER BY account_id, day
"""

# A tick may hold a mark's row: then it adds to the day, and the mark stays for the next settlement.
_CLEAR = """
DELETE FROM usage_touched_day AS mark USING (
    SELECT kept.account_id, kept.day FROM usage_touched_day AS kept
    JOIN unnest(%s::uuid[], %s::date[], %s::text[]) AS settled(account_id, day, version)
        ON kept.account_id = settled.account_id AND kept.day = settled.day AND kept.xmin::text = settled.version
    WHERE kept.organization_id = %s
    FOR UPDATE OF kept SKIP LOCKED
) AS settled
WHERE mark.organization_id = %s AND mark.account_id = settled.account_id AND mark.day = settled.day
"""

# Such a mark waits from now on, not since what has been settled: else it would be first in line again, before all who
# have not had their turn. What it counts may have been accepted a little before.
_WAIT_ANEW = """
UPDATE usage_touched_day AS mark SET received_at = now() FROM (
    SELECT kept.account_id, kept.day FROM usage_touched_day AS kept
    JOIN unnest(%s::uuid[], %s::date[], %s::text[]) AS settled(account_id, day, version)
        ON kept.account_id = settled.account_id AND kept.day = settled.day AND kept.xmin::text <> settled.version
    WHERE kept.organization_id = %s AND kept.received_at < now()
    FOR UPDATE OF kept SKIP LOCKED
) AS settled
WHERE mark.organization_id = %s AND mark.account_id = settled.account_id AND mark.day = settled.day
"""

# DO UPDATE even if nothing changes: the mark gets a new version, which a settlement under way does not clear.
# Of a closed period the last day is marked, too: its minimum spends are those of that day, whether or not anything was
# used from `from_day` on. One of the price list holds for what was used in the period, an account's own always.
_TOUCH = """
INSERT INTO usage_touched_day AS kept (organization_id, account_id, day, received_at, reason)
SELECT organization_id, account_id, day, now(), %(reason)s FROM (
    SELECT organization_id, account_id, day FROM usage_day
    WHERE organization_id = %(organization)s AND day >= %(from_day)s
        AND (%(meter)s::uuid IS NULL OR meter_id = %(meter)s)
        AND (%(account)s::uuid IS NULL OR account_id = %(account)s)
    UNION
    SELECT organization_id, account_id, ends_on - 1 FROM usage_billingperiod AS period
    WHERE organization_id = %(organization)s AND ends_on > %(from_day)s
        AND (account_id = %(account)s OR %(account)s::uuid IS NULL AND EXISTS (
            SELECT FROM usage_day AS used
            WHERE used.organization_id = period.organization_id AND used.account_id = period.account_id
                AND used.day >= period.starts_on AND used.day < period.ends_on
                AND (%(meter)s::uuid IS NULL OR used.meter_id = %(meter)s)))
) AS changed
ORDER BY account_id, day
ON CONFLICT (organization_id, account_id, day) DO UPDATE SET
    received_at = LEAST(kept.received_at, excluded.received_at),
    reason = COALESCE(NULLIF(excluded.reason, ''), kept.reason)
"""


class Mark(NamedTuple):
    """An account's local day that awaits settlement, why if it is not new use, and which version of the mark it is.

    `received_at`: of the oldest batch in it.
    """

    account: str
    day: date
    reason: str
    version: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """Accounts whose Settlement rows are locked, with all their marks; `due` are those whose calendar wants a look.

    `is_last` when no other account was found waiting.
    """

    accounts: tuple[str, ...]
    marks: tuple[Mark, ...]
    due: frozenset[str]
    is_last: bool = True

    def of(self, accounts: set[str]) -> "Claim":
        """Return the part of the claim that concerns these accounts."""
        return Claim(
            tuple(account for account in self.accounts if account in accounts),
            tuple(mark for mark in self.marks if mark.account in accounts),
            self.due & accounts,
            self.is_last,
        )


def claim_accounts(organization_id: UUID, now: datetime, without: set[str], max_accounts: int) -> Claim:
    """Lock up to `max_accounts` accounts that have marks, oldest first, or are due; return them with all their marks.

    Skips those that another settlement works on, and those in `without`. Within `act_as`; the locks end with it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_SETTLEMENTS, [now, organization_id])
        named: dict[str, Any] = {"now": now, "organization": organization_id, "without": sorted(without)}
        cursor.execute(_CLAIM_TOUCHED, named | {"limit": max_accounts})
        touched = dict(cursor.fetchall())
        due = {account for account, is_due in touched.items() if is_due}
        if len(touched) < max_accounts:
            others = sorted(without | set(touched))
            cursor.execute(_CLAIM_DUE, [organization_id, now, others, max_accounts - len(touched)])
            due |= {account for (account,) in cursor.fetchall()}
        accounts = tuple(sorted(set(touched) | due))
        cursor.execute(_MARKS, [organization_id, list(touched)])
        marks = tuple(Mark(*row) for row in cursor.fetchall())
    return Claim(accounts, marks, frozenset(due), len(accounts) < max_accounts)


def clear_marks(organization_id: UUID, claim: Claim) -> None:
    """Remove the marks of a claim that are still what they were when it was made; the others wait from now on."""
    if claim.marks:
        accounts, days, _, versions, _ = (list(column) for column in zip(*claim.marks, strict=True))
        with connection.cursor() as cursor:
            named: list[Any] = [accounts, days, versions, organization_id, organization_id]
            cursor.execute(_CLEAR, named)
            if cursor.rowcount < len(claim.marks):
                cursor.execute(_WAIT_ANEW, named)


def touch_days(viewer: Viewer, meter: Meter | None, account: Account | None, from_day: date, reason: str = "") -> int:
    """Mark the days on which a price, or an account's terms, changed the money; return how many.

    None stands for every meter or every account; `reason` is what the ledger will say. To be called in the
    transaction that makes the change. No tick of this organization can finish before it ends, so that no new day
    slips through between marks and price.
    """
    hold_roll_up(viewer.organization_id, wait=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _TOUCH,
            {
                "organization": viewer.organization_id,
                "from_day": from_day,
                "meter": meter.pk if meter else None,
                "account": account.pk if account else None,
                "reason": reason,
            },
        )
        return cursor.rowcount
