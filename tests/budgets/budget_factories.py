"""Budgets for tests, usage that becomes money at one for one, and what is recorded of it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from accounts.models import Account
from budgets.actions.budgets import NewBudget, create_budget
from budgets.actions.settle import settle
from budgets.models import Alert, Budget
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_batch, make_meter, make_price, staff_of, usage_sum
from usage.actions.roll_up import roll_up
from usage.models import Meter

MADE = datetime.fromisoformat("2026-01-01T12:00:00+00:00")


def make_paying_account(**fields: Any) -> tuple[Account, Meter]:
    """An account whose meter costs one a unit."""
    account = make_account(**fields)
    meter = make_meter(account.organization)
    make_price(meter, "1")
    return account, meter


def make_budget(
    account: Account, amount: str = "100", *rules: tuple[str, str], now: datetime = MADE, **fields: Any
) -> Budget:
    """A month's budget of the account; without rules it tells at 80 percent."""
    enter(staff_of(account))
    wanted = [(kind, Decimal(value)) for kind, value in rules or [("actual_percent", "80")]]
    given: dict[str, Any] = {"name": "Production", "amount": Decimal(amount), "rules": wanted} | fields
    return create_budget(staff_of(account), account, NewBudget(**given), now)


def use(account: Account, meter: Meter, at: datetime, quantity: str, now: datetime | None = None, **more: Any) -> None:
    """Accept usage of the hour, merge it and settle it."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    make_batch(account.organization, usage_sum(account, meter, hour, quantity, **more))
    roll_up(account.organization_id, now or at)
    settle(account.organization_id, now or at)
    enter(staff_of(account))


def recorded(account: Account) -> list[tuple[str, Decimal | None, bool]]:
    """(kind, threshold, told) of each alert, in order."""
    enter(staff_of(account))
    rows = Alert.objects.filter(account=account).order_by("number")
    return [(alert.kind, alert.threshold, not alert.is_silent) for alert in rows]
