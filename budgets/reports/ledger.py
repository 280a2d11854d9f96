"""The ledger of an account: every booking, with the balance after it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from budgets.models import LedgerEntry
from consumption_cs.lib.tenancy import Viewer

PAGE_SIZE = 50

# The page first, by the index; names and balances for its rows only.
_LINES = """
WITH page AS MATERIALIZED (
    SELECT line.*, reversal.id AS reversed_by
    FROM budgets_ledgerentry AS line
    LEFT JOIN budgets_ledgerentry AS reversal
        ON reversal.organization_id = line.organization_id AND reversal.reverses_id = line.id
    WHERE line.organization_id = %(organization)s AND line.account_id = %(account)s AND {where}
    ORDER BY line.day DESC, line.id DESC LIMIT %(limit)s
)
SELECT page.id, page.day, page.kind, page.commit_id, given.name, page.meter_id, meter.name, page.amount, page.why,
    page.reverses_id, page.reversed_by, page.reason, actor.name, actor.email, page.booked_at
FROM page
LEFT JOIN budgets_commit AS given ON given.organization_id = page.organization_id AND given.id = page.commit_id
LEFT JOIN usage_meter AS meter ON meter.organization_id = page.organization_id AND meter.id = page.meter_id
LEFT JOIN accounts_user AS actor ON actor.id = page.actor_id
ORDER BY page.day DESC, page.id DESC
"""

_BEFORE = """
SELECT commit_id, sum(amount) FROM budgets_ledgerentry
WHERE organization_id = %(organization)s AND account_id = %(account)s AND commit_id IS NOT NULL AND day < %(first)s
GROUP BY commit_id
"""

_BETWEEN = """
SELECT id, commit_id, amount FROM budgets_ledgerentry
WHERE organization_id = %(organization)s AND account_id = %(account)s AND day >= %(first)s AND day <= %(last)s
ORDER BY day, id
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
        rows = database.fetchall()
    balances = _balances(arguments, rows)
    lines = [_line(row, *balances[row[0]]) for row in rows]
    if viewer.is_portal:
        lines = [_without_names(line) for line in lines]
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


def _balances(
    arguments: dict[str, Any], rows: Sequence[tuple[Any, ...]]
) -> dict[UUID, tuple[Decimal | None, Decimal]]:
    """Return entry → balance of its commit and of all commits after it, over the whole ledger, whatever is filtered.

    Entries that were reversed, and their reversals, share a day: leaving both out of a page changes no balance.
    """
    if not rows:
        return {}
    days = {"first": rows[-1][1], "last": rows[0][1]}
    with connection.cursor() as database:
        database.execute(_BEFORE, arguments | days)
        of_commit: dict[UUID, Decimal] = defaultdict(Decimal, database.fetchall())
        total = sum(of_commit.values(), Decimal(0))
        database.execute(_BETWEEN, arguments | days)
        after: dict[UUID, tuple[Decimal | None, Decimal]] = {}
        for entry, commit, amount in database.fetchall():
            if commit is not None:
                of_commit[commit] += amount
                total += amount
            after[entry] = (of_commit[commit] if commit is not None else None, total)
    return after


def _read_cursor(cursor: str) -> dict[str, Any]:
    day, _, entry = cursor.partition("_")
    try:
        return {"cursor_day": date.fromisoformat(day), "cursor_id": str(UUID(entry))}
    except ValueError as error:
        raise CursorError("This is not a cursor of the ledger: start from the first page.") from error


def _line(row: tuple[Any, ...], balance: Decimal | None, total: Decimal) -> LedgerLine:
    entry, day, kind, commit, commit_name, meter, meter_name, amount, why = row[:9]
    reverses, reversed_by, reason, actor_name, actor_email, booked_at = row[9:]
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


def _without_names(line: LedgerLine) -> LedgerLine:
    """Return the line as a customer reads it: which of the vendor's people acted is the vendor's own."""
    if not line.actor_name:
        return line
    return replace(line, actor_name="", reason=line.reason.replace(f" by {line.actor_name}: ", ": "))
