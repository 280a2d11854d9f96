"""The staff's list of accounts."""

import csv
import io
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_user,
    signed_in,
    staff_of,
)
from usage.reports.account_lines import AccountQuery
from usage.reports.account_list import AccountList, account_list, add_sparklines

NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)

pytestmark = pytest.mark.django_db


def listed(viewer: Viewer, now: datetime = NOW, **query: object) -> AccountList:
    enter(viewer)
    return account_list(viewer, AccountQuery(**query), now)  # type: ignore[arg-type]


def names(found: AccountList) -> list[str]:
    return [line.name for line in found.lines]


def test_spend_this_month_counts_today_and_the_change_compares_closed_days_only() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for day, spend in [(1, "10"), (14, "20"), (15, "5")]:
        make_usage_day(account, meter, date(2026, 6, day), spend=Decimal(spend))
    for day, spend in [(1, "10"), (14, "10"), (15, "100"), (31, "100")]:
        make_usage_day(account, meter, date(2026, 5, day), spend=Decimal(spend))
    (line,) = listed(staff_of(account)).lines
    assert (line.spend, line.closed_spend, line.before_spend) == (35, 30, 20)
    assert line.change == Decimal("0.5")


def test_the_month_begins_when_the_account_s_own_calendar_says() -> None:
    organization = make_organization()
    east = make_account(organization, "East", timezone="Pacific/Auckland")
    west = make_account(organization, "West", timezone="America/Los_Angeles")
    meter = make_meter(organization)
    for account in (east, west):
        make_usage_day(account, meter, date(2026, 5, 31), spend=Decimal(7))
        make_usage_day(account, meter, date(2026, 6, 1), spend=Decimal(2))
    turn = datetime(2026, 6, 1, 2, tzinfo=timezone.utc)  # June 1 in Auckland, still May 31 in Los Angeles
    spend = {line.name: line.spend for line in listed(staff_of(organization), turn).lines}
    assert spend == {"East": 2, "West": 7}


def test_a_longer_month_is_compared_with_as_many_days_as_the_shorter_one_has() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for day in (date(2026, 2, 28), date(2026, 3, 28), date(2026, 3, 29)):
        make_usage_day(account, meter, day, spend=Decimal(10))
    (line,) = listed(staff_of(account), datetime(2026, 3, 31, 12, tzinfo=timezone.utc)).lines
    assert (line.closed_spend, line.before_spend, line.spend) == (10, 10, 20)


def test_no_events_is_not_shown_as_zero_but_silence_after_use_is_zero() -> None:
    organization = make_organization()
    make_account(organization, "Never")
    quiet = make_account(organization, "Quiet")
    make_usage_day(quiet, make_meter(organization), date(2025, 1, 1))
    by_name = {line.name: line for line in listed(staff_of(organization)).lines}
    assert by_name["Never"].spend is None
    assert by_name["Quiet"].spend == 0
    assert by_name["Quiet"].last_event_at == datetime(2025, 1, 1, 12, tzinfo=timezone.utc)


def test_my_accounts_come_first_as_csm_and_as_field_cto() -> None:
    organization = make_organization()
    me = make_user()
    make_account(organization, "Alpha")
    make_account(organization, "Mine by care", csm=me)
    make_account(organization, "Also mine", field_cto=me)
    viewer = Viewer(organization.pk, None, Role.CSM, me.pk)
    assert names(listed(viewer)) == ["Also mine", "Mine by care", "Alpha"]
    assert names(listed(viewer, mine_first=False)) == ["Alpha", "Also mine", "Mine by care"]
    assert names(listed(viewer, csm="me")) == ["Also mine", "Mine by care"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"words": "NORTH"}, ["North"]),
        ({"words": "acct-s"}, ["South"]),
        ({"segment": "startup"}, ["South"]),
        ({"tier": "high_touch"}, ["North"]),
        ({"currency": "EUR"}, ["South"]),
        ({"csm": "none"}, ["North", "South"]),
        ({"activity": "active"}, ["North"]),
        ({"activity": "silent"}, []),
        ({"activity": "waiting"}, ["South"]),
        ({"words": "nobody"}, []),
    ],
)
def test_each_filter_narrows(query: dict[str, Any], expected: list[str]) -> None:
    organization = make_organization()
    north = make_account(organization, "North", key="acct-n", tier=Account.Tier.HIGH_TOUCH)
    make_account(organization, "South", key="acct-s", segment=Account.Segment.STARTUP, currency="EUR")
    make_usage_day(north, make_meter(organization), NOW.date() - timedelta(days=2))
    assert names(listed(staff_of(organization), **query)) == expected


