"""Pages and the API add up when a month has adjustments for earlier periods, and minimum spends."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Scope
from budgets.actions.settle import settle
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_batch,
    make_key,
    make_member,
    make_meter,
    make_organization,
    make_price,
    make_workflow,
    portal_of,
    signed_in,
    staff_of,
    usage_sum,
)
from usage.actions.periods import close_period
from usage.actions.roll_up import roll_up
from usage.reports.conservation import differences
from usage.reports.overview import ADJUSTMENTS, MINIMUMS, overview
from usage.reports.usage_sums import usage_sums

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 7, 15, 12, tzinfo=timezone.utc)
JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)


@pytest.fixture
def account() -> Account:
    """June closed with a minimum of 50 for 10 of use; in July 20 of use, and 5 of June that came late."""
    account = make_account(make_organization(close_after_days=60), key="globex")
    meter = make_meter(account.organization)
    make_price(meter, terms={"model": "unit", "params": {"unit": "1"}, "min_spend": "50"})
    workflow = str(make_workflow(account).pk)

    def use(quantity: str, day: date) -> None:
        hour = datetime(day.year, day.month, day.day, 9, tzinfo=timezone.utc)
        make_batch(account.organization, usage_sum(account, meter, hour, quantity, w=workflow))
        roll_up(account.organization_id, NOW)
        settle(account.organization_id, NOW)
        enter(staff_of(account))

    use("10", JUNE)
    close_period(staff_of(account), account, JUNE, NOW)
    use("20", JULY)
    use("45", JUNE + timedelta(days=4))  # with the 10 it is 5 more than the minimum
    return account


def test_the_overview_has_lines_for_what_no_workflow_used(account: Account) -> None:
    for month, lines in ((JULY, {"Invoice OCR": 20, ADJUSTMENTS: 5}), (JUNE, {"Invoice OCR": 10, MINIMUMS: 40})):
        seen = overview(portal_of(account), account, month, NOW)
        assert {line.name: line.month.spend for line in seen.workflows} == lines
        assert seen.total.spend == sum(lines.values())
        assert {line.name: line.shown for line in seen.workflows} == lines


def test_the_pages_say_so(account: Account) -> None:
    client = signed_in(make_member(account))
    page = client.get(reverse("usage:overview", args=[account.pk]) + "?month=2026-07").content.decode()
    assert page.count(ADJUSTMENTS) >= 1
    assert "Adjustments in it" in page
    enter(staff_of(account))
    before = client.get(reverse("usage:overview", args=[account.pk]) + "?month=2026-06").content.decode()
    assert "Adjustments in it" not in before
    csv = client.get(reverse("usage:overview_daily", args=[account.pk]) + "?month=2026-07").content.decode()
    assert csv.splitlines()[0].endswith("adjustments_for_earlier_periods")
    assert next(line for line in csv.splitlines() if line.startswith("2026-07-15")).endswith(",5.000000")


@pytest.mark.parametrize("group_by", ["day", "meter"])
def test_the_api_s_rows_add_up_to_its_total(account: Account, group_by: str) -> None:
    sums = usage_sums(portal_of(account), account, JUNE, NOW.date() + timedelta(days=1), group_by)
    assert sum(row["spend"] for row in sums.rows) == sums.total["spend"] == 75
    assert (sums.total["adjustments"], sums.total["minimums"]) == (5, 40)


def test_the_api_names_what_is_of_no_workflow(account: Account, client: Client) -> None:
    _, secret = make_key(account.organization, (Scope.READ,))
    answer = client.get(
        "/api/v1/accounts/globex/usage?from=2026-06-01&to=2026-08-01&group_by=workflow",
        headers={"Authorization": f"Bearer {secret}"},
    ).json()
    total = answer["total"]
    assert (total["spend"], total["adjustments"], total["minimums"]) == ("75", "5", "40")
    used = sum(Decimal(row["spend"]) for row in answer["results"])
    assert used + Decimal(total["adjustments"]) + Decimal(total["minimums"]) == Decimal(total["spend"])


def test_nothing_is_missing_between_days_and_totals(account: Account) -> None:
    found = differences(staff_of(account), NOW)
    assert [one for one in found if one.step == "rated and totalled"] == []
