"""The margin board: revenue less the cost in force on each day, what is not known said as such, fast when large."""

import csv
import io
import time
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Account, Organization, Role
from consumption_cs.lib.tenancy import enter, leave
from tests.factories import (
    make_account,
    make_cost,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Adjustment, BillingPeriod, Meter
from usage.reports.margin import AccountMargin, Months, account_detail, account_margins

pytestmark = pytest.mark.django_db
D = Decimal
MAY = Months(date(2026, 5, 1), date(2026, 6, 1))


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", name="API calls")


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="northwind")


@pytest.fixture
def leader(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.LEADER))


def used(account: Account, meter: Meter, day: int, spend: str | None, month: int = 5, **fields: object) -> None:
    """100 units on a day of 2026."""
    made = {"spend": None if spend is None else D(spend)} | fields
    make_usage_day(account, meter, date(2026, month, day), **made)  # type: ignore[arg-type]


def board(owner: Account, months: Months = MAY) -> list[AccountMargin]:
    return account_margins(staff_of(owner), months)


def test_each_day_costs_what_was_in_force_on_it(account: Account, meter: Meter) -> None:
    make_cost(meter, "0.02")
    make_cost(meter, "0.05", effective_on=date(2026, 5, 2))
    used(account, meter, 1, "10")
    used(account, meter, 2, "10")
    (line,) = board(account)
    assert (line.now.revenue, line.now.cost, line.now.left) == (20, 7, 13)
    assert line.now.ratio == D("0.65")
    assert line.now.coverage == 1


def test_the_workflows_own_cost_comes_first_then_the_accounts_then_everybodys(account: Account, meter: Meter) -> None:
    dear, plain = make_workflow(account, "Dear"), make_workflow(account, "Plain")
    other = make_account(account.organization, "Other")
    make_cost(meter, "0.01")
    make_cost(meter, "0.02", account, effective_on=date(2026, 5, 2))
    make_cost(meter, "0.03", account, dear, effective_on=date(2026, 5, 3))
    for day in (1, 2, 3):
        used(account, meter, day, "10", workflow=dear)
        used(account, meter, day, "10", workflow=plain)
        used(other, meter, day, "10")
    costs = {line.name: line.now.cost for line in board(account)}
    assert costs == {"Northwind": D(1 + 1 + 2 + 2 + 3 + 2), "Other": D(3)}
    detail = account_detail(staff_of(account), account, MAY)
    assert {line.name: line.now.cost for line in detail.workflows} == {"Dear": 6, "Plain": 5}


def test_revenue_without_a_known_cost_is_left_out_and_named(account: Account, meter: Meter) -> None:
    pages = make_meter(account.organization, "page", name="Pages")
    make_cost(meter, "0.02")
    used(account, meter, 1, "10")
    used(account, pages, 1, "30")
    (line,) = board(account)
    assert (line.now.revenue, line.now.cost, line.now.left) == (40, 2, 8)
    assert line.now.ratio == D("0.8")
    assert line.now.coverage == D("0.25")
    assert list(line.missing.values()) == ["Pages"]


def test_what_is_not_known_is_none_and_never_zero(account: Account, meter: Meter) -> None:
    used(account, meter, 1, "10")
    (line,) = board(account)
    assert (line.now.cost, line.now.left, line.now.ratio, line.change) == (None, None, None, None)
    assert line.now.coverage == 0
    assert not line.is_negative


def test_use_without_a_price_is_in_neither_revenue_nor_cost(account: Account, meter: Meter) -> None:
    make_cost(meter, "0.02")
    used(account, meter, 1, "10")
    used(account, meter, 2, None)
    (line,) = board(account)
    assert (line.now.cost, line.now.unpriced_events) == (2, 10)


def test_a_cost_of_another_currency_does_not_count(organization: Organization, meter: Meter) -> None:
    account = make_account(organization, "Euro", currency="EUR")
    make_cost(meter, "0.02", currency="USD")
    used(account, meter, 1, "10")
    assert board(account)[0].now.cost is None


def test_negative_margins_come_first_the_greatest_loss_on_top(organization: Organization, meter: Meter) -> None:
    make_cost(meter, "0.1")
    for name, spend in (("Small", "20"), ("Large", "90"), ("Loss", "9"), ("Great loss", "4")):
        used(make_account(organization, name), meter, 1, spend)
    free = make_account(organization, "Free")
    used(free, meter, 1, "0")
    lines = board(free)
    assert [line.name for line in lines] == ["Free", "Great loss", "Loss", "Large", "Small"]
    assert [line.is_negative for line in lines] == [True, True, True, False, False]
    assert lines[0].now.ratio is None


def test_the_trend_is_in_points_against_as_many_months_before(account: Account, meter: Meter) -> None:
    make_cost(meter, "0.02")
    make_cost(meter, "0.03", effective_on=date(2026, 5, 1))
    used(account, meter, 1, "10")
    used(account, meter, 1, "10", month=4)
    used(account, meter, 31, "10", month=3)
    (line,) = board(account)
    assert (line.now.ratio, line.before.ratio, line.change) == (D("0.7"), D("0.8"), D("-0.1"))
    (wide,) = board(account, Months(date(2026, 4, 1), date(2026, 6, 1)))
    assert (wide.now.revenue, wide.before.revenue) == (20, 10)


