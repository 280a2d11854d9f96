"""Today's use as it is drawn so far: not booked yet, since the day has not ended."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from budgets.models import Commit, LedgerState
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter


@dataclass(frozen=True, slots=True)
class OngoingLine:
    """`amount` as the ledger would book it: below zero is drawn from the commit, above zero without one is overage."""

    commit_id: UUID | None
    commit_name: str
    meter_id: UUID | None
    meter_name: str
    amount: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class Ongoing:
    """The lines of the account's current local day."""

    day: date
    lines: tuple[OngoingLine, ...]


def ongoing_lines(viewer: Viewer, account: Account) -> Ongoing | None:
    """Return today's draws, or None before the account was ever settled."""
    state = LedgerState.objects.visible_to(viewer).filter(account=account).first()
    if state is None:
        return None
    commits = {str(row.pk): row.name for row in Commit.objects.visible_to(viewer).filter(account=account)}
    meters = {str(row.pk): row.name for row in Meter.objects.visible_to(viewer)}
    lines = [
        OngoingLine(
            UUID(one["commit"]) if one["commit"] else None,
            commits.get(one["commit"] or "", ""),
            UUID(one["meter"]) if one["meter"] else None,
            meters.get(one["meter"] or "", ""),
            Decimal(one["amount"]),
            one.get("why", ""),
        )
        for one in state.ongoing
    ]
    return Ongoing(state.latest_on, tuple(lines))
