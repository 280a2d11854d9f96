"""Contracts, commits and rated days for tests of the ledger, and what to ask of it."""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from accounts.models import Account
from budgets.actions.commits import NewCommit, create_commit
from budgets.actions.contracts import NewContract, create_contract
from budgets.actions.draw import draw_accounts
from budgets.models import Commit, Contract, LedgerEntry
from consumption_cs.lib.tenancy import enter
from tests.factories import NOW, staff_of
from usage.models import Meter, RatedDay, Settlement, TouchedDay

D = Decimal
MADE_AT = datetime.fromisoformat("2026-01-01T12:00:00+00:00")


def make_contract(account: Account, **fields: Any) -> Contract:
    enter(staff_of(account))
    found: dict[str, Any] = {"name": "Order form", "starts_on": date(2026, 1, 1)}
    return create_contract(staff_of(account), account, NewContract(**found | fields), MADE_AT)


def make_commit(account: Account, amount: str = "100", now: datetime = MADE_AT, **fields: Any) -> Commit:
    """Make a prepaid commit from 1 June 2026, of the account's first contract."""
    enter(staff_of(account))
    contract = fields.pop("contract", None) or Contract.objects.filter(account=account).first()
    found: dict[str, Any] = {
        "contract": contract or make_contract(account),
        "name": "Prepaid",
        "kind": Commit.Kind.PREPAID,
        "unit": account.currency,
        "amount": D(amount),
        "effective_on": date(2026, 6, 1),
    }
    return create_commit(staff_of(account), account, NewCommit(**found | fields), now)


def rate(account: Account, meter: Meter, day: date, amount: str | None, cell: str = "") -> None:
    """Write what rating would: what a meter's day comes to."""
    RatedDay.objects.update_or_create(
        organization_id=account.organization_id,
        account=account,
        day=day,
        meter=meter,
        cell=cell,
        defaults={
            "quantity": D(1),
            "events": 1,
            "total_quantity": D(1),
            "amount": None if amount is None else D(amount),
        },
    )


def draw(account: Account, first_day: date, now: datetime = NOW) -> None:
    """Draw as settlement does: with the row locked, and the marks cleared after."""
    enter(staff_of(account))
    own = {"organization_id": account.organization_id, "account": account}
    Settlement.objects.get_or_create(**own, defaults={"due_at": now})
    Settlement.objects.select_for_update().get(**own)
    marks = TouchedDay.objects.filter(**own)
    days = [first_day, *marks.values_list("day", flat=True)]
    draw_accounts(account.organization_id, now, {str(account.pk): min(days)})
    marks.delete()


def net(account: Account) -> dict[tuple[str, str, date, str], Decimal]:
    """(commit, kind, day, meter) → what the ledger says all in all, zeros left out."""
    total: dict[tuple[str, str, date, str], Decimal] = defaultdict(Decimal)
    rows = LedgerEntry.objects.filter(account=account).select_related("commit", "meter")
    for row in rows:
        key = (row.commit.name if row.commit else "", row.kind, row.day, row.meter.name if row.meter else "")
        total[key] += row.amount
    return {key: amount for key, amount in total.items() if amount}


def entries(account: Account) -> list[tuple[str, str, date, Decimal]]:
    """(commit, kind, day, amount) of each row, in order of booking."""
    rows = LedgerEntry.objects.filter(account=account).select_related("commit").order_by("day", "id")
    return [(row.commit.name if row.commit else "", row.kind, row.day, row.amount) for row in rows]
