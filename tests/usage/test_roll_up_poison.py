"""A batch that cannot be merged never holds up the others, and is set aside for all to see."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.models import Account
from budgets.actions.catch_up import catch_up, organizations_waiting
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    staff_of,
    usage_sum,
)
from usage.actions import roll_up as module
from usage.actions.quarantine import retry_failed_batches
from usage.actions.roll_up import RolledUp, roll_up
from usage.models import IngestBatch, UsageDay, UsageHour

HOUR = NOW - timedelta(hours=2)

pytestmark = pytest.mark.django_db


def quantities(table: type[UsageHour] | type[UsageDay], account: Account) -> list[Decimal]:
    enter(staff_of(account))
    order = "starts_at" if table is UsageHour else "day"
    return list(table.objects.order_by(order, "group").values_list("quantity", flat=True))


def as_decimals(*numbers: str | int) -> list[Decimal]:
    return [Decimal(number) for number in numbers]


def poisoned(count: int = 5) -> tuple[Account, IngestBatch]:
    account = make_account()
    meter = make_meter(account.organization)
    batches = [
        make_batch(account.organization, usage_sum(account, meter, HOUR), usage_sum(account, meter, HOUR))
        for _ in range(count)
    ]
    bad = batches[count // 2]
    bad.sums[1]["q"] = "9" * 49  # more than NUMERIC(60, 12) holds
    bad.save()
    return account, bad


def test_the_others_are_merged() -> None:
    account, bad = poisoned()
    assert roll_up(account.organization_id, NOW) == RolledUp(4, 1)
    assert quantities(UsageDay, account) == as_decimals(8)
    bad.refresh_from_db()
    assert (bad.failures, bad.rolled_at) == (1, None)
    assert "overflow" in bad.error


def test_at_the_third_attempt_all_but_the_bad_sum_is_merged() -> None:
    account, bad = poisoned()
    for _ in range(3):
        roll_up(account.organization_id, NOW)
    assert quantities(UsageDay, account) == as_decimals(9)
    bad.refresh_from_db()
    assert [part["q"] for part in bad.sums] == ["9" * 49]
    assert roll_up(account.organization_id, NOW) == RolledUp()
    assert account.organization_id in organizations_waiting()  # its day awaits settlement
    catch_up(account.organization_id, timezone.now())
    assert organizations_waiting() == []


def test_it_can_be_tried_again_when_the_cause_is_gone() -> None:
    account, bad = poisoned()
    for _ in range(3):
        roll_up(account.organization_id, NOW)
    enter(staff_of(account))
    bad.refresh_from_db()
    bad.sums[0]["q"] = "1"
    bad.save()
    assert retry_failed_batches(staff_of(account)) == 1
    assert roll_up(account.organization_id, NOW) == RolledUp(1, 0)
    assert quantities(UsageDay, account) == as_decimals(10)
    bad.refresh_from_db()
    assert bad.error == ""


@pytest.mark.parametrize(
    "field", [{"q": "NaN"}, {"q": "sNaN"}, {"h": "yesterday"}, {"a": "019757b0-0000-7000-8000-000000000000"}]
)
def test_whatever_is_wrong_it_fails_alone(field: dict[str, str]) -> None:
    account, bad = poisoned(3)
    bad.sums[1] |= field
    bad.save()
    assert roll_up(account.organization_id, NOW) == RolledUp(2, 1)
    assert quantities(UsageDay, account) == as_decimals(4)


def test_a_database_that_goes_away_is_nobodys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    account, _ = poisoned()
    monkeypatch.setattr(module.upserts, "add_days", raise_(OperationalError("server closed the connection")))
    with pytest.raises(OperationalError):
        roll_up(account.organization_id, NOW)
    enter(staff_of(account))
    assert not IngestBatch.objects.exclude(failures=0, rolled_at=None).exists()


def raise_(error: Exception) -> Any:
    def fail(*_args: object) -> None:
        raise error

    return fail
