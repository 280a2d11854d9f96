"""The ledger of an account: every booking, with the balance after it."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from budgets.models import LedgerEntry
from consumption_cs.lib.tenancy import Viewer

PAGE_SIZE = 50

# The balances run over the whole ledger, so that a filter does not change them. Entries that were reversed, and their
# reversals, share a day: leaving both out changes no balance either.
_LINES = """
WITH lines AS (
    SELECT entry.*,
        sum(amount) OVER (PARTITION BY commit_id ORDER BY day, id) AS balance,
        sum(amount) FILTER (WHERE commit_id IS NOT NULL) OVER (ORDER BY day, id) AS total
    FROM budgets_ledgerentry AS entry
    WHERE organization_id = %(organization)s AND account_id = %(account)s
)
SELECT line.id, line.day, line.kind, line.commit_id, given.name, line.meter_id, meter.name, line.amount,
    CASE WHEN line.commit_id IS NOT NULL THEN line.balance END, coalesce(line.total, 0), line.why,
    line.reverses_id, reversal.id, line.reason, actor.name, actor.email, line.booked_at
FROM lines AS line
LEFT JOIN budgets_ledgerentry AS reversal
    ON reversal.organization_id = line.organization_id AND reversal.reverses_id = line.id
LEFT JOIN budgets_commit AS given ON given.organization_id = line.organization_id AND given.id = line.commit_id
LEFT JOIN usage_meter AS meter ON meter.organization_id = line.organization_id AND meter.id = line.meter_id
LEFT JOIN accounts_user AS actor ON actor.id = line.actor_id
WHERE {where}
ORDER BY line.day DESC, line.id DESC LIMIT %(limit)s
"""

_TOTALS = """
SELECT line.kind, sum(line.amount), count(*)
FROM budgets_ledgerentry AS line
LEFT JOIN budgets_ledgerentry AS reversal
    ON reversal.organization_id = line.organization_id AND reversal.reverses_id = line.id
WHERE line.organization_id = %(organization)s AND line.account_id = %(account)s AND {where}
GROUP BY line.kind
"""


@dataclass(frozen=True, slots=True)
class LedgerFilters:
    """What to show; days half-open. `current_only` hides entries that were reversed, and their reversals."""

    commit: UUID | None = None
    kind: str = ""
    meter: UUID | None = None
    from_day: date | None = None
    to_day: date | None = None
    current_only: bool = True
    overage_only: bool = False


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One entry. `balance` of its commit and `total` of all commits after it (None and unchanged for overage)."""

    id: UUID
    day: date
    kind: str
    kind_name: str
    commit_id: UUID | None
    commit_name: str
    meter_id: UUID | None
    meter_name: str
    amount: Decimal
    balance: Decimal | None
    total: Decimal
    why: str
    reverses: UUID | None
    reversed_by: UUID | None
    reason: str
    actor_name: str  # empty: settlement
    booked_at: datetime

    @property
    def is_current(self) -> bool:
        return self.reverses is None and self.reversed_by is None


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Sums over everything that the filters let through, by kind of entry."""

    by_kind: dict[str, Decimal] = field(default_factory=dict)
    entries: int = 0

    @property
    def drawn(self) -> Decimal:
        """Above zero for what was taken from commits."""
        return -self.by_kind.get("drawn", Decimal(0))

    @property
    def overage(self) -> Decimal:
        return self.by_kind.get("overage", Decimal(0))


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """One page, newest first. `next_cursor` is empty on the last."""

    lines: tuple[LedgerLine, ...]
    totals: LedgerTotals
    next_cursor: str
    currency: str


class CursorError(ValueError):
    """A cursor that no page gave out."""


def entries(
    viewer: Viewer, account: Account, filters: LedgerFilters, cursor: str = "", page_size: int = PAGE_SIZE
) -> LedgerPage:
    """Return a page of the account's ledger, newest first, with running balances. Raises CursorError."""
    conditions, arguments = _conditions(filters)
    arguments |= {"organization": viewer.organization_id, "account": account.pk, "limit": page_size + 1}
    totals = _totals(" AND ".join(conditions), arguments)
    if cursor:
        conditions.append("(line.day, line.id) < (%(cursor_day)s, %(cursor_id)s::uuid)")
        arguments |= _read_cursor(cursor)
    with connection.cursor() as database:
        # The conditions are our own words; values are passed apart.
        database.execute(_LINES.format(where=" AND ".join(conditions)), arguments)
        lines = [_line(row) for row in database.fetchall()]
    more = len(lines) > page_size
    lines = lines[:page_size]
    next_cursor = f"{lines[-1].day.isoformat()}_{lines[-1].id}" if more else ""
    return LedgerPage(tuple(lines), totals, next_cursor, account.currency)


def _conditions(filters: LedgerFilters) -> tuple[list[str], dict[str, Any]]:
    wanted = {
        "line.commit_id = %(commit)s": filters.commit,
        "line.kind = %(kind)s": filters.kind,
        "line.meter_id = %(meter)s": filters.meter,
        "line.day >= %(from_day)s": filters.from_day,
        "line.day < %(to_day)s": filters.to_day,
        "line.commit_id IS NULL": filters.overage_only,
        "line.reverses_id IS NULL AND reversal.id IS NULL": filters.current_only,
    }
    arguments = {name: getattr(filters, name) for name in ("commit", "kind", "meter", "from_day", "to_day")}
    return ["TRUE", *(condition for condition, value in wanted.items() if value)], arguments


def _totals(where: str, arguments: dict[str, Any]) -> LedgerTotals:
    with connection.cursor() as database:
        database.execute(_TOTALS.format(where=where), arguments)
        rows = database.fetchall()
    return LedgerTotals({kind: amount for kind, amount, _ in rows}, sum(count for _, _, count in rows))


def _read_cursor(cursor: str) -> dict[str, Any]:
    day, _, entry = cursor.partition("_")
    try:
        return {"cursor_day": date.fromisoformat(day), "cursor_id": str(UUID(entry))}
    except ValueError as error:
        raise CursorError("This is not a cursor of the ledger: start from the first page.") from error


def _line(row: tuple[Any, ...]) -> LedgerLine:
    entry, day, kind, commit, commit_name, meter, meter_name, amount, balance, total, why = row[:11]
    reverses, reversed_by, reason, actor_name, actor_email, booked_at = row[11:]
    return LedgerLine(
        id=entry,
        day=day,
        kind=kind,
        kind_name=str(LedgerEntry.Kind(kind).label),
        commit_id=commit,
        commit_name=commit_name or "",
        meter_id=meter,
        meter_name=meter_name or "",
        amount=amount,
        balance=balance,
        total=total,
        why=why,
        reverses=reverses,
        reversed_by=reversed_by,
        reason=reason,
        actor_name=actor_name or actor_email or "",
        booked_at=booked_at,
    )
