"""Many tabs with lists in one browser: they share its few connections to the panel."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.panel.browser.chromium import sign_in
from tests.panel.browser.scene import ADMINISTRATOR, DOMAIN, Scene, tell
from tests.panel.pages import records

pytestmark = pytest.mark.browser
TABS = 7
"""More than the connections that a browser opens to one host, and than the streams that one session may have."""
LOOKED_AT = """shown => {
  Object.defineProperty(document, "hidden", { value: !shown, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""Playwright keeps every tab as if it were looked at."""


@contextmanager
def looking_at(page: Page) -> Iterator[None]:
    """This tab is in front, and another one afterwards."""
    page.evaluate(LOOKED_AT, True)
    yield
    page.evaluate(LOOKED_AT, False)


def opened(page: Page) -> Page:
    """A further tab of the same browser."""
    further = page.context.new_page()
    further.goto("/incidents")
    return further


def test_only_the_tab_that_is_looked_at_listens_and_the_others_catch_up(page: Page, product: Scene) -> None:
    """However many are open, pages open at once, and news reach whichever is in front."""
    sign_in(page, ADMINISTRATOR)
    tabs = []
    for _ in range(TABS):
        tabs.append(opened(page))
        with looking_at(tabs[-1]):
            expect(tabs[-1].get_by_role("heading", name="Security incidents", level=1)).to_be_visible()
    first, last = tabs[0], tabs[-1]

    with looking_at(last):
        tell(product.settings, records.told(records.taken_over(time.time_ns() // 1_000_000, f"dora@{DOMAIN}", "77")))
        expect(last.locator("[data-news]")).to_contain_text("1 new incident")
    expect(first.locator("[data-news]")).to_be_hidden()
    with looking_at(first):
        expect(first.locator("[data-news]")).to_contain_text("1 new incident")
