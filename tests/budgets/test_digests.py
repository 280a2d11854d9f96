"""Digests: exactly once for each person and day, of their own accounts, at 7 of their own clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import Account, Membership, Role
from budgets.actions.digests import write_digests
from budgets.models import Delivery, NotificationWishes
from consumption_cs.lib.tenancy import enter
from tests.budgets.test_outbox import make_alert
from tests.factories import make_account, make_member, make_organization, staff_of

pytestmark = pytest.mark.django_db
MONDAY = datetime(2026, 6, 15, 7, 30, tzinfo=UTC)


def digests(account: Account, *moments: datetime) -> list[Delivery]:
    for now in moments:
        write_digests(account.organization_id, now)
    enter(staff_of(account))
    return list(Delivery.objects.order_by("email", "key"))


def wish(seat: Membership, **fields: Any) -> None:
    enter(staff_of(seat.organization))
    NotificationWishes.objects.create(organization=seat.organization, account=seat.account, membership=seat, **fields)


def test_a_csm_hears_on_mondays_of_accounts_with_open_alerts_once() -> None:
    organization = make_organization()
    csm = make_member(organization, Role.CSM)
    account = make_account(organization, csm=csm.user)
    make_account(organization, "Calm", csm=csm.user)
    make_alert(make_account(organization, "Of others"))
    make_alert(account)
    make_alert(account, 2, severity="critical")
    rows = digests(account, MONDAY, MONDAY + timedelta(hours=1), MONDAY + timedelta(days=1))
    assert [(row.email, row.is_internal) for row in rows] == [(csm.user.email, True)]
    assert rows[0].payload["lines"] == [["Northwind", "2 open alerts, 1 critical."]]


def test_a_customer_s_people_hear_of_their_own_account() -> None:
    account = make_account()
    make_member(account)
    make_alert(account)
    make_alert(make_account(account.organization, "Rival"))
    [row] = digests(account, MONDAY)
    assert row.account_id == account.pk
    assert [name for name, _ in row.payload["lines"]] == ["Northwind"]


def test_daily_ones_come_at_seven_of_the_person_s_clock_each_day() -> None:
    account = make_account()
    seat = make_member(account)
    wish(seat, digest="daily", timezone="America/New_York")
    make_alert(account)
    assert digests(account, MONDAY) == []  # half past three there
    later = MONDAY + timedelta(hours=4)
    assert len(digests(account, later, later, later + timedelta(days=1))) == 2


def test_who_wants_none_and_who_has_nothing_open_gets_none() -> None:
    account = make_account()
    wish(make_member(account), digest="none")
    make_alert(account)
    assert digests(account, MONDAY) == []
    calm = make_account(make_organization())
    make_member(calm)
    assert digests(calm, MONDAY) == []
