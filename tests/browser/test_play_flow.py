"""A CSM starts a play on an account, does a step, sees what its exit needs, and sees it end."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.plays import check
from reviews.models import AccountMetrics
from tests import factories
from tests.browser.visitors import seat, sign_in


def measure(account: Account, **numbers: str) -> None:
    """Keep yesterday's figures of the account and look at its plays."""
    now = timezone.now()
    with act_as(Viewer(account.organization_id)):
        AccountMetrics.objects.update_or_create(
            organization_id=account.organization_id, account=account, day=now.date() - timedelta(days=1),
            defaults={"numbers": numbers, "computed_at": now},
        )  # fmt: skip
        check(account.organization_id, now)


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_a_csm_starts_a_play_does_a_step_and_sees_the_exit(
    visit: Callable[..., Page], server: str, width: int, theme: str
) -> None:
    with transaction.atomic():
        account = factories.make_account()
    member = seat(account.organization, Role.CSM)
    measure(account, pacing="1.2", run_out_percent="30", at_risk="9000")
    page = visit(width=width, color_scheme=theme)
    sign_in(page, member)
    page.goto(f"/accounts/{account.pk}/plays/")
    expect(page.get_by_role("heading", name="No play is at work")).to_be_visible()
    page.get_by_role("button", name="Start a play").click()
    page.get_by_label("Play", exact=True).select_option(label="Overburn")
    page.get_by_role("button", name="Start it").click()
    expect(page.locator("main h1")).to_contain_text("Overburn: next, Say what it is")
    page.get_by_role("button", name=re.compile("Done.*Say what it is")).click()
    expect(page.get_by_role("heading", name="1 of 3 steps done")).to_be_visible()
    leaves = page.get_by_role("region", name="Its exit does not hold yet")
    expect(leaves).to_contain_text("Pacing is 1.2, needs below 1.15")
    expect(page.get_by_role("region", name="What happened")).to_contain_text("Step done")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [(found["id"], found["nodes"][0]["html"]) for found in Axe().run(page).response["violations"]] == []
    measure(account, pacing="1.05", run_out_percent="30", at_risk="2000")
    page.reload()
    expect(page.locator("main h1")).to_contain_text("Overburn ended by its exit; $7,000 less is at risk.")
    expect(page.get_by_role("region", name="How it ended")).to_contain_text("Pacing is 1.05, below 1.15")
