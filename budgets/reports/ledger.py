"""The ledger of an account: every booking, with the balance after it."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer

PAGE_SIZE = 50


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
    raise NotImplementedError
