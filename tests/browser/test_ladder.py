"""A CSM walks the board with the arrow keys, opens a card, ticks the last gate, and moves a workflow up."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Role
from reviews.actions.ladder import check_ladders
from tests import factories
from tests.browser.visitors import seat, sign_in
from tests.reviews.ladder_factories import make_flow


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_a_csm_opens_a_card_by_keyboard_and_moves_a_workflow_up(
    visit: Callable[..., Page], server: str, width: int, theme: str
) -> None:
    now = timezone.now()
    with transaction.atomic():
        flow = make_flow("idea", days=0, name="Returns notes")
        account = flow.account
        factories.make_workflow(account, "Claims triage", stage="building")
        factories.make_workflow(account, "Invoice OCR", stage="building")
    member = seat(account.organization, Role.CSM)
    check_ladders(account.organization_id, now)
    page = visit(width=width, color_scheme=theme)
    sign_in(page, member)
    page.goto(f"/accounts/{account.pk}/ladder/")
    expect(page.locator("main h1")).to_contain_text("0 of 3 workflows are in production")
    page.get_by_role("link", name="Returns notes").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("link", name="Claims triage")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Invoice OCR")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    detail = page.get_by_role("region", name="Returns notes", exact=True)
    expect(detail.get_by_role("heading", name="Returns notes")).to_be_focused()
    assert page.url.endswith(f"/ladder/{flow.pk}/")
    for name, word in (("Value stated", "$9,800"), ("Data access", "granted"), ("Owner named", "Dana")):
        detail.get_by_label(f"{name}: who or what").fill(word)
        detail.get_by_role("button", name=f"Confirm “{name}”").click()
        expect(page.get_by_text(f"Returns notes: {name} was changed.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [(found["id"], found["nodes"][0]["html"]) for found in Axe().run(page).response["violations"]] == []
    check_ladders(account.organization_id, now + timedelta(days=2))
    page.reload()
    page.get_by_role("button", name="Move up to Building").click()
    expect(page.get_by_text("Returns notes stands on Building now.")).to_be_visible()
    expect(page.get_by_role("region", name="Building")).to_contain_text("Returns notes")
