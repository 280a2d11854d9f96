"""A new price at once: typed exactly, shown with what it does before it is published, and never by accident."""

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
from usage.calc.price_text import BadPrice, exact_price, read_unit_price
from usage.models import Meter, Price, TouchedDay
from usage.reports.drafts import rerated_by

pytestmark = pytest.mark.django_db
URL = "/rate-cards/new-price/"


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


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [("0.000125", "USD", "$0.000125"), ("2.000000000000", "USD", "$2.00"), ("1200", "JPY", "¥1,200")],
)
def test_a_price_is_shown_with_all_its_decimals(amount: str, currency: str, text: str) -> None:
    assert exact_price(Decimal(amount), currency) == text


def publish_it(client: Client, form: dict[str, Any]) -> str:
    """Preview, then confirm what was shown; return the page after it."""
    shown = client.post(URL, form)
    confirmed = shown.context["form"].data["confirmed"]
    return client.post(URL, form | {"confirmed": confirmed}, follow=True).content.decode()


def test_a_price_is_previewed_and_then_published(organization: Organization, meter: Meter, admin: Client) -> None:
    assert "No use so far changes." in admin.post(URL, filled(meter)).content.decode()
    enter(staff_of(organization))
    assert not Price.objects.exists()
    assert "API calls costs $0.002 per call from" in publish_it(admin, filled(meter))
    enter(staff_of(organization))
    price = Price.objects.get()
    assert (price.unit_price, price.in_force, price.version.number) == (Decimal("0.002"), True, 1)
    assert AuditEvent.objects.get().action == "rate_card.published"
    assert not TouchedDay.objects.exists()


def test_the_preview_says_what_last_month_would_have_cost(
    organization: Organization, meter: Meter, admin: Client
) -> None:
    make_price(meter, "0.01")
    last_month = timezone.now().date().replace(day=1) - timedelta(days=5)
    make_usage_day(make_account(organization), meter, last_month, quantity=Decimal(1000))
    body = admin.post(URL, filled(meter)).content.decode()
    assert "The last full month of 1 account would have cost $2.00 instead of $10.00" in body
    assert "−$8.00" in body


def test_a_price_from_a_past_day_first_says_what_it_rates_again(
    organization: Organization, meter: Meter, admin: Client
) -> None:
    account = make_account(organization)
    today = timezone.now().date()
    for days in (40, 3, 2):
        make_usage_day(account, meter, today - timedelta(days=days))
    form = filled(meter, effective_on=(today - timedelta(days=10)).isoformat())
    asked = admin.post(URL, form)
    body = asked.content.decode()
    assert "This changes what 2 days of use cost" in body
    assert "Rate 2 days again and publish" in body
    enter(staff_of(organization))
    assert not Price.objects.exists()
    done = admin.post(URL, form | {"confirmed": asked.context["form"].data["confirmed"]}, follow=True)
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
    token = admin.post(URL, form).context["form"].data["confirmed"]
    again = admin.post(URL, form | {"confirmed": token, "unit_price": "5"})
    assert "Save again to publish it" in again.content.decode()
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
    response = admin.post(URL, filled(meter) | fields)
    assert response.status_code == 422
    assert words in response.content.decode()
    enter(staff_of(organization))
    assert Price.objects.count() == 1


def test_prices_are_published_by_admin_and_finance(organization: Organization) -> None:
    assert signed_in(make_member(organization, Role.CSM)).get(URL).status_code == 403
    assert signed_in(make_member(organization, Role.FINANCE)).get(URL).status_code == 200
    assert signed_in(make_member(make_account(organization))).get(URL).status_code == 403


def test_another_organization_s_meter_cannot_be_chosen(meter: Meter) -> None:
    stranger = signed_in(make_member(make_organization("Globex")))
    assert "Select a valid choice" in stranger.post(URL, filled(meter)).content.decode()
