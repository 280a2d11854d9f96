"""What accounts had committed, drawn and left at a moment, read at once for many: what pacing is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import connection

ZERO = Decimal(0)

# What happened at the start of today counts, today's use does not. Recurring allowances refill and are left out:
# they have no term to pace against.
_COMMITS = """
SELECT entry.account_id::text, made.effective_on, coalesce(made.expires_on, contract.ends_on),
    sum(entry.amount) FILTER (WHERE entry.kind IN ('granted', 'amended')),
    -coalesce(sum(entry.amount) FILTER (WHERE entry.kind = 'drawn'), 0), sum(entry.amount)
FROM unnest(%(accounts)s::uuid[], %(today)s::date[]) AS wanted(account_id, today)
JOIN budgets_commit AS made ON made.organization_id = %(organization)s AND made.account_id = wanted.account_id
    AND made.effective_on < wanted.today AND (made.expires_on IS NULL OR made.expires_on >= wanted.today)
    AND (made.cancelled_on IS NULL OR made.cancelled_on > wanted.today) AND made.recurs_months IS NULL
JOIN budgets_contract AS contract ON contract.organization_id = made.organization_id AND contract.id = contract_id
JOIN budgets_ledgerentry AS entry ON entry.organization_id = made.organization_id
    AND entry.account_id = made.account_id AND entry.commit_id = made.id
    AND (entry.day < wanted.today OR entry.day = wanted.today AND entry.kind <> 'drawn')
GROUP BY entry.account_id, made.id, made.effective_on, made.expires_on, contract.ends_on
ORDER BY entry.account_id, made.effective_on, made.id
"""


@dataclass(frozen=True, slots=True)
class CommitThen:
    """A commit in force: `granted` with what amendments changed, `drawn` and `left` at the start of the day.

    Money in the account's currency. `ends_on` None: neither the commit nor its contract ends.
    """

    starts_on: date
    ends_on: date | None
    granted: Decimal
    drawn: Decimal
    left: Decimal


def commits_then(organization_id: UUID, today: Mapping[str, date]) -> dict[str, list[CommitThen]]:
    """Return the commits in force at the start of each account's `today`, the earliest first. One query."""
    found: dict[str, list[CommitThen]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _COMMITS, {"organization": organization_id, "accounts": list(today), "today": list(today.values())}
        )
        for account, starts_on, ends_on, granted, drawn, left in cursor.fetchall():
            found.setdefault(account, []).append(CommitThen(starts_on, ends_on, granted or ZERO, drawn, left))
    return found