def test_what_was_booked_for_closed_periods_is_revenue(account: Account, meter: Meter) -> None:
    make_cost(meter, "0.02")
    used(account, meter, 1, "10")
    period = BillingPeriod.objects.create(
        organization=account.organization, account=account, starts_on=date(2026, 4, 1), ends_on=date(2026, 5, 1),
        currency="USD", amount=D(5), closed_at="2026-05-06T00:00:00Z",
    )  # fmt: skip
    Adjustment.objects.create(
        organization=account.organization, account=account, day=date(2026, 5, 7), period=period, meter=meter,
        quantity=D(10), amount=D(3), reason="Late use",
    )  # fmt: skip
    (line,) = board(account)
    assert (line.now.revenue, line.now.adjusted, line.now.cost) == (13, 3, 2)
    detail = account_detail(staff_of(account), account, MAY)
    assert sum(line.now.revenue for line in detail.meters) == 13
    assert sum(line.now.revenue for line in detail.workflows) == 13


def test_the_board_shows_totals_per_currency_and_what_is_missing(
    organization: Organization, account: Account, meter: Meter, leader: Client
) -> None:
    make_cost(meter, "0.2")
    used(account, meter, 1, "10")
    used(make_account(organization, "Euro", currency="EUR"), meter, 1, "30")
    page = leader.get("/finance/margin/?from=2026-05&to=2026-05").content.decode()
    assert "<b>1</b> of 2 accounts costs you more than it pays." in page
    assert "Revenue in EUR" in page
    assert "Revenue in USD" in page
    assert "−$10.00" in page
    assert "API calls lacks a cost" in page
    assert "add it" not in page  # a leader sees costs and changes none
    shown = leader.get("/finance/margin/?from=2026-05&to=2026-05&show=missing").content.decode()
    assert "Northwind</a>" not in shown


@pytest.mark.parametrize("sort", ["name", "-revenue", "cost", "-left", "margin", "-change", "coverage", "bogus"])
def test_the_board_sorts_with_the_unknown_last(
    sort: str, organization: Organization, account: Account, meter: Meter, leader: Client
) -> None:
    used(account, meter, 1, "10")
    assert leader.get(f"/finance/margin/?from=2026-05&sort={sort}").status_code == 200


def test_one_account_is_taken_apart_and_links_on(account: Account, meter: Meter, leader: Client) -> None:
    make_cost(meter, "0.02")
    used(account, meter, 1, "10", workflow=make_workflow(account, "Invoice OCR"))
    page = leader.get(f"/finance/margin/{account.pk}/?from=2026-05").content.decode()
    for words in ("Northwind leaves you", "By meter", "By workflow", "Invoice OCR", "80.0%"):
        assert words in page
    assert leader.get(f"/finance/margin/{uuid4()}/").status_code == 404


def test_the_file_leaves_what_is_not_known_empty(account: Account, meter: Meter, leader: Client) -> None:
    used(account, meter, 1, "10")
    answer = leader.get("/finance/margin/margin.csv?from=2026-05")
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (row["account"], row["revenue"], row["cost"], row["margin_percent"]) == ("northwind", "10", "", "")
    assert row["meters_without_cost"] == "API calls"


@pytest.mark.parametrize("role", [Role.CSM, Role.ANALYST, Role.FIELD_CTO, Role.PORTAL_OWNER, Role.PORTAL_FINANCE])
def test_only_those_who_may_see_margins_do(role: str, organization: Organization, account: Account) -> None:
    owner = account if role.startswith("portal") else organization
    client = signed_in(make_member(owner, role))
    for url in ("/finance/margin/", "/finance/margin/margin.csv", f"/finance/margin/{account.pk}/", "/finance/costs/"):
        assert client.get(url).status_code == 403


def test_a_large_book_is_read_in_one_go(organization: Organization, meter: Meter) -> None:
    """300 accounts × 60 days × 4 rows with costs; a plan that loops over the costs takes half a minute."""
    fill(organization, meter, accounts=300)
    begun = time.monotonic()
    lines = account_margins(staff_of(organization), MAY)
    assert len(lines) == 300
    assert time.monotonic() - begun < 3
    leave()


def fill(organization: Organization, meter: Meter, accounts: int) -> None:
    """Make accounts with four workflows each that use a meter on every day of April and May."""
    enter(staff_of(organization))
    values: dict[str, Any] = {"organization": organization.pk, "meter": meter.pk, "accounts": accounts}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO accounts_account (id, organization_id, key, name, segment, tier, currency, timezone)
            SELECT gen_random_uuid(), %(organization)s, 'big-' || n, 'Big ' || n, 'startup', 'standard', 'USD', 'UTC'
            FROM generate_series(1, %(accounts)s) n;
            INSERT INTO usage_workflow (id, organization_id, account_id, key, name, stage, outcome_unit)
            SELECT gen_random_uuid(), organization_id, id, 'flow-' || n, 'Flow ' || n, 'production', 'outcome'
            FROM accounts_account, generate_series(1, 4) n WHERE key LIKE 'big-%%';
            INSERT INTO usage_day (organization_id, account_id, meter_id, workflow_id, "group", quantity, events,
                finished, successes, outcomes, last_event_at, day, spend)
            SELECT organization_id, account_id, %(meter)s, id, '', 100, 10, 0, 0, 0, day, day, 1
            FROM usage_workflow, generate_series('2026-04-01'::date, '2026-05-31', '1 day') day;
            INSERT INTO usage_vendorcost (id, organization_id, meter_id, account_id, currency, unit_cost, effective_on)
            SELECT gen_random_uuid(), organization_id, %(meter)s, id, 'USD', 0.004, day
            FROM accounts_account, generate_series('2026-01-01'::date, '2026-06-01', '1 month') day
            WHERE key LIKE 'big-%%';
            INSERT INTO usage_vendorcost (id, organization_id, meter_id, currency, unit_cost, effective_on)
            VALUES (gen_random_uuid(), %(organization)s, %(meter)s, 'USD', 0.005, '2020-01-01');
            ANALYZE usage_day;
            """,
            values,
        )
