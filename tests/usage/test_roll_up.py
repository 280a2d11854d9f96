"""The tick merges every accepted batch into hours and days exactly once, in whatever order they come."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from accounts.models import Account
from budgets.actions.catch_up import catch_up, organizations_waiting
from consumption_cs.lib.tenancy import Viewer, enter
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_organization,
    make_workflow,
    staff_of,
    usage_sum,
)
from usage.actions import roll_up as module
from usage.actions.roll_up import RolledUp, roll_up
from usage.models import IngestBatch, Meter, TouchedDay, UniqueValue, UsageDay, UsageHour

HOUR = NOW - timedelta(hours=2)


def quantities(table: type[UsageHour] | type[UsageDay], account: Account) -> list[Decimal]:
    enter(staff_of(account))
    order = "starts_at" if table is UsageHour else "day"
    return list(table.objects.order_by(order, "group").values_list("quantity", flat=True))


def as_decimals(*numbers: str | int) -> list[Decimal]:
    return [Decimal(number) for number in numbers]


@pytest.mark.django_db
def test_batches_of_one_hour_add_up() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for quantity in ("1.5", "2.25"):
        make_batch(account.organization, usage_sum(account, meter, HOUR, quantity, o="0.5", n=3, f=2, s=1))
    assert roll_up(account.organization_id, NOW) == RolledUp(2, 0)
    assert quantities(UsageHour, account) == quantities(UsageDay, account) == as_decimals("3.75")
    day = UsageDay.objects.get()
    assert (day.events, day.finished, day.successes, day.outcomes) == (6, 4, 2, Decimal(1))
    assert day.last_event_at == HOUR + timedelta(minutes=30)
    assert TouchedDay.objects.get().day == HOUR.date()
    assert not IngestBatch.objects.filter(rolled_at=None).exists()


@pytest.mark.django_db
def test_a_later_batch_adds_to_what_is_there() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for hour in (HOUR, HOUR + timedelta(hours=1), HOUR):
        make_batch(account.organization, usage_sum(account, meter, hour, "0.1"))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == as_decimals("0.2", "0.1")
    assert quantities(UsageDay, account) == as_decimals("0.3")


@pytest.mark.django_db
def test_merging_again_changes_nothing() -> None:
    account = make_account()
    make_batch(account.organization, usage_sum(account, make_meter(account.organization), HOUR))
    roll_up(account.organization_id, NOW)
    assert roll_up(account.organization_id, NOW) == RolledUp()
    assert quantities(UsageDay, account) == as_decimals(1)


@pytest.mark.django_db
def test_38_digits_are_kept() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    large = "1234567890123456789012345.000000000001"
    make_batch(account.organization, usage_sum(account, meter, HOUR, large), usage_sum(account, meter, HOUR, "2e-12"))
    roll_up(account.organization_id, NOW)
    assert quantities(UsageDay, account) == as_decimals("1234567890123456789012345.000000000003")


@pytest.mark.django_db
def test_usage_is_kept_apart_by_workflow_and_group() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    workflow = str(make_workflow(account).pk)
    parts: list[dict[str, Any]] = [
        {"w": workflow},
        {"w": None},
        {"w": workflow, "g": '{"model":"a"}'},
        {"w": workflow},
    ]
    make_batch(account.organization, *(usage_sum(account, meter, HOUR, **part) for part in parts))
    roll_up(account.organization_id, NOW)
    enter(staff_of(account))
    rows = UsageDay.objects.order_by("workflow", "group").values_list("workflow", "group", "events")
    assert [(bool(workflow), group, events) for workflow, group, events in rows] == [
        (True, "", 2),
        (True, '{"model":"a"}', 1),
        (False, "", 1),
    ]


@pytest.mark.django_db
def test_a_maximum_keeps_the_greatest() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.MAX)
    for hour, quantity in ((HOUR, "5"), (HOUR + timedelta(hours=1), "9"), (HOUR, "7")):
        make_batch(account.organization, usage_sum(account, meter, hour, quantity))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == as_decimals(7, 9)
    assert quantities(UsageDay, account) == as_decimals(9)


@pytest.mark.django_db
def test_a_latest_value_is_the_latest_by_its_own_time() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.LATEST)
    for minute, quantity in ((10, "5"), (40, "3"), (20, "8")):
        at = (HOUR + timedelta(minutes=minute)).isoformat()
        make_batch(account.organization, usage_sum(account, meter, HOUR, quantity, l=at, lt=at))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == quantities(UsageDay, account) == as_decimals(3)


@pytest.mark.django_db
def test_a_value_counts_once_in_a_month() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.UNIQUE)
    yesterday, next_month = HOUR - timedelta(days=1), HOUR + timedelta(days=30)
    for hour, values in ((yesterday, ["ann", "bob"]), (HOUR, ["bob", "cid"]), (next_month, ["ann"])):
        make_batch(account.organization, usage_sum(account, meter, hour, u=values, n=len(values)))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageDay, account) == quantities(UsageHour, account) == as_decimals(2, 1, 1)
    assert UniqueValue.objects.count() == 4


@pytest.mark.django_db
def test_values_of_one_tick_count_in_their_first_hour() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.UNIQUE)
    later = usage_sum(account, meter, HOUR + timedelta(hours=1), u=["ann", "bob"])
    make_batch(account.organization, later, usage_sum(account, meter, HOUR, u=["ann"]))
    roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == as_decimals(1, 1)


@pytest.mark.django_db
def test_an_hour_beyond_the_window_only_counts_in_its_day() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    make_batch(account.organization, usage_sum(account, meter, NOW - timedelta(days=61), "4"))
    roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == []
    assert quantities(UsageDay, account) == as_decimals(4)


@pytest.mark.django_db
def test_a_mark_keeps_when_its_oldest_batch_came() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for minutes in (3, 8, 5):
        received_at = NOW - timedelta(minutes=minutes)
        make_batch(account.organization, usage_sum(account, meter, HOUR), received_at=received_at)
        roll_up(account.organization_id, NOW)
    enter(staff_of(account))
    assert TouchedDay.objects.get().received_at == NOW - timedelta(minutes=8)


@pytest.mark.django_db
def test_a_tick_takes_a_bounded_number_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for _ in range(5):
        make_batch(account.organization, usage_sum(account, meter, HOUR, n=10))
    assert roll_up(account.organization_id, NOW, max_batches=2).batches == 2
    monkeypatch.setattr(module, "MAX_EVENTS", 5)
    assert roll_up(account.organization_id, NOW).batches == 1
    monkeypatch.undo()
    assert catch_up(account.organization_id, NOW) == 2


@pytest.mark.django_db
def test_only_organizations_with_work_are_looked_at() -> None:
    idle, busy = make_organization(), make_account()
    touched = make_account()
    make_batch(busy.organization, usage_sum(busy, make_meter(busy.organization), HOUR))
    enter(staff_of(touched))
    TouchedDay.objects.create(organization=touched.organization, account=touched, day=NOW.date(), received_at=NOW)
    viewer = Viewer(idle.pk, touched.pk)
    enter(viewer)
    assert set(organizations_waiting()) == {busy.organization_id, touched.organization_id}
    assert current_scope() == (str(idle.pk), str(touched.pk))


def current_scope() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.organization'), current_setting('app.account')")
        row: tuple[str, str] = cursor.fetchone()
        return row