def test_sorting_puts_the_unknown_last_in_both_directions() -> None:
    organization = make_organization()
    meter = make_meter(organization)
    for name, spend in [("Big", 100), ("Small", 1), ("Unknown", None)]:
        account = make_account(organization, name)
        if spend is not None:
            make_usage_day(account, meter, NOW.date(), spend=Decimal(spend))
    assert names(listed(staff_of(organization), sort="-spend")) == ["Big", "Small", "Unknown"]
    assert names(listed(staff_of(organization), sort="spend")) == ["Small", "Big", "Unknown"]
    assert names(listed(staff_of(organization), sort="-name")) == ["Unknown", "Small", "Big"]


def test_money_of_different_currencies_is_neither_added_nor_compared() -> None:
    organization = make_organization()
    meter = make_meter(organization)
    for name, currency, spend in [("A", "USD", 1), ("B", "JPY", 1000), ("C", "USD", 5)]:
        account = make_account(organization, name, currency=currency)
        make_usage_day(account, meter, NOW.date(), spend=Decimal(spend))
    found = listed(staff_of(organization), sort="-spend")
    assert names(found) == ["C", "A", "B"]
    assert [(total.currency, total.spend) for total in found.totals] == [("USD", 6), ("JPY", 1000)]


def test_the_sparkline_has_zeros_for_idle_days_and_gaps_before_the_first_use() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    make_usage_day(account, meter, date(2026, 6, 10), spend=Decimal(3))
    make_usage_day(account, meter, date(2026, 6, 12), spend=Decimal(4))
    viewer = staff_of(account)
    found = listed(viewer)
    add_sparklines(found.lines, viewer)
    assert found.lines[0].days[-6:] == [None, 3, 0, 4, 0, 0]


def test_the_page_takes_the_same_few_queries_for_any_number_of_accounts() -> None:
    organization = make_organization()
    meter = make_meter(organization)
    client = signed_in(make_member(organization, Role.CSM))

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get("/accounts/").status_code == 200
        return len(captured)

    make_usage_day(make_account(organization), meter, NOW.date())
    queries()  # the first visit also notes when the member was here
    few = queries()
    for _ in range(12):
        make_usage_day(make_account(organization), meter, NOW.date())
    assert queries() == few <= 25


@time_machine.travel(NOW, tick=False)
def test_the_page_pages_and_keeps_filters() -> None:
    organization = make_organization()
    for number in range(51):
        make_account(organization, f"Account {number:02}", segment=Account.Segment.STARTUP)
    client = signed_in(make_member(organization))
    first = client.get("/accounts/?segment=startup").content.decode()
    assert "1–50 of 51 accounts" in first
    assert "segment=startup&amp;page=2" in first
    assert "Account 50" in client.get("/accounts/?segment=startup&page=2").content.decode()
    assert "No account fits" in client.get("/accounts/?q=zzz").content.decode()


def test_an_empty_organization_is_told_how_to_begin() -> None:
    organization = make_organization()
    page = signed_in(make_member(organization)).get("/accounts/").content.decode()
    assert "No accounts yet." in page
    assert "Add your first account" in page


@time_machine.travel(NOW, tick=False)
def test_the_download_has_the_same_rows_and_no_formulas() -> None:
    organization = make_organization()
    account = make_account(organization, "=HYPERLINK(1)", key="evil")
    make_usage_day(account, make_meter(organization), NOW.date(), spend=Decimal("12.345678"))
    make_account(organization, "Other", segment=Account.Segment.STARTUP)
    client = signed_in(make_member(organization))
    response = client.get("/accounts/accounts.csv?segment=mid_market")
    (row,) = csv.DictReader(io.StringIO(response.content.decode()))
    assert row["name"] == "'=HYPERLINK(1)"
    assert row["spend_this_month"] == "12.345678"
    assert row["change_ratio"] == ""


def test_another_organization_s_accounts_are_not_listed() -> None:
    organization, other = make_organization(), make_organization("Globex")
    make_account(organization, "Ours")
    make_account(other, "Theirs")
    page = signed_in(make_member(organization)).get("/accounts/").content.decode()
    assert "Ours" in page
    assert "Theirs" not in page


def test_a_customer_has_no_list_of_accounts() -> None:
    account = make_account()
    assert signed_in(make_member(account)).get("/accounts/").status_code == 403
