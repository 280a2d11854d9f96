"""A billing period in a statement: opening + given − drawn − expired = closing, and what is due."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """A billing period of an account, days half-open. `is_closed`: frozen; `has_ended`: today is not in it."""

    starts_on: date
    ends_on: date
    is_closed: bool
    has_ended: bool


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One commit (or, as the total, all): opening + granted + amended + not_rolled_over + drawn + expired + cancelled
    = closing, each with its sign as in the ledger. `granted` includes what recurs."""

    commit_id: UUID | None
    name: str
    opening: Decimal
    granted: Decimal
    amended: Decimal
    not_rolled_over: Decimal
    drawn: Decimal
    expired: Decimal
    cancelled: Decimal
    closing: Decimal


@dataclass(frozen=True, slots=True)
class MeterLine:
    """What one meter's use of the period came to: `rated` + `adjusted` = `drawn` + `overage`."""

    meter_id: UUID
    name: str
    rated: Decimal
    adjusted: Decimal
    drawn: Decimal
    overage: Decimal


@dataclass(frozen=True, slots=True)
class AdjustmentLine:
    """Money of an earlier, closed period that is booked in this one, and why."""

    day: date
    period_starts_on: date
    period_ends_on: date
    meter_id: UUID
    meter_name: str
    quantity: Decimal
    amount: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Statement:
    """`due` = overage + surcharge: what the commits did not cover, and what its factor adds. `ongoing`: today's use,
    not yet booked, is in `rated` but neither drawn nor overage: rated + adjusted = drawn + overage + ongoing."""

    period: BillingMonth
    currency: str
    commits: tuple[StatementLine, ...]
    total: StatementLine
    meters: tuple[MeterLine, ...]
    adjustments: tuple[AdjustmentLine, ...]
    rated: Decimal
    adjusted: Decimal
    drawn: Decimal
    overage: Decimal
    ongoing: Decimal
    surcharge: Decimal
    due: Decimal
    as_of: datetime | None


def periods_of(viewer: Viewer, account: Account, now: datetime) -> list[BillingMonth]:
    """Return the account's billing periods that have any use or ledger entry, newest first."""
    raise NotImplementedError


def period_around(viewer: Viewer, account: Account, day: date, now: datetime) -> BillingMonth:
    """Return the billing period that the local `day` lies in."""
    raise NotImplementedError


def statement(viewer: Viewer, account: Account, period: BillingMonth, as_of: datetime | None = None) -> Statement:
    """Return the statement of a period; with `as_of`, from what had been booked by then (ledger only)."""
    raise NotImplementedError
