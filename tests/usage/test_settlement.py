"""Settlement turns touched days into money and totals, and may run any number of times."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import Account
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_price,
    staff_of,
    usage_sum,
)
from usage.actions.roll_up import roll_up
from usage.actions.settle import settle
from usage.models import AccountDay, Meter, TouchedDay, UsageDay

HOUR = NOW - timedelta(hours=2)
TODAY = HOUR.date()

pytestmark = pytest.mark.django_db


def rolled_usage(
    account: Account, meter: Meter, quantity: str = "100", hour: datetime = HOUR, **fields: object
) -> None:
    make_batch(account.organization, usage_sum(account, meter, hour, quantity, **fields))
    roll_up(account.organization_id, NOW)


def settled(account: Account) -> list[tuple[date, Decimal | None]]:
    settle(account.organization_id, NOW)
    enter(staff_of(account))
    return list(UsageDay.objects.order_by("day", "meter", "workflow").values_list("day", "spend"))


def test_spend_is_quantity_times_the_price_in_force() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    make_price(meter, "0.03")
    rolled_usage(account, meter, "12.5")
    assert settled(account) == [(TODAY, Decimal("0.375"))]
    total = AccountDay.objects.get()
    assert (total.spend, total.events, total.successes, total.unpriced_events) == (Decimal("0.375"), 1, 1, 0)
    assert total.currency == "USD"
    assert not TouchedDay.objects.exists()
