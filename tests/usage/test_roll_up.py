"""The tick merges every accepted batch into hours and days exactly once, in whatever order they come."""

from datetime import timedelta
from decimal import Decimal

import pytest

from consumption_cs.lib.tenancy import enter
from tests.factories import NOW, make_account, make_batch, make_meter, staff_of, usage_sum
from usage.actions.roll_up import roll_up
from usage.models import IngestBatch, TouchedDay, UsageDay, UsageHour

HOUR = NOW - timedelta(hours=2)


@pytest.mark.django_db
def test_two_batches_of_one_hour_add_up() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for quantity in ("1.5", "2.25"):
        make_batch(account.organization, usage_sum(account, meter, HOUR, quantity))
    assert roll_up(account.organization_id, NOW).batches == 2
    enter(staff_of(account))
    assert UsageHour.objects.get().quantity == UsageDay.objects.get().quantity == Decimal("3.75")
    assert TouchedDay.objects.get().day == HOUR.date()
    assert not IngestBatch.objects.filter(rolled_at=None).exists()
