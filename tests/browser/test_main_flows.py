"""What people come for, from the sign-in form on, in a real browser: read, find, send, invite, and all by keyboard."""

import email
import email.policy
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Membership, Role
from budgets.actions.catch_up import catch_up
from consumption_cs.embedded import free_port
from consumption_cs.processes import Running, stop_all
from tests import factories
from tests.browser.visitors import EVENT_TYPE, seat, send, sign_in
from tests.conftest import wait_for_web


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server puts its mail."""
    return tmp_path_factory.mktemp("mails")


@pytest.fixture(scope="module")
def web_process(django_db_setup: None, mails: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The web server that `server` names, here with mail that a test can read."""
    port = free_port(27000 + os.getpid() % 5000)
    url = f"http://127.0.0.1:{port}"
    own = {"GRANIAN_PORT": str(port), "SITE_URL": url, "GRANIAN_WORKERS": "1", "EMAIL_URL": f"filemail:///{mails}"}
    web = Running("web", os.environ | own, tmp_path_factory.mktemp("web") / "web.log")
    try:
        wait_for_web(url, web)
        yield url
    finally:
        stop_all([web], seconds=5)


@pytest.fixture
def owner(server: str) -> Membership:
    """The owner of a customer's portal, with forty days of usage and a CSM."""
    with transaction.atomic():
        organization = factories.make_organization()
        account = factories.make_account(
            organization, "Northwind", csm=factories.make_member(organization, Role.CSM).user
        )
        factories.make_account(organization, "Contoso")
        meter = factories.make_meter(organization)
        flow = factories.make_workflow(account, "Invoice OCR")
        for days_ago in range(40):
            day = (timezone.now() - timedelta(days=days_ago)).date()
            factories.make_usage_day(account, meter, day, flow, spend=Decimal("123.45"))
        return factories.make_member(account)


@pytest.fixture
def waiting(server: str) -> Account:
    """An account before its first event, with a priced meter for it."""
    with transaction.atomic():
        account = factories.make_account()
        factories.make_price(factories.make_meter(account.organization, EVENT_TYPE), "2.50")
        return account


def amounts(page: Page) -> list[str]:
    """The money of the headline."""
    found: list[str] = re.findall(r"\$[\d,.]*\d", page.locator("main h1").inner_text())
    return found


def draw_charts(page: Page) -> None:
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        expect(chart).to_have_attribute("data-drawn", "")


def test_a_customer_signs_in_reads_what_they_used_opens_a_workflow_and_signs_out(
    visit: Callable[..., Page], owner: Membership
) -> None:
    page = visit()
    sign_in(page, owner)
    expect(page).to_have_url(re.compile(rf"/accounts/{owner.account_id}/$"))
    expect(page.locator("main h1")).to_contain_text("You used $")
    page.get_by_role("link", name="Invoice OCR").first.click()
    expect(page).to_have_title(re.compile("^Invoice OCR"))
    expect(page.locator("main h1")).to_contain_text("$")
    expect(page.get_by_role("table").last).to_contain_text("$")
    page.locator("summary[aria-label^='Your account']").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_every_page_of_a_customer_fits_and_is_accessible(
    visit: Callable[..., Page], owner: Membership, width: int, theme: str
) -> None:
    page = visit(width=width, color_scheme=theme)
    sign_in(page, owner)
    overview = f"/accounts/{owner.account_id}/"
    flow = page.get_by_role("link", name="Invoice OCR").first.get_attribute("href")
    for path in (overview, flow, *(f"{overview}{tab}/" for tab in ("workflows", "events", "members", "keys"))):
        page.goto(str(path))
        expect(page.get_by_role("navigation", name="Portal").locator("[aria-current]").first).to_be_visible()
        draw_charts(page)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        violations = Axe().run(page).response["violations"]
        assert [(path, found["id"], found["nodes"][0]["html"]) for found in violations] == []


