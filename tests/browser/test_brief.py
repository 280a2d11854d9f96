"""A call, prepared and held: the brief, the call sheet with what to ask, notes on the timeline, a task, a person."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Membership, Role
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.models import AccountMetrics, Contact, Task, TimelineEntry
from tests import factories
from tests.browser.visitors import seat, sign_in


@pytest.fixture
def csm(server: str) -> Membership:
    """With an account whose spend jumped, who were negative two weeks ago, and a task of today."""
    with transaction.atomic():
        organization = factories.make_organization()
    member = seat(organization, Role.CSM)
    with transaction.atomic():
        account = factories.make_account(organization, "Bluefin", csm=member.user)
    now = timezone.now()
    own = {"organization_id": organization.pk, "account": account}
    with act_as(Viewer(organization.pk)):
        for ago, change in ((20, "2"), (1, "-38")):
            numbers = {"open_spikes": "1", "change_28": change, "burn_rate": str(400 - ago), "at_risk": "9000"}
            AccountMetrics.objects.create(
                **own, day=now.date() - timedelta(days=ago), numbers=numbers, computed_at=now
            )
        TimelineEntry.objects.create(
            **own, kind="call", at=now - timedelta(days=14), text="Too many failures.", sentiment="negative",
            by=member.user,
        )  # fmt: skip
        Contact.objects.create(**own, name="Ada", role=Contact.Role.ENGINEER)
        Task.objects.create(**own, title="Send the error report", due_on=now.date(), assigned_to=member.user)
    return member


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_a_call_is_prepared_held_and_written_down(
    visit: Callable[..., Page], csm: Membership, width: int, theme: str
) -> None:
    page = visit(width=width, color_scheme=theme)
    sign_in(page, csm)
    page.get_by_role("link", name="Bluefin", exact=True).first.click()
    expect(page.locator("h1")).to_contain_text("Since you last spoke 14 days ago")
    expect(page.get_by_role("heading", name=re.compile("^Changed since"))).to_be_visible()
    page.get_by_role("link", name="Prepare a call").click()
    expect(page).to_have_url(re.compile("/brief/call/$"))
    asked = page.locator(".asks li")
    expect(asked.first).to_contain_text("shall we look for what caused it?")
    expect(page.locator(".asks")).to_contain_text("No champion is known.")
    expect(page.get_by_text("Too many failures.")).to_be_visible()
    expect(page.get_by_text("Send the error report")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [(found["id"], found["nodes"][0]["html"]) for found in Axe().run(page).response["violations"]] == []
    page.get_by_label("What did you learn?").fill("A retry loop; Ada caps it on Friday.")
    page.get_by_label("Sentiment").select_option(label="Positive")
    page.get_by_label("Ada", exact=True).check()
    page.get_by_role("button", name="Add to the timeline").click()
    expect(page).to_have_url(re.compile("/brief/$"))
    expect(page.get_by_role("heading", name=re.compile("^Last call was positive: A retry loop"))).to_be_visible()
    expect(page.locator("h1")).to_contain_text("Since you last spoke")
    page.get_by_role("checkbox", name="Send the error report").click()
    expect(page.get_by_role("checkbox", name="Send the error report")).to_be_checked()
    page.get_by_role("link", name="Ada", exact=True).first.click()
    page.get_by_label("What they are to us").select_option(label="Champion")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("One champion").first).to_be_visible()
    with act_as(Viewer(csm.organization_id)):
        account = Account.objects.get(name="Bluefin", organization_id=csm.organization_id)
        entry = TimelineEntry.objects.filter(account=account).latest("at")
        assert (entry.sentiment, [one.name for one in entry.attendees.all()]) == ("positive", ["Ada"])
        assert Task.objects.get(account=account).done_at is not None
        assert Contact.objects.get(account=account).role == Contact.Role.CHAMPION
