"""The interface in a real browser: components, themes, keyboard, charts, the content security policy."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from consumption_cs.embedded import free_port
from consumption_cs.processes import Running, stop_all
from tests.conftest import wait_for_web


@pytest.fixture(scope="module")
def demo(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server in demo mode, where the style guide exists."""
    port = free_port(26000 + os.getpid() % 900)
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {"GRANIAN_PORT": str(port), "SITE_URL": url, "GRANIAN_WORKERS": "1", "DEMO": "1"}
    web = Running("web", environment, tmp_path_factory.mktemp("demo") / "web.log")
    try:
        wait_for_web(url, web)
        yield url
    finally:
        stop_all([web], seconds=5)


@pytest.fixture
def guide(page: Page, demo: str) -> Page:
    """The style guide, with its first chart drawn."""
    page.goto(f"{demo}/styleguide/")
    page.wait_for_selector("[data-chart=daily-spec][data-drawn]")
    return page


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/styleguide/?frame=portal", "/styleguide/?frame=staff", "/sign-in/login/", "/nowhere/"]
)
def test_pages_fit_and_are_accessible(
    new_context: Callable[..., BrowserContext], demo: str, path: str, theme: Any, width: int
) -> None:
    page = new_context(width=width, color_scheme=theme).new_page()
    page.goto(f"{demo}{path}")
    if "styleguide" in path:
        page.wait_for_selector("[data-chart=daily-spec][data-drawn]")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    violations = Axe().run(page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []


def test_a_name_in_a_chart_is_text_and_never_a_link(guide: Page) -> None:
    chart = guide.locator("[data-chart=success-spec]")
    chart.scroll_into_view_if_needed()
    guide.wait_for_selector("[data-chart=success-spec][data-drawn]")
    box = chart.bounding_box()
    assert box is not None
    guide.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    expect(chart.locator(".hoverlayer")).to_contain_text("<a href='https://evil.example'>triage</a>")
    assert chart.locator("a").count() == 0


def test_the_chosen_theme_is_kept_and_recolours_the_charts(guide: Page) -> None:
    bar = guide.locator("[data-chart=daily-spec] .bars path").first
    before = bar.evaluate("bar => getComputedStyle(bar).fill")
    guide.locator("[data-theme-toggle]").click()
    assert guide.evaluate("document.documentElement.dataset.theme") == "dark"
    assert bar.evaluate("bar => getComputedStyle(bar).fill") != before
    guide.reload()
    assert guide.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_numbers_of_a_chart_open_by_keyboard(guide: Page) -> None:
    summary = guide.locator("details.data summary").first
    summary.focus()
    guide.keyboard.press("Enter")
    expect(guide.locator("details.data table").first).to_be_visible()


def test_a_dangerous_button_asks_first_and_escape_cancels(guide: Page) -> None:
    guide.get_by_role("button", name="Revoke").first.click()
    dialog = guide.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    guide.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()


def test_code_is_copied_with_one_click(new_context: Callable[..., BrowserContext], demo: str) -> None:
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{demo}/styleguide/")
    page.locator("[data-copy=secret]").click()
    expect(page.locator("[data-copy=secret] .words")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "ccs_live_7f3a91c2e5d84b0f"


def test_messages_can_be_dismissed_and_slash_goes_to_the_search(guide: Page) -> None:
    guide.locator(".flash [data-dismiss]").first.click()
    assert guide.locator(".flash .alert").count() == 1
    guide.keyboard.press("/")
    expect(guide.locator("input[type=search]")).to_be_focused()


def test_without_script_text_tables_and_menus_are_all_there(
    new_context: Callable[..., BrowserContext], demo: str
) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto(f"{demo}/styleguide/")
    page.locator("details.data summary").first.click()
    expect(page.locator("details.data table").first).to_be_visible()
