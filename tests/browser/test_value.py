"""The customer's side of value: an outcome's value confirmed, a step of the plan completed, a review signed."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Membership, Role
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.outcomes import Proposal, propose
from reviews.actions.plans import Step, make_plan, save_milestone
from reviews.actions.value_reviews import edit_draft, make_draft, publish
from reviews.models import Milestone, OutcomeAnswer, ReviewSignature
from tests import factories
from tests.browser.visitors import seat, sign_in
from usage.models import Workflow


@pytest.fixture
def owner(server: str) -> Membership:
    """Of an account with 120 days of use, a proposed value, a plan with a step of theirs, and a published review."""
    with transaction.atomic():
        organization = factories.make_organization()
        account = factories.make_account(organization, "Northwind")
        workflow, meter = factories.make_workflow(account), factories.make_meter(organization)
        today = timezone.now().date()
        for ago in range(1, 121):
            day = today - timedelta(days=ago)
            factories.make_usage_day(account, meter, day, workflow, outcomes=Decimal(9 + (ago < 60)))
    member, csm = seat(account, Role.PORTAL_OWNER), seat(organization, Role.CSM)
    _prepare(account, workflow, member, Viewer(organization.pk, None, Role.CSM, csm.user_id))
    return member


def _prepare(account: Account, workflow: Workflow, member: Membership, staff: Viewer) -> None:
    now, today = timezone.now(), timezone.now().date()
    workflow.account = account
    with act_as(staff):
        propose(staff, workflow, Proposal("An invoice booked", 0, Decimal("0.42"), "45 seconds of a clerk"), now)
        plan = make_plan(staff, account, "Plan", today - timedelta(days=30), today + timedelta(days=300), now)
        save_milestone(staff, plan, Step("Send ten samples", today + timedelta(days=5), "customer"), now)
        save_milestone(staff, plan, Step("Our own homework", today + timedelta(days=5), "us", is_shared=False), now)
        draft = make_draft(staff, account, today - timedelta(days=60), today, now)
        signer = {"name": "Marta", "title": "chief operating officer", "email": member.user.email}
        edit_draft(staff, draft, draft.narrative, [], [signer], now)
        publish(staff, draft, now)


@pytest.mark.parametrize(
    ("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")],
)  # fmt: skip
def test_a_customer_confirms_a_value_completes_a_step_and_signs_a_review(
    visit: Callable[..., Page], owner: Membership, width: int, theme: str
) -> None:
    page = visit(width=width, color_scheme=theme)
    sign_in(page, owner)
    home = f"/accounts/{owner.account_id}/"

    page.goto(f"{home}outcomes/")
    expect(page.get_by_role("heading", name="Is one outcome of Invoice OCR worth $0.42?")).to_be_visible()
    _fits(page)
    page.get_by_role("button", name="Confirm the value of Invoice OCR").click()
    expect(page.get_by_text("The value of Invoice OCR is confirmed: it counts from now on.")).to_be_visible()
    expect(page.locator("main")).to_contain_text("of value is confirmed")

    page.goto(f"{home}plan/")
    expect(page.locator("main")).not_to_contain_text("Our own homework")
    _fits(page)
    page.get_by_role("button", name=re.compile("Done.*Send ten samples")).click()
    expect(page.get_by_text("“Send ten samples” is done.")).to_be_visible()
    expect(page.locator("h1")).to_contain_text("1 of 1 milestone done")

    page.goto(f"{home}reviews/")
    _fits(page)
    page.get_by_role("link", name="Value review 1").click()
    expect(page.get_by_text("Waiting for your sign-off")).to_be_visible()
    _fits(page)
    page.get_by_role("button", name="Sign off review 1").click()
    page.get_by_label("Your function").fill("Chief operating officer")
    page.get_by_role("button", name="Sign off", exact=True).click()
    expect(page.get_by_text("You signed it off")).to_be_visible()
    expect(page.locator("#review-state")).to_contain_text("Signed")

    with act_as(Viewer(owner.organization_id)):
        assert OutcomeAnswer.objects.get(by=owner.user).answer == "confirmed"
        assert Milestone.objects.get(done_by=owner.user).title == "Send ten samples"
        assert ReviewSignature.objects.get(by=owner.user).title == "Chief operating officer"


def _fits(page: Page) -> None:
    """The page is as wide as the screen and a screen reader can use it."""
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url
    found: Any = Axe().run(page).response["violations"]
    assert [(page.url, one["id"], one["nodes"][0]["html"]) for one in found] == []
