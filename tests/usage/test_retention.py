"""Partitions are made ahead; hours, sessions and refusals are forgotten in their time; usage itself never is."""

from datetime import datetime, timedelta, timezone

import pytest
from django.contrib.sessions.models import Session
from django.db import connection

from budgets.actions.catch_up import catch_up
from consumption_cs.lib.tenancy import enter
from tests.factories import NOW, make_account, make_batch, make_meter, make_organization, staff_of, usage_sum
from tests.usage.import_files import closed, csv_file, row, validated
from usage.actions import retention
from usage.actions.retention import forget_old_rows, make_partitions
from usage.models import (
    AccountDay,
    Event,
    ImportRow,
    IngestBatch,
    RejectedEvent,
    UsageDay,
    UsageHour,
    UsageImport,
)

NEW = "usage_event_2041_10"
pytestmark = pytest.mark.django_db


def partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'usage_event'::regclass")
        return {name for (name,) in cursor.fetchall()}


def test_partitions_reach_from_last_month_to_three_months_ahead() -> None:
    far = datetime(2041, 11, 30, tzinfo=timezone.utc)
    assert make_partitions(far) == 5
    assert {
        f"usage_event_{month}" for month in ("2041_10", "2041_11", "2041_12", "2042_01", "2042_02")
    } <= partitions()
    assert make_partitions(far) == 0


def test_a_new_partition_hides_other_tenants_rows_like_the_table() -> None:
    make_partitions(datetime(2041, 11, 30, tzinfo=timezone.utc))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'usage_event_2041_10'"
        )
        assert cursor.fetchone() == (True, True)


def test_hours_older_than_60_days_are_forgotten_and_their_day_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_AT_ONCE", 3)
    account = make_account()
    meter = make_meter(account.organization)
    hours = [NOW - timedelta(hours=n) for n in range(10)]
    make_batch(account.organization, *(usage_sum(account, meter, hour) for hour in hours))
    catch_up(account.organization_id, NOW)
    assert forget_old_rows(hours[4] + timedelta(days=60))["usage_hour"] == 5
    enter(staff_of(account))
    assert UsageHour.objects.count() == 5
    assert sum(day.events for day in UsageDay.objects.all()) == AccountDay.objects.get().events == 10


def test_refusals_and_merged_batches_are_kept_for_90_days() -> None:
    organization, other = make_organization(), make_organization()
    for owner in (organization, other):
        enter(staff_of(owner))
        for age in (89, 91):
            received_at = NOW - timedelta(days=age)
            RejectedEvent.objects.create(organization=owner, code="invalid_time", received_at=received_at)
            make_batch(owner, received_at=received_at, rolled_at=received_at)
        make_batch(owner, received_at=NOW - timedelta(days=91))
    forgotten = forget_old_rows(NOW)
    assert (forgotten["usage_rejectedevent"], forgotten["usage_ingestbatch"]) == (2, 2)
    enter(staff_of(organization))
    assert RejectedEvent.objects.count() == 1
    assert sorted(batch.rolled_at is None for batch in IngestBatch.objects.all()) == [False, True]


def test_rows_of_an_import_go_once_it_cannot_be_undone() -> None:
    account = make_account(key="northwind")
    make_meter(account.organization, "api.call")
    now = datetime.now(timezone.utc)
    old, new, ready = (validated(account.organization, csv_file([row(number, now)])) for number in range(3))
    for one, age in ((old, 31), (new, 29)):
        closed(one)
        UsageImport.objects.filter(pk=one.pk).update(closed_at=now - timedelta(days=age))
    assert forget_old_rows(now)["usage_import_row"] == 1
    enter(staff_of(account))
    assert set(ImportRow.objects.values_list("usage_import", flat=True)) == {new.pk, ready.pk}
    assert Event.objects.count() == 2


def test_expired_sessions_and_cached_values_go() -> None:
    for key, hours in (("old", -1), ("new", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=NOW + timedelta(hours=hours))
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO cache VALUES (%s, '', %s)", [key, NOW + timedelta(hours=hours)])
    forgotten = forget_old_rows(NOW)
    assert (forgotten["django_session"], forgotten["cache"]) == (1, 1)
    assert Session.objects.get().session_key == "new"
