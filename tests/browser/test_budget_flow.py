"""A customer's admin who has never seen the product makes a budget with a stop, understands it, and lifts it."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account
from budgets.actions.catch_up import catch_up
from tests import factories
from tests.browser.visitors import EVENT_TYPE, seat, send, sign_in


@pytest.fixture
def priced(server: str) -> tuple[Account, str]:
    """An account whose events cost 1 a unit, and a key that sends them."""
    with transaction.atomic():
        account = factories.make_account()
        factories.make_price(factories.make_meter(account.organization, EVENT_TYPE), "1")
        _, secret = factories.make_key(account.organization)
        return account, secret


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_an_admin_makes_a_budget_with_a_stop_sees_it_act_and_lifts_it(
    visit: Callable[..., Page], priced: tuple[Account, str], server: str, width: int, theme: str
) -> None:
    account, secret = priced
    page = visit(width=width, color_scheme=theme)
    sign_in(page, seat(account))
    expect(page).to_have_url(re.compile(rf"/accounts/{account.pk}/"))
    page.goto(f"/accounts/{account.pk}/budgets/")
    page.get_by_role("link", name="New budget").first.click()
    expect(page.locator("#replay")).to_contain_text("Give an amount")
    page.get_by_label("Name").fill("Monthly spend")
    page.get_by_label("Amount of a period").fill("100")
    page.get_by_text("Stop", exact=True).click()
    expect(page.locator("#replay")).to_contain_text("7 days")  # it says what it cannot know yet
    page.get_by_label("wait").fill("0")
    page.get_by_label("or until").fill("10")
    page.get_by_role("button", name="Make budget").click()
    expect(page.locator("main h1")).to_contain_text("Monthly spend: $0.00 of $100.00 is used")
    expect(page.get_by_text("your vendor’s gateway asks us and enforces")).to_be_visible()
    spend(server, secret, account, 105)
    page.reload()
    expect(page.get_by_role("heading", name="the grace runs")).to_be_visible()
    spend(server, secret, account, 10)
    page.reload()
    expect(page.get_by_role("heading", name="The limit is in force since")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    expect(page.locator("#replay [aria-busy]")).to_have_count(0)
    assert [(found["id"], found["nodes"][0]["html"]) for found in Axe().run(page).response["violations"]] == []
    page.get_by_label("Why it is lifted").fill("The launch goes on")
    page.get_by_role("button", name="Lift for 4 hours").click()
    expect(page.get_by_text("The limit is lifted.").first).to_be_visible()
    log = page.get_by_role("region", name="What the limit did")
    expect(log).to_contain_text("“The launch goes on”")
    expect(log.get_by_text(re.compile("^Limit in force"))).to_be_visible()


def spend(server: str, secret: str, account: Account, quantity: int) -> None:
    """Send usage and wait until it is money, and its budgets were looked at."""
    send(server, secret, account, quantity)
    catch_up(account.organization_id, timezone.now())
