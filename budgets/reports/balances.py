"""The commits of an account as of now: what is left, what will expire, and what was changed."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from accounts.models import Account
from budgets.models import Commit, CommitChange
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class CommitState:
    """One commit. Money in the account's currency.

    `settled`: left at the start of today; `ongoing`: with today's use. `granted`: all that was ever given, amendments
    included; `drawn`: so far, today included; `share`: of what was granted, 0 to 1, None without any. `expiring`: what
    is lost at the next expiry if nothing more is used, and `expires_on` that day. `state`: upcoming, active, used_up,
    expired or cancelled; `state_name` in words.
    """

    commit: Commit
    settled: Decimal
    ongoing: Decimal
    granted: Decimal
    drawn: Decimal
    share: Decimal | None
    expiring: Decimal
    expires_on: date | None
    state: str
    state_name: str
    changes: tuple[CommitChange, ...]
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """All commits of an account in their draw order, and their sums; `overage` of the open billing period."""

    commits: tuple[CommitState, ...]
    settled: Decimal
    ongoing: Decimal
    drawn: Decimal
    expiring: Decimal
    overage: Decimal
    currency: str
    settled_at: datetime | None


def commits_of(viewer: Viewer, account: Account, now: datetime) -> AccountBalance:
    """Return the account's commits with what each has left."""
    raise NotImplementedError
