"""Waste from events and money, the reliability board over all accounts, and what it says where it does not know."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from consumption_cs.lib.tenancy import enter
from reviews.reports.waste_then import waste_then
from tests.factories import (
    make_account,
    make_meter,
    make_organization,
    make_partition,
    make_usage_day,
    make_workflow,
    staff_of,
)
from usage.models import Event, Meter, RatedDay, Workflow

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 20)
DAY = date(2026, 11, 18)


def make_event(
    account: Account, meter: Meter, workflow: Workflow | None, quantity: str = "10", **fields: Any
) -> Event:
    at = datetime(2026, 11, 18, 12, tzinfo=UTC)
    make_partition(fields.get("occurred_at", at))
    enter(staff_of(account))
    defaults: dict[str, Any] = {
        "occurred_at": at,
        "received_at": at,
        "batch_id": 1,
        "succeeded": True,
        "properties": {},
    }
    return Event.objects.create(
        organization_id=account.organization_id, key=uuid4(), account=account, meter=meter, workflow=workflow,
        quantity=Decimal(quantity), source="/prod", event_id=uuid4().hex, **defaults | fields,
    )  # fmt: skip


def _northwind() -> tuple[Account, Meter, Workflow]:
    organization = make_organization()
    account = make_account(organization)
    meter = make_meter(organization)
    return account, meter, make_workflow(account)


def test_waste_of_an_account_is_shared_from_its_days_money_by_quantity_each_event_once() -> None:
    account, meter, workflow = _northwind()
    make_event(account, meter, workflow, "30", succeeded=False, properties={"error": "timeout"})
    make_event(account, meter, workflow, "20", succeeded=False, properties={"status_code": 503})
    make_event(account, meter, workflow, "10", succeeded=False, attempt=2)  # failed before it is a retry
    make_event(account, meter, workflow, "15", attempt=2)
    make_event(account, meter, workflow, "5", properties={"input_hash": "a"})
    make_event(account, meter, workflow, "5", properties={"input_hash": "a"})
    make_event(account, meter, workflow, "15")
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(100), events=7, finished=7, successes=4,
                   spend=Decimal(200))  # fmt: skip
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.failed == 120
    assert found.credit_candidate == 40
    assert found.retries == 30
    assert found.duplicates == 10
    assert found.total == 160
    assert found.spend == 200
    assert found.percent == 80


def test_failures_of_a_meter_that_does_not_add_up_are_shared_by_their_number() -> None:
    account, _, workflow = _northwind()
    meter = make_meter(account.organization, "seats", aggregation=Meter.Aggregation.MAX)
    make_event(account, meter, workflow, "900", succeeded=False)
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(900), events=10, finished=10, successes=9,
                   spend=Decimal(50))  # fmt: skip
    assert waste_then(account.organization_id, {account.pk: TODAY})[account.pk].failed == 5


def test_where_events_are_not_kept_the_roll_up_tells_of_failures() -> None:
    account, meter, workflow = _northwind()
    make_usage_day(account, meter, DAY, workflow, events=10, finished=10, successes=8, spend=Decimal(50))
    assert waste_then(account.organization_id, {account.pk: TODAY})[account.pk].failed == 10


def test_use_outside_of_production_and_outside_of_the_days_is_no_waste() -> None:
    account, meter, workflow = _northwind()
    make_event(account, meter, workflow, succeeded=False, counted=False, environment="sandbox")
    make_event(account, meter, workflow, succeeded=False, occurred_at=datetime(2026, 10, 22, 12, tzinfo=UTC))
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(10), finished=10, successes=10, spend=Decimal(50))
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.total == 0
    assert found.percent == 0
    assert found.spend == 50


def test_a_minimum_that_was_not_used_up_is_idle_and_counts_once() -> None:
    account, meter, workflow = _northwind()
    make_usage_day(account, meter, DAY, workflow, finished=10, successes=10, spend=Decimal(50))
    own = {"organization_id": account.organization_id, "account": account, "meter": meter, "total_events": 0}
    # The last day of a period: 20 of use, topped up to 50; and a second cell without any use.
    RatedDay.objects.create(day=DAY, quantity=10, events=10, amount=Decimal(50), total_quantity=10,
                            total_due=Decimal(20), total_amount=Decimal(50), **own)  # fmt: skip
    RatedDay.objects.create(day=DAY, cell="b", quantity=0, events=0, amount=Decimal(40), total_quantity=0,
                            total_due=Decimal(0), total_amount=Decimal(40), **own)  # fmt: skip
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.idle_minimum == 70
    assert found.total == 70
    assert found.spend == 90


def test_an_account_without_use_has_no_percent() -> None:
    account, _, _ = _northwind()
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.total == 0
    assert found.percent is None


def test_waste_of_many_accounts_takes_as_many_queries_as_of_one() -> None:
    account, meter, _workflow = _northwind()
    others = [make_account(account.organization, f"Other {number}") for number in range(5)]
    for other in others:
        make_usage_day(other, meter, DAY, make_workflow(other), spend=Decimal(10))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = waste_then(account.organization_id, {one.pk: TODAY for one in [account, *others]})
    assert len(queries) == 2
    assert len(found) == 6
    assert found[others[0].pk].failed == 1


def test_days_are_local_to_the_account() -> None:
    organization = make_organization()
    account = make_account(organization, timezone="Pacific/Auckland")
    meter, workflow = make_meter(organization), make_workflow(account)
    # 23:00 UTC of the 17th is noon of the 18th in Auckland.
    make_event(account, meter, workflow, succeeded=False, occurred_at=datetime(2026, 11, 17, 23, tzinfo=UTC))
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(20), spend=Decimal(8))
    assert waste_then(organization.pk, {account.pk: TODAY})[account.pk].failed == 4
    assert waste_then(organization.pk, {account.pk: DAY + timedelta(days=29)})[account.pk].spend == 0
