"""A staged import from the file to the events: what is kept, what is refused with which words, what it changes."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Account, Organization
from consumption_cs.lib.tenancy import Viewer, enter
from tests.factories import make_account, make_meter, make_organization
from tests.usage.import_files import closed, csv_file, row, validated
from usage.actions.roll_up import roll_up
from usage.models import (
    Event,
    EventKey,
    Meter,
    UsageDay,
    UsageImport,
    Workflow,
)

pytestmark = pytest.mark.django_db

State = UsageImport.State


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def vendor() -> Organization:
    return make_organization()


@pytest.fixture
def account(vendor: Organization) -> Account:
    return make_account(vendor, key="northwind")


@pytest.fixture
def meter(vendor: Organization, account: Account) -> Meter:
    return make_meter(vendor, "api.call")


def _quantity(account: Account) -> Decimal:
    return sum((day.quantity for day in UsageDay.objects.filter(account=account)), Decimal(0))


def test_nothing_counts_before_the_import_is_closed(account: Account, meter: Meter, now: datetime) -> None:
    rows = [row(number, now - timedelta(hours=number), workflow="Claims") for number in range(5)]
    one = validated(account.organization, csv_file(rows))
    assert (one.state, one.rows, one.rows_new, one.rows_bad) == (State.READY, 5, 5, 0)
    assert not Event.objects.exists()
    assert not EventKey.objects.exists()
    assert not Workflow.objects.exists()
    roll_up(one.organization_id, now)
    assert not UsageDay.objects.exists()


def test_a_closed_import_counts_each_event_once(account: Account, meter: Meter, now: datetime) -> None:
    rows = [row(number, now - timedelta(hours=number), workflow="Claims") for number in range(5)]
    one = closed(validated(account.organization, csv_file(rows)))
    assert one.state == State.CLOSED
    roll_up(one.organization_id, now)
    enter(Viewer(one.organization_id))
    assert _quantity(account) == Decimal(10)
    assert Event.objects.get(event_id='e3').workflow.key == "Claims"
