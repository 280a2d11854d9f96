"""Prices: what holds when, adding and removing them, and the days that are rated again."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Organization, Role
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_price,
    make_usage_day,
    signed_in,
    staff_of,
)
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter, Price, TouchedDay
from usage.reports.prices import exact_price, price_list, rerated_by

pytestmark = pytest.mark.django_db
TODAY = date(2026, 6, 15)


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", name="API calls")


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization))


def filled(meter: Meter, **fields: Any) -> dict[str, Any]:
    tomorrow = (timezone.now() + timedelta(days=2)).date().isoformat()
    start = {"meter": str(meter.pk), "account": "", "unit_price": "0.002", "currency": "USD"}
    return start | {"effective_on": tomorrow} | fields


@pytest.mark.parametrize(
    ("text", "price"),
    [("1", "1"), ("0.000000000001", "1E-12"), (" 007.50 ", "7.5"), ("0", "0"), ("0.1234567890120", "0.123456789012")],
)
def test_a_price_is_read_exactly(text: str, price: str) -> None:
    assert read_unit_price(text) == Decimal(price)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.1234567890123", "has 13 decimals; 12 is the most"),
        ("1234567890123", "12 digits before the point"),
        ("-1", "cannot be negative"),
        ("1,5", "Use a point for the decimals"),
        ("1e3", "is not a price"),
        ("٣", "is not a price"),
        ("NaN", "is not a price"),
        ("", "is not a price"),
        ("1_000", "is not a price"),
    ],
)
def test_what_is_no_price_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises(BadPrice, match=words):
        read_unit_price(text)


def test_each_price_holds_until_the_next_of_its_kind(organization: Organization, meter: Meter) -> None:
    account = make_account(organization)
    for day, price in [(date(2026, 1, 1), "1"), (date(2026, 6, 15), "2"), (date(2026, 7, 1), "3")]:
        make_price(meter, price, effective_on=day)
    make_price(meter, "9", account, effective_on=date(2026, 2, 1))
    enter(staff_of(organization))
    (found,) = price_list(staff_of(organization), TODAY)
    assert [(line.text, line.state, line.until) for line in found.lines] == [
        ("$3.00", "ahead", None),
        ("$2.00", "in force", date(2026, 7, 1)),
        ("$1.00", "past", date(2026, 6, 15)),
        ("$9.00", "in force", None),
    ]
    (now,) = price_list(staff_of(organization), TODAY, with_past=False)
    assert len(now.lines) == 3


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [("0.000125", "USD", "$0.000125"), ("2.000000000000", "USD", "$2.00"), ("1200", "JPY", "¥1,200")],
)
def test_a_price_is_shown_with_all_its_decimals(amount: str, currency: str, text: str) -> None:
    assert exact_price(Decimal(amount), currency) == text


def test_a_price_from_a_coming_day_is_stored_at_once(organization: Organization, meter: Meter, admin: Client) -> None:
    response = admin.post("/prices/new/", filled(meter), follow=True)
    assert "API calls costs $0.002 a call from" in response.content.decode()
    enter(staff_of(organization))
    assert Price.objects.get().unit_price == Decimal("0.002")
    assert AuditEvent.objects.get().action == "price.created"
    assert not TouchedDay.objects.exists()


def test_a_price_from_a_past_day_first_says_what_it_rates_again(
    organization: Organization, meter: Meter, admin: Client
) -> None:
    account = make_account(organization)
    today = timezone.now().date()
    for days in (40, 3, 2):
        make_usage_day(account, meter, today - timedelta(days=days))
    form = filled(meter, effective_on=(today - timedelta(days=10)).isoformat())
    asked = admin.post("/prices/new/", form)
    body = asked.content.decode()
    assert "This changes what 2 days of use cost" in body
    assert "Rate 2 days again and save" in body
    enter(staff_of(organization))
    assert not Price.objects.exists()
    done = admin.post("/prices/new/", form | {"confirmed": asked.context["form"].data["confirmed"]}, follow=True)
    assert "2 account days are being rated again" in done.content.decode()
    enter(staff_of(organization))
    assert sorted(TouchedDay.objects.values_list("day", flat=True)) == [
        today - timedelta(days=3),
        today - timedelta(days=2),
    ]


def test_what_was_confirmed_for_one_price_does_not_let_another_pass(
    organization: Organization, meter: Meter, admin: Client
) -> None:
    make_usage_day(make_account(organization), meter, timezone.now().date() - timedelta(days=3))
    form = filled(meter, effective_on="2020-01-01")
    token = admin.post("/prices/new/", form).context["form"].data["confirmed"]
    again = admin.post("/prices/new/", form | {"confirmed": token, "unit_price": "5"})
    assert "Save again to go on" in again.content.decode()
    enter(staff_of(organization))
    assert not Price.objects.exists()


def test_days_after_the_next_price_are_not_counted_as_rated_again(organization: Organization, meter: Meter) -> None:
    account = make_account(organization)
    for day in (1, 5, 9):
        make_usage_day(account, meter, date(2026, 6, day))
    make_price(meter, "1", effective_on=date(2026, 6, 8))
    enter(staff_of(organization))
    found = rerated_by(staff_of(organization), meter, None, "USD", date(2026, 6, 1))
    assert (found.days, found.first, found.last) == (2, date(2026, 6, 1), date(2026, 6, 5))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unit_price": "0.1234567890123"}, "This price has 13 decimals; 12 is the most"),
        ({"unit_price": "abc"}, "is not a price"),
        ({"account": "nobody"}, "No account has the key"),
        ({"account": "euro"}, "Euro GmbH pays in EUR."),
        ({"currency": "usd"}, "three capital letters"),
        ({"effective_on": "2026-02-30"}, "Enter a valid date."),
        ({"effective_on": "1999-12-31"}, "Choose a day between 2000 and 2099."),
        ({"effective_on": "2030-01-01"}, "already has a price in USD for all accounts from 2030-01-01 on."),
        ({"meter": "00000000-0000-0000-0000-000000000000"}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    organization: Organization, meter: Meter, admin: Client, fields: dict[str, str], words: str
) -> None:
    make_account(organization, "Euro GmbH", key="euro", currency="EUR")
    make_price(meter, effective_on=date(2030, 1, 1))
    response = admin.post("/prices/new/", filled(meter) | fields)
    assert response.status_code == 422
    assert words in response.content.decode()
    enter(staff_of(organization))
    assert Price.objects.count() == 1


def test_removing_a_price_rates_its_days_again(organization: Organization, meter: Meter, admin: Client) -> None:
    make_usage_day(make_account(organization), meter, date(2026, 6, 1))
    price = make_price(meter, effective_on=date(2026, 1, 1))
    response = admin.post(f"/prices/{price.pk}/remove/", follow=True)
    assert "1 account day is being rated again" in response.content.decode()
    enter(staff_of(organization))
    assert not Price.objects.exists()
    assert TouchedDay.objects.count() == 1
    assert AuditEvent.objects.get().details["unit_price"].startswith("0.01")


def test_the_list_warns_of_meters_without_a_price(organization: Organization, meter: Meter, admin: Client) -> None:
    assert "API calls has no price in force for all accounts." in admin.get("/prices/").content.decode()
    make_price(meter)
    body = admin.get("/prices/").content.decode()
    assert "no price in force" not in body
    assert "In force" in body


def test_prices_are_seen_by_staff_and_changed_by_admin_and_finance(organization: Organization, meter: Meter) -> None:
    price = make_price(meter)
    csm = signed_in(make_member(organization, Role.CSM))
    assert csm.get("/prices/").status_code == 200
    assert csm.get("/prices/new/").status_code == 403
    assert csm.post(f"/prices/{price.pk}/remove/").status_code == 403
    finance = signed_in(make_member(organization, Role.FINANCE))
    assert finance.get("/prices/new/").status_code == 200
    assert signed_in(make_member(make_account(organization))).get("/prices/").status_code == 403


def test_another_organization_s_prices_are_unknown(meter: Meter) -> None:
    price = make_price(meter)
    stranger = signed_in(make_member(make_organization("Globex")))
    assert stranger.post(f"/prices/{price.pk}/remove/").status_code == 404
    assert "API calls" not in stranger.get("/prices/").content.decode()
    assert "Select a valid choice" in stranger.post("/prices/new/", filled(meter)).content.decode()
