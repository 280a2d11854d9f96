"""What a change of commits or contracts would do, seen before it is made: made, drawn, read, and taken back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

from accounts.models import Account
from budgets.actions.authors import with_authors
from budgets.actions.booking import book
from budgets.actions.draw import draw_accounts, redrawn
from budgets.actions.redraw import hold_account
from budgets.reports.balances import AccountBalance, commits_of
from budgets.reports.statements import BillingMonth, Statement, periods_of, statement
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that changes, in the account's currency; `before` is None for a commit that is new."""

    name: str
    before: Decimal | None
    after: Decimal


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does: the figures that differ, and the ended days whose entries in the ledger do."""

    figures: tuple[Figure, ...]
    days: tuple[date, ...]
    period: BillingMonth

    @property
    def is_none(self) -> bool:
        return not self.figures and not self.days


@dataclass(frozen=True, slots=True)
class _Seen:
    balance: AccountBalance
    statement: Statement


def preview(viewer: Viewer, account: Account, change: Callable[[], object], now: datetime) -> Effect:
    """Return what `change` does to balances, overage and what is due; nothing of it stays.

    Runs the real action and the real draw in a savepoint that is rolled back, so that what is shown is what settlement
    will do. Passes on what `change` raises. The account is held only until this returns.
    """
    period = periods_of(viewer, account, now)[0]
    today = day_of(now, zone_of(account.timezone))
    own, name = viewer.organization_id, str(account.pk)
    with transaction.atomic():
        hold_account(viewer, account, now)
        draw_accounts(own, now, {name: today})  # what waits already is no effect of this change
        before = _look(viewer, account, period, now)
        change()
        changes, standings = redrawn(own, now, {name: date.min})
        book(own, now, with_authors(own, changes), standings)
        after = _look(viewer, account, period, now)
        transaction.set_rollback(True)
    return Effect(_figures(before, after), tuple(sorted({one.key.day for one in changes})), period)


def _look(viewer: Viewer, account: Account, period: BillingMonth, now: datetime) -> _Seen:
    return _Seen(commits_of(viewer, account, now), statement(viewer, account, period))


def _figures(before: _Seen, after: _Seen) -> tuple[Figure, ...]:
    old = {row.commit.pk: row for row in before.balance.commits}
    found: list[Figure] = []
    for row in after.balance.commits:
        was = old.get(row.commit.pk)
        found.append(Figure(f"Granted to {row.commit.name}", was.granted if was else None, row.granted))
        found.append(Figure(f"Balance of {row.commit.name}", was.ongoing if was else None, row.ongoing))
        if was is None or was.expiring or row.expiring:
            text = f"Would be left of {row.commit.name} at its end"
            found.append(Figure(text, was.expiring if was else None, row.expiring))
    found += [
        Figure("Left on all commits", before.balance.ongoing, after.balance.ongoing),
        Figure("Overage of the open period", before.balance.overage, after.balance.overage),
        Figure("Due for the open period", before.statement.due, after.statement.due),
    ]
    return tuple(one for one in found if one.before != one.after and (one.before is not None or one.after))
