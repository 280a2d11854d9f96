"""Billing periods: what waits to be closed, closing one or many, what was closed; the settings around it; the API."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone as clock

from accounts.models import Account, AuditEvent, Organization, Role, Scope
from budgets.actions.settle import settle
from budgets.reports.ended_periods import ended_periods, with_amounts
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_batch,
    make_key,
    make_member,
    make_meter,
    make_organization,
    make_price,
    signed_in,
    staff_of,
    usage_sum,
)
from usage.actions.roll_up import roll_up
from usage.models import BillingPeriod, Meter, QuarantinedEvent, TouchedDay

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    return clock.now()


@pytest.fixture
def last_month(now: datetime) -> date:
    """A day of the month before this one."""
    return (now.date().replace(day=1) - timedelta(days=1)).replace(day=5)


@pytest.fixture
def organization() -> Organization:
    return make_organization(close_after_days=60)


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="northwind")


@pytest.fixture
def calls(organization: Organization) -> Meter:
    meter = make_meter(organization, name="Calls")
    make_price(meter, "0.5")
    return meter


@pytest.fixture
def finance(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.FINANCE))


def use(account: Account, meter: Meter, day: date, now: datetime, quantity: str = "10") -> None:
    hour = datetime.combine(day, datetime.min.time(), timezone.utc) + timedelta(hours=10)
    make_batch(account.organization, usage_sum(account, meter, hour, quantity))
    roll_up(account.organization_id, now)
    settle(account.organization_id, now)
    enter(staff_of(account))


def test_a_period_that_has_ended_waits_with_its_amount(
    account: Account, calls: Meter, last_month: date, now: datetime
) -> None:
    use(account, calls, last_month, now)
    viewer = staff_of(account)
    (one,) = with_amounts(viewer, ended_periods(viewer, now, 60))
    assert (one.span.start, one.span.end) == (last_month.replace(day=1), now.date().replace(day=1))
    assert (one.amount, one.more, one.settling) == (5, 0, 0)
    assert one.closes_on == now.date().replace(day=1) + timedelta(days=60)


def test_what_may_still_come_for_it_is_said(account: Account, calls: Meter, last_month: date, now: datetime) -> None:
    use(account, calls, last_month, now)
    TouchedDay.objects.create(organization=account.organization, account=account, day=last_month, received_at=now)
    QuarantinedEvent.objects.create(
        organization=account.organization, key=uuid7(), digest=1, reason="unknown_type",
        payload={"subject": "northwind"}, occurred_at=datetime.combine(last_month, datetime.min.time(), timezone.utc),
    )  # fmt: skip
    viewer = staff_of(account)
    (one,) = with_amounts(viewer, ended_periods(viewer, now, 60))
    assert (one.settling, one.quarantined) == (1, 1)


def test_periods_are_closed_together_and_one_that_cannot_be_does_not_hold_up_the_others(
    organization: Organization, account: Account, calls: Meter, last_month: date, now: datetime, finance: Client
) -> None:
    other = make_account(organization, "Other")
    for one in (account, other):
        use(one, calls, last_month, now)
    TouchedDay.objects.create(organization=organization, account=other, day=last_month, received_at=now)
    start = last_month.replace(day=1)
    page = finance.get("/finance/periods/").content.decode()
    assert "<b>2</b> accounts have a billing period that has ended and is still open." in page
    chosen = [f"{account.pk}:{start}", f"{other.pk}:{start}", "nonsense"]
    done = finance.post("/finance/periods/close/", {"period": chosen}, follow=True).content.decode()
    assert "1 billing period closed." in done
    assert "Other: New usage or a new price is just being settled." in done
    enter(staff_of(account))
    row = BillingPeriod.objects.get()
    assert (row.account_id, row.amount) == (account.pk, 5)
    assert row.closed_by is not None
    listed = finance.get("/finance/periods/?show=closed").content.decode()
    assert "Northwind" in listed
    assert "$5.00" in listed


def test_choosing_nothing_is_answered_in_words(finance: Client) -> None:
    page = finance.post("/finance/periods/close/", follow=True).content.decode()
    assert "Choose at least one period to close." in page


def test_only_those_who_may_close_do(organization: Organization) -> None:
    leader = signed_in(make_member(organization, Role.LEADER))
    assert leader.get("/finance/periods/").status_code == 200
    assert leader.post("/finance/periods/close/").status_code == 403


def test_the_organization_chooses_when_periods_close_by_themselves(organization: Organization) -> None:
    admin = signed_in(make_member(organization))
    form = {"name": "Acme AI", "timezone": "UTC", "currency": "USD", "brand_color": "#5146e5"}
    assert admin.post("/settings/", form | {"close_after_days": "61"}).status_code == 422
    admin.post("/settings/", form | {"close_after_days": "9"})
    organization.refresh_from_db()
    assert organization.close_after_days == 9
    admin.post("/settings/", form)
    organization.refresh_from_db()
    assert organization.close_after_days == 9


def test_a_new_billing_day_rates_the_open_days_again_and_is_for_admins(
    organization: Organization, account: Account, calls: Meter, last_month: date, now: datetime
) -> None:
    use(account, calls, last_month, now)
    form = {"name": "Northwind", "segment": account.segment, "tier": account.tier, "billing_day": "15"}
    address = f"/accounts/{account.pk}/edit/"
    signed_in(make_member(organization, Role.CSM)).post(address, form)
    enter(staff_of(account))
    account.refresh_from_db()
    assert account.billing_day == 1
    admin = signed_in(make_member(organization))
    assert admin.post(address, form | {"billing_day": "32"}).status_code == 422
    assert admin.post(address, form).status_code == 302
    enter(staff_of(account))
    account.refresh_from_db()
    assert account.billing_day == 15
    mark = TouchedDay.objects.get()
    assert (mark.day, mark.reason) == (last_month, "Billing periods start on day 15 instead of 1")


def test_the_api_reads_and_closes(
    organization: Organization, account: Account, calls: Meter, last_month: date, now: datetime
) -> None:
    use(account, calls, last_month, now)
    _, secret = make_key(organization, (Scope.READ, Scope.MANAGE))
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    address, start = "/api/v1/accounts/northwind/billing-periods", last_month.replace(day=1).isoformat()
    found = client.get(address).json()["results"]
    assert [(row["state"], row["amount"]) for row in found] == [("open", "0"), ("ended", "5")]
    assert found[1]["starts_on"] == start
    early = client.post(address, {"starts_on": found[0]["starts_on"]}, content_type="application/json")
    assert (early.status_code, early.json()["code"]) == (409, "period_not_closable")
    assert "periods are closed in their order" in early.json()["detail"]
    headers = {"Idempotency-Key": "close-1"}
    for _ in range(2):
        made = client.post(address, {"starts_on": start}, content_type="application/json", headers=headers)
        assert (made.status_code, made.json()["state"], made.json()["amount"]) == (201, "closed", "5")
    enter(staff_of(account))
    assert BillingPeriod.objects.count() == 1
    assert AuditEvent.objects.filter(action="period.closed").count() == 1


def test_a_key_of_the_account_reads_its_periods_and_closes_none(
    organization: Organization, account: Account, calls: Meter, last_month: date, now: datetime
) -> None:
    use(account, calls, last_month, now)
    _, secret = make_key(organization, (Scope.READ,), account=account)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    address = "/api/v1/accounts/northwind/billing-periods"
    assert Decimal(client.get(address).json()["results"][1]["amount"]) == 5
    body = {"starts_on": last_month.replace(day=1).isoformat()}
    assert client.post(address, body, content_type="application/json").status_code == 403
