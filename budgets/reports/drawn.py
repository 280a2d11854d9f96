"""How much of one commit was given, drawn and lost, from the ledger and today's use."""

from datetime import date
from decimal import Decimal

from django.db.models import Sum

from budgets.models import Commit, CommitChange, LedgerEntry, LedgerState
from budgets.reports.grants import recurrences

ZERO = Decimal(0)


def drawn_of(commit: Commit, day: date) -> tuple[Decimal, Decimal]:
    """Return what was drawn from a commit until now and what was given, amendments included.

    Of a recurring commit, both of the recurrence in force on `day`, with all that was drawn since it began.
    """
    changes = list(
        CommitChange.objects.filter(
            organization_id=commit.organization_id, commit=commit, kind=CommitChange.Kind.AMENDED
        ).values_list("effective_on", "value_change")
    )
    begin, end = commit.effective_on, commit.expires_on
    if commit.recurs_months:
        *_, (_, begin, end) = recurrences(commit, day)
    given = commit.value + sum((change for on, change in changes if end is None or on < end), ZERO)
    return _booked(commit, LedgerEntry.Kind.DRAWN, begin) + _ongoing(commit), max(given, ZERO)


def expired_of(commit: Commit) -> Decimal:
    """Return what of a commit has expired unused, all in all."""
    return _booked(commit, LedgerEntry.Kind.EXPIRED, commit.effective_on)


def _booked(commit: Commit, kind: str, since: date) -> Decimal:
    rows = LedgerEntry.objects.filter(organization_id=commit.organization_id, commit=commit, kind=kind, day__gte=since)
    return -(rows.aggregate(total=Sum("amount"))["total"] or ZERO)


def _ongoing(commit: Commit) -> Decimal:
    state = LedgerState.objects.filter(organization_id=commit.organization_id, account_id=commit.account_id).first()
    rows = state.ongoing if state else []
    return -sum((Decimal(row["amount"]) for row in rows if row["commit"] == str(commit.pk)), ZERO)
