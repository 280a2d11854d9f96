"""A CSM's morning: the book says who comes first and why; they tick a step off, snooze, and look closer."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Membership, Organization, Role
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.models import AccountMetrics, Task
from tests import factories
from tests.browser.visitors import seat, sign_in


def measured(organization: Organization, csm: Membership, name: str, **numbers: str) -> Account:
    """An account of the CSM with yesterday's figures."""
    with transaction.atomic():
        account = factories.make_account(organization, name, csm=csm.user)
    now = timezone.now()
    with act_as(Viewer(organization.pk)):
        AccountMetrics.objects.create(
            organization=organization, account=account, day=now.date() - timedelta(days=1), numbers=numbers,
            computed_at=now,
        )  # fmt: skip
    return account


@pytest.fixture
def csm(server: str) -> Membership:
    """With an account that needs them today, one that can wait, and one on track."""
    with transaction.atomic():
        organization = factories.make_organization()
    member = seat(organization, Role.CSM)
    bluefin = measured(organization, member, "Bluefin", at_risk="186000", open_spikes="1", change_28="-38")
    measured(organization, member, "Kestrel", at_risk="64000", change_28="-21")
    measured(organization, member, "Calm")
    with act_as(Viewer(organization.pk)):
        Task.objects.create(
            organization=organization, account=bluefin, title="Call Ada", due_on=timezone.now().date(),
            assigned_to=member.user,
        )  # fmt: skip
    return member


def names(page: Page) -> Any:
    return page.locator("#queue tr[data-row] .name")


def test_a_morning_by_the_keyboard(visit: Callable[..., Page], csm: Membership) -> None:
    page = visit()
    sign_in(page, csm)
    expect(page).to_have_url(re.compile("/book/"))  # who looks after accounts begins with them
    expect(page.locator("h1")).to_contain_text("1 of your 3 accounts needs you today; $186k at risk.")
    expect(names(page)).to_have_text(["Bluefin", "Kestrel"])
    expect(page.locator("#queue")).to_contain_text("1 spike without an explanation; use down 38% in 28 days.")
    expect(page.get_by_role("heading", name=re.compile("^Digest, "))).to_be_visible()  # comes after the page
    page.get_by_role("button", name="Done: Call Ada, Bluefin").click()
    expect(page.get_by_text("“Call Ada” is done for Bluefin.")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("#picked")).to_have_text("1 selected · $64,000 at risk")
    page.keyboard.press("s")
    page.get_by_label("Snooze", exact=True).select_option(label="for a week")
    page.locator("#bulk-snooze").get_by_role("button", name="Snooze").click()
    expect(page.get_by_text("1 account snoozed for a week")).to_be_visible()
    expect(names(page)).to_have_text(["Bluefin"])
    page.get_by_role("button", name="Undo").click()
    expect(names(page)).to_have_text(["Bluefin", "Kestrel"])
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("kes")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["Kestrel"])
    expect(page).to_have_url(re.compile("q=kes"))
    page.go_back()
    expect(names(page)).to_have_text(["Bluefin", "Kestrel"])
    page.wait_for_load_state("load")  # keys are a script's doing
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/brief/"))


def test_several_get_a_task_and_a_view_is_kept(visit: Callable[..., Page], csm: Membership) -> None:
    page = visit()
    sign_in(page, csm)
    page.get_by_label("Select all accounts on this page").check()
    expect(page.locator("#picked")).to_have_text("2 selected · $250,000 at risk")
    page.get_by_role("button", name="Add task").click()
    page.get_by_label("What is to be done").fill("Ask about March")
    page.get_by_role("button", name="Add tasks").click()
    expect(page.get_by_text("2 tasks added.")).to_be_visible()
    page.get_by_label("Reason").select_option(label="Use is falling")
    expect(page).to_have_url(re.compile("reason=falling"))
    page.get_by_role("button", name="Save this view").click()
    page.get_by_label("Name", exact=True).fill("Falling")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("navigation", name="Views").get_by_role("link", name="Falling")).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1440, "dark"), (820, "light"), (390, "dark")])
def test_the_book_is_for_every_screen_and_everybody(
    visit: Callable[..., Page], csm: Membership, width: int, theme: str
) -> None:
    page = visit(width=width, color_scheme=theme)
    sign_in(page, csm)
    expect(page.get_by_role("heading", name=re.compile("^Digest, "))).to_be_visible()
    page.get_by_label("Select Bluefin").check()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [(found["id"], found["nodes"][0]["html"]) for found in Axe().run(page).response["violations"]] == []
