"""Pages say through when their numbers are complete."""

from datetime import timedelta

import pytest

from accounts.models import Account
from budgets.actions.catch_up import catch_up
from consumption_cs.lib.tenancy import enter
from tests.factories import NOW, make_account, make_batch, make_meter, portal_of, staff_of, usage_sum
from usage.actions.roll_up import roll_up
from usage.models import IngestBatch, Meter
from usage.reports.freshness import Freshness, data_through

HOUR = NOW - timedelta(hours=2)

pytestmark = pytest.mark.django_db


def accepted(account: Account, meter: Meter, seconds_ago: int) -> None:
    make_batch(account.organization, usage_sum(account, meter, HOUR), received_at=NOW - timedelta(seconds=seconds_ago))


def test_before_the_first_event_everything_is_up_to_date() -> None:
    account = make_account()
    enter(portal_of(account))
    assert data_through(portal_of(account), NOW) == Freshness(NOW, None, 0)


def test_data_is_complete_through_now_when_nothing_waits() -> None:
    account = make_account()
    accepted(account, make_meter(account.organization), 300)
    catch_up(account.organization_id, NOW)
    for viewer in (staff_of(account), portal_of(account)):
        enter(viewer)
        assert data_through(viewer, NOW) == Freshness(NOW, HOUR + timedelta(minutes=30), 0)


def test_a_batch_that_waits_makes_the_numbers_older_for_a_customer_too() -> None:
    account = make_account()
    accepted(account, make_meter(account.organization), 61)
    for viewer in (staff_of(account), portal_of(account)):
        enter(viewer)
        fresh = data_through(viewer, NOW)
        assert (fresh.data_through, fresh.lag_seconds, fresh.is_stale) == (NOW - timedelta(seconds=61), 61, True)


def test_a_minute_behind_is_not_stale_yet() -> None:
    account = make_account()
    accepted(account, make_meter(account.organization), 60)
    enter(staff_of(account))
    assert not data_through(staff_of(account), NOW).is_stale


def test_days_that_await_settlement_count_as_waiting_for_their_own_account_only() -> None:
    account, other = make_account(), None
    other = make_account(account.organization)
    accepted(account, make_meter(account.organization), 40)
    roll_up(account.organization_id, NOW)
    for viewer, lag in ((portal_of(account), 40), (staff_of(account), 40), (portal_of(other), 0)):
        enter(viewer)
        assert data_through(viewer, NOW).lag_seconds == lag


def test_another_organization_is_no_business_of_ours() -> None:
    account, stranger = make_account(), make_account()
    accepted(account, make_meter(account.organization), 40)
    enter(staff_of(stranger))
    assert data_through(staff_of(stranger), NOW) == Freshness(NOW, None, 0)


def test_a_batch_that_was_set_aside_does_not_keep_all_others_stale_for_ever() -> None:
    account = make_account()
    accepted(account, make_meter(account.organization), 40)
    enter(staff_of(account))
    IngestBatch.objects.update(failures=3)
    assert data_through(staff_of(account), NOW).lag_seconds == 0
