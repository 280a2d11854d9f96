"""An installation from before there were rated days gets them, and a ledger, by itself."""

from datetime import date, datetime
from importlib import import_module

import pytest
from django.db import connection

from budgets.actions.settle import settle
from budgets.actions.verify import verify_ledger
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import D, make_commit
from tests.factories import NOW, make_account, make_batch, make_meter, make_price, staff_of, usage_sum
from usage.actions.roll_up import roll_up
from usage.models import RatedDay, TouchedDay

pytestmark = pytest.mark.django_db


def _migrate() -> None:
    with connection.cursor() as cursor:
        cursor.execute(import_module("usage.migrations.0010_rate_days_of_before").MARK_DAYS_OF_BEFORE)


def test_days_without_rated_days_are_marked_once_and_settled_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("budgets.actions.verify.differences", lambda *_: [])  # this test writes sums only
    account = make_account()
    other = make_account()
    for one in (account, other):
        meter = make_meter(one.organization)
        make_price(meter, "0.5")
        hour = datetime.fromisoformat("2026-06-03T10:00:00+00:00")
        make_batch(one.organization, usage_sum(one, meter, hour, "12"))
        roll_up(one.organization_id, NOW)
        enter(staff_of(one))
        TouchedDay.objects.all().delete()
    make_commit(account, "10")
    TouchedDay.objects.all().delete()

    _migrate()

    enter(staff_of(account))
    found = [(mark.day, mark.reason) for mark in TouchedDay.objects.all()]
    assert found == [(date(2026, 6, 3), "Days of before were rated anew")]
    settle(account.organization_id, NOW)
    enter(staff_of(account))
    assert [row.amount for row in RatedDay.objects.all()] == [D(6)]
    check = verify_ledger(account.organization_id, NOW)
    assert (check.difference, check.is_exact) == ("", True)
    settle(account.organization_id, NOW)

    _migrate()

    enter(staff_of(account))
    assert not TouchedDay.objects.exists()
    enter(staff_of(other))
    assert TouchedDay.objects.count() == 1