def test_a_csm_finds_the_account_and_reads_the_same_spend_as_the_customer(
    visit: Callable[..., Page], owner: Membership
) -> None:
    customers = visit()
    sign_in(customers, owner)
    expect(customers.locator("main h1")).to_contain_text("You used $")
    page = visit()
    sign_in(page, seat(owner.organization, Role.CSM))
    expect(page).to_have_url(re.compile(r"/book/$"))
    page.get_by_role("link", name="Accounts", exact=True).click()
    expect(page.get_by_role("link", name="Contoso")).to_be_visible()
    page.wait_for_load_state("load")  # "/" is a script's doing
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("northw")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Contoso")).to_have_count(0)
    page.get_by_role("link", name="Northwind").click()
    expect(page.locator("main h1")).to_contain_text("Northwind used $")
    assert amounts(page) == amounts(customers) != []


def test_the_first_event_with_a_key_made_in_the_browser_turns_the_waiting_page_by_itself(
    visit: Callable[..., Page], waiting: Account, server: str
) -> None:
    customers = visit()
    sign_in(customers, seat(waiting))
    expect(customers.locator("main h1")).to_have_text("Waiting for your first event.")
    customers.evaluate("window.neverLeft = true")
    page = visit()
    sign_in(page, seat(waiting.organization))
    page.get_by_role("navigation", name="Staff").get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Keys", exact=True).click()
    page.get_by_label("Name").fill("Billing worker")
    page.get_by_role("button", name="Make key").click()
    secret = re.search(r"ccs_live_\w+", page.locator("#curl").inner_text())
    assert secret is not None
    send(server, secret.group(), waiting)
    catch_up(waiting.organization_id, timezone.now())
    expect(customers.locator("main h1")).to_contain_text("You used $2.50", timeout=15_000)
    assert customers.evaluate("window.neverLeft")


def test_an_invited_person_follows_the_mail_and_lands_on_their_overview(
    visit: Callable[..., Page], waiting: Account, mails: Path
) -> None:
    page = visit()
    sign_in(page, seat(waiting.organization))
    page.get_by_role("link", name=waiting.name).click()
    bar = page.get_by_role("navigation", name=waiting.name)
    bar.get_by_text("More", exact=True).click()
    bar.get_by_role("link", name="Members").click()
    page.get_by_label("E-mail").fill("dana@northwind.example")
    page.get_by_role("button", name="Send invitation").click()
    expect(page.get_by_role("heading", name="Invited", exact=True)).to_be_visible()
    guests = visit()
    guests.goto(link_in(mails))
    guests.get_by_label("Your name").fill("Dana Mercer")
    guests.get_by_label("Choose a password").fill("violet harbour mornings")
    guests.get_by_role("button", name="Accept the invitation").click()
    expect(guests).to_have_url(re.compile(rf"/accounts/{waiting.pk}/$"))
    expect(guests.locator("main")).to_contain_text("Welcome, Dana Mercer.")
    page.reload()
    expect(page.get_by_role("cell", name="Dana Mercer dana@northwind.example")).to_be_visible()


def link_in(mails: Path) -> str:
    """The address of the invitation in the only mail that was sent."""
    (path,) = mails.iterdir()
    body = email.message_from_bytes(path.read_bytes(), policy=email.policy.default).get_body(("plain",))
    found = re.search(r"http\S+/invitations/[\w-]+/", body.get_content()) if body else None
    assert found
    return found.group()


def test_the_keyboard_reaches_the_content_and_then_the_tabs(visit: Callable[..., Page], owner: Membership) -> None:
    page = visit()
    sign_in(page, owner)
    expect(page.locator("main h1")).to_contain_text("You used $")
    page.reload()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.reload()
    bar = page.get_by_role("navigation", name="Portal")
    for _ in range(3):  # the skip link, the brand, the first entry
        page.keyboard.press("Tab")
    expect(bar.get_by_role("link", name="Overview")).to_be_focused()
    page.keyboard.press("Tab")
    expect(bar.locator("summary").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(bar.get_by_role("link", name="Workflows")).to_be_focused()
    page.keyboard.press("Escape")
    expect(bar.locator("summary").first).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/workflows/$"))
    expect(page.get_by_role("heading", name="Workflows", exact=True)).to_be_visible()
