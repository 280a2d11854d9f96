"""A real Chromium on a real web server."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from consumption_cs.testing import NO_BROWSER, find_browser

expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong

WIDTHS = {"phone": 390, "desktop": 1440}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for this worker. Without one the test is skipped, but never in CI."""
    program = find_browser()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        # Playwright runs an event loop in this thread; Django would take that for asynchronous code and refuse.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def new_context(chromium: Browser, server: str) -> Iterator[Callable[..., BrowserContext]]:
    """A visitor with cookies of their own: `new_context(width=390, color_scheme="dark")`."""
    contexts: list[BrowserContext] = []

    def make(width: int = WIDTHS["desktop"], height: int = 900, **options: Any) -> BrowserContext:
        context = chromium.new_context(base_url=server, viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Iterator[Page]:
    """A page at desktop width. A message of the page's console that is an error fails the test."""
    page = new_context().new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


@pytest.fixture
def visit(new_context: Callable[..., BrowserContext]) -> Iterator[Callable[..., Page]]:
    """Open a page with cookies of its own. An error in the console of any of them fails the test."""
    errors: list[str] = []

    def opened(**options: Any) -> Page:
        page = new_context(**options).new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield opened
    assert errors == []
