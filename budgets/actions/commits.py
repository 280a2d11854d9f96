"""Commits are made, amended, extended, reordered, cancelled and rolled over; each change is kept with its reason."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account, User
from budgets.models import Commit, Contract
from consumption_cs.lib.tenancy import Viewer


class CommitError(ValueError):
    """A commit or a change of one that cannot be stored; `field` names the term, the message says what to do."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to make. `amount` in `unit` (a currency, or "credits"); `rate`: one unit in the account's currency.

    `expires_on` is the first day on which it no longer counts (None: never). With `recurs_months` (1, 3, 6, 12) the
    amount is given anew that often, from `effective_on` on. At its end (or each recurrence's) what is left, but at
    least `rollover_least` and at most `rollover_most` of the account's currency, stays for `rollover_months` more.
    """

    contract: Contract
    name: str
    kind: str  # Commit.Kind
    unit: str
    amount: Decimal
    effective_on: date
    expires_on: date | None = None
    rate: Decimal | None = None
    priority: int = 1
    recurs_months: int | None = None
    rollover_least: Decimal = Decimal(0)
    rollover_most: Decimal = Decimal(0)
    rollover_months: int = 0
    only_meters: tuple[UUID, ...] = ()
    except_meters: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawOrder:
    """When a commit is drawn and for what; None leaves a term as it is."""

    priority: int | None = None
    only_meters: tuple[UUID, ...] | None = None
    except_meters: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rollover:
    """The rest of an expired commit goes into a new one on [effective_on, expires_on), within least and most."""

    name: str
    effective_on: date
    expires_on: date | None
    least: Decimal = Decimal(0)
    most: Decimal | None = None
    contract: Contract | None = None  # default: that of the expired commit


def create_commit(
    viewer: Viewer, account: Account, new: NewCommit, now: datetime, actor: User | None = None
) -> Commit:
    """Store a commit and have the account drawn again from its first day. Raises CommitError; then nothing is."""
    raise NotImplementedError


def amend_commit(
    viewer: Viewer, commit: Commit, value_change: Decimal, effective_on: date, reason: str, now: datetime
) -> Commit:
    """Add `value_change` (with its sign, in the account's currency) to what is left from a day on.

    Of a recurring commit: of the recurrence in force then and all later ones. Raises CommitError.
    """
    raise NotImplementedError


def extend_commit(viewer: Viewer, commit: Commit, expires_on: date | None, reason: str, now: datetime) -> Commit:
    """Move the expiry, to a later or an earlier day that is not frozen; None: it never expires. Raises CommitError."""
    raise NotImplementedError


def reorder_commit(viewer: Viewer, commit: Commit, order: DrawOrder, reason: str, now: datetime) -> Commit:
    """Change priority and meters, for all days that are not frozen yet. Raises CommitError."""
    raise NotImplementedError


def cancel_commit(viewer: Viewer, commit: Commit, on: date, reason: str, now: datetime) -> Commit:
    """End a commit at the start of the local day `on`: what is left falls to zero. Raises CommitError."""
    raise NotImplementedError


def roll_over_commit(viewer: Viewer, commit: Commit, new: Rollover, reason: str, now: datetime) -> Commit:
    """Put what an expired commit had left into a new one of kind rollover; once only. Raises CommitError."""
    raise NotImplementedError
