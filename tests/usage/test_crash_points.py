"""Wherever a tick or a settlement breaks off, the next one ends with the same numbers."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import Account
from budgets.actions.catch_up import catch_up
from consumption_cs.lib.tenancy import act_as
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_organization,
    make_price,
    staff_of,
    usage_sum,
)
from usage.models import AccountDay, IngestBatch, Meter, TouchedDay, UniqueValue, UsageDay, UsageHour


class Crash(Exception):
    """The process died here."""


class CrashAt:
    """Lets statements through until the given one."""

    def __init__(self, statement: int) -> None:
        self.left = statement

    def __call__(self, execute: Any, *args: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise Crash
        return execute(*args)


@pytest.fixture
def account(transactional_db: None) -> Account:
    organization = make_organization()
    with act_as(staff_of(organization)):
        account = make_account(organization)
        for kind in Meter.Aggregation.values:
            make_price(make_meter(organization, kind, aggregation=kind), "0.5")
    return account


def accept(account: Account) -> None:
    """Two batches with every meter on two days."""
    with act_as(staff_of(account)):
        for table in (UsageDay, UsageHour, AccountDay, UniqueValue, TouchedDay, IngestBatch):
            table.objects.all().delete()
        for quantity in ("1", "2"):
            make_batch(account.organization, *(_sum(account, meter, quantity) for meter in Meter.objects.all()))


def _sum(account: Account, meter: Meter, quantity: str) -> dict[str, Any]:
    values = {"u": [quantity]} if meter.aggregation == Meter.Aggregation.UNIQUE else {}
    return usage_sum(account, meter, NOW - timedelta(days=int(quantity)), quantity, **values)


def numbers(account: Account) -> list[Any]:
    with act_as(staff_of(account)):
        assert not TouchedDay.objects.exists()
        days = UsageDay.objects.values_list("meter", "day", "quantity", "events", "spend")
        hours = UsageHour.objects.values_list("meter", "starts_at", "quantity", "events")
        return sorted(days) + sorted(hours) + sorted(AccountDay.objects.values_list("day", "spend", "events"))


def test_breaking_off_at_any_statement_changes_nothing_in_the_end(account: Account) -> None:
    accept(account)
    catch_up(account.organization_id, NOW)
    expected = numbers(account)
    crashes = 0
    while True:
        accept(account)
        try:
            with connection.execute_wrapper(CrashAt(crashes + 1)):
                catch_up(account.organization_id, NOW)
        except Crash:
            crashes += 1
        else:
            break
        catch_up(account.organization_id, NOW)
        assert numbers(account) == expected, f"after a crash at statement {crashes}"
    assert crashes > 20
    assert len(expected) == 2 * 5 + 2 * 5 + 2
