"""How a day's amount came to be: quantities, tiers, discount, limits and rounding that add up to it."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, Role
from budgets.actions.settle import settle
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_commit
from tests.factories import (
    make_account,
    make_batch,
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
from usage.actions.roll_up import roll_up
from usage.models import Adjustment, BillingPeriod, Meter, RatedDay
from usage.reports.rated_day import Explained, cell_words, explain, rated_lines

pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
TIERS = {
    "model": "graduated",
    "params": {"tiers": [{"up_to": "100", "unit": "0.5"}, {"up_to": None, "unit": "0.333"}]},
}


@pytest.fixture
def account() -> Account:
    return make_account(make_organization(close_after_days=60), "Northwind")


@pytest.fixture
def calls(account: Account) -> Meter:
    return make_meter(account.organization, name="Calls")


def use(account: Account, meter: Meter, day: int, quantity: str, **fields: Any) -> None:
    hour = datetime(2026, 6, day, 10, tzinfo=timezone.utc)
    make_batch(account.organization, usage_sum(account, meter, hour, quantity, **fields))
    roll_up(account.organization_id, NOW)
    settle(account.organization_id, NOW)
    enter(staff_of(account))


def explained(account: Account, day: int) -> Explained:
    (line,) = rated_lines(staff_of(account), account, date(2026, 6, day))
    return explain(staff_of(account), account, line)


def sum_of(found: Explained) -> Decimal:
    return sum((step.amount for step in found.steps), D(0))


def test_tiers_count_from_the_start_of_the_period_and_add_up(account: Account, calls: Meter) -> None:
    make_price(calls, terms=TIERS)
    use(account, calls, 3, "90")
    use(account, calls, 4, "20")
    found = explained(account, 4)
    assert (found.before, found.amount_before, found.line.row.amount) == (90, 45, D("8.33"))
    assert [(step.name, step.quantity, step.unit) for step in found.steps] == [
        ("Tier 1, up to 100", 10, D("0.5")),
        ("Tier 2, from 100 and more", 10, D("0.333")),
    ]
    assert sum_of(found) == D("8.33")


@pytest.mark.parametrize(
    "terms",
    [
        {"model": "unit", "params": {"unit": "0.0333"}},
        {"model": "unit", "params": {"unit": "0.0333"}, "percent_discount": "12.5"},
        {"model": "unit", "params": {"unit": "3"}, "max_spend": "100"},
        {"model": "package", "params": {"size": "30", "price": "2"}},
        {"model": "volume", "params": {"tiers": [{"up_to": "50", "unit": "1"}, {"up_to": None, "unit": "0.1"}]}},
        {"model": "percentage", "params": {"percent": "1.5"}},
        {"model": "percentage", "params": {"percent": "1.5", "fixed_per_event": "0.2"}},
        {"model": "unit", "params": {"unit": "0.25", "convert": {"op": "divide", "factor": "7", "round": "ceil"}}},
        TIERS | {"free_units": "25"},
    ],
)
def test_every_kind_of_price_is_explained_to_the_last_digit(
    account: Account, calls: Meter, terms: dict[str, Any]
) -> None:
    make_price(calls, terms=terms)
    for day, quantity in ((3, "17"), (4, "40.5"), (5, "61")):
        use(account, calls, day, quantity)
    for day in (3, 4, 5):
        found = explained(account, day)
        assert sum_of(found) == found.line.row.amount


def test_a_price_that_changes_within_the_period_is_explained(account: Account, calls: Meter) -> None:
    make_price(calls, terms=TIERS)
    make_price(calls, "0.017", effective_on=date(2026, 6, 4))
    for day in (3, 4, 5):
        use(account, calls, day, "61")
    for day in (3, 4, 5):
        found = explained(account, day)
        assert sum_of(found) == found.line.row.amount


def test_use_without_a_price_says_so(account: Account, calls: Meter) -> None:
    use(account, calls, 3, "90")
    found = explained(account, 3)
    assert found.steps == []
    assert found.words.startswith("No price was in force")


def test_the_amount_is_shared_over_workflows(account: Account, calls: Meter) -> None:
    make_price(calls, "0.01")
    flows = [make_workflow(account, name) for name in ("One", "Two", "Three")]
    for flow in flows:
        use(account, calls, 3, "33", w=str(flow.pk))
    found = explained(account, 3)
    assert sum(share.spend or D(0) for share in found.shares) == found.line.row.amount == D("0.99")
    assert {share.name for share in found.shares} == {"One", "Two", "Three"}


def test_a_cell_is_read_as_people_say_it() -> None:
    assert cell_words('{"model":"large","region":"eu"}') == "model large, region eu"
    assert cell_words("") == ""


def page(account: Account, role: str, day: str, **more: str) -> str:
    owner = account if role.startswith("portal") else account.organization
    client: Client = signed_in(make_member(owner, role))
    answer = client.get(f"/accounts/{account.pk}/rated/", {"day": day} | more)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("role", [Role.FINANCE, Role.PORTAL_FINANCE, Role.PORTAL_ENGINEER])
def test_the_page_leads_to_the_events_and_the_ledger_of_the_day(account: Account, calls: Meter, role: str) -> None:
    make_price(calls, terms=TIERS)
    make_commit(account, "10")
    use(account, calls, 3, "90")
    shown = page(account, role, "2026-06-03", meter=str(calls.pk))
    for words in ("June 3 came to", "$45.00", "Tier 1, up to 100", "Prepaid", "$10.00", "$35.00"):
        assert words in shown
    events = f"/accounts/{account.pk}/events/?day=2026-06-03&amp;meter={calls.pk}"
    assert (events in shown) == (role != Role.PORTAL_FINANCE)


def test_adjustments_booked_on_the_day_are_shown_with_their_reason(account: Account, calls: Meter) -> None:
    make_price(calls, "1")
    use(account, calls, 3, "5")
    period = BillingPeriod.objects.create(
        organization=account.organization, account=account, starts_on=date(2026, 5, 1), ends_on=date(2026, 6, 1),
        currency="USD", amount=D(0), closed_at=NOW,
    )  # fmt: skip
    Adjustment.objects.create(
        organization=account.organization, account=account, day=date(2026, 6, 3), period=period, meter=calls,
        quantity=D(2), amount=D(2), reason="Late use",
    )  # fmt: skip
    shown = page(account, Role.PORTAL_OWNER, "2026-06-03")
    for words in ("$7.00", "Booked on this day for closed periods", "Late use", "+$2.00"):
        assert words in shown


@pytest.mark.parametrize("day", ["2026-06-09", "nonsense", "9999-01-01"])
def test_a_day_without_use_is_a_page_too(account: Account, calls: Meter, day: str) -> None:
    assert "Nothing was used on" in page(account, Role.PORTAL_VIEWER, day)


def test_a_customer_sees_the_price_of_its_own_days(account: Account, calls: Meter) -> None:
    make_price(calls, "1")
    use(account, calls, 3, "5")
    enter(portal_of(account))
    (line,) = rated_lines(portal_of(account), account, date(2026, 6, 3))
    found = explain(portal_of(account), account, line)
    assert found.price is not None
    assert found.price.version.number == 1
    assert RatedDay.objects.count() == 1


def test_the_day_before_and_after_are_one_click_away(account: Account, calls: Meter) -> None:
    shown = page(account, Role.FINANCE, (NOW.date() - timedelta(days=1)).isoformat())
    assert "?day=2026-06-13" in shown
    assert "?day=2026-06-15" in shown
