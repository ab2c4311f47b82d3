"""Every page for everybody: axe finds nothing against WCAG 2.2 AA, in both themes and on a narrow screen."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page

from streams.panel.nav import ENTRIES
from tests.panel.browser.chromium import sign_in, window
from tests.panel.browser.scene import ADMINISTRATOR, HOTEL, OWNER, THIEF, TRAVELLER, Scene

pytestmark = pytest.mark.browser

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
OPTIONS = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
"""What differs between the themes."""
FURTHER = (
    f"/accounts/{TRAVELLER}",
    f"/accounts/{TRAVELLER}/safe?address={HOTEL}",
    f"/accounts/{TRAVELLER}/block",
    f"/accounts?q={TRAVELLER.partition('@')[0]}",
    "/incidents?text=nothing-like-this",
    "/safe-networks/add",
    "/policies?scope=domain%3Aexample.org",
    "/policies/reset?scope=domain%3Aexample.org",
    "/domains/import",
    "/people/invite",
    "/profile",
    "/profile/tokens/new",
    "/profile/second-factor",
)


@pytest.fixture(scope="module")
def axe() -> Axe:
    """axe-core, as the package brings it."""
    return Axe()


def violations(axe: Axe, page: Page, options: dict[str, Any] = OPTIONS) -> list[str]:
    """What is wrong on a page: the rule, and the elements."""
    found = axe.run(page, options=options).response["violations"]
    return [f"{page.url}: {item['id']}: {_elements(item)}" for item in found]


def _elements(violation: dict[str, Any]) -> str:
    return "; ".join(
        f"{node['html'][:120]} ({' '.join(node['failureSummary'].split())})" for node in violation["nodes"][:3]
    )


@contextmanager
def opened(browser: Browser, product: Scene, name: str, **options: Any) -> Iterator[Page]:
    """A window in which somebody is signed in."""
    with window(browser, product, **options) as page:
        sign_in(page, name)
        yield page


def test_no_page_has_a_barrier(browser: Browser, product: Scene, axe: Axe) -> None:
    """Every page of the menu, an incident, an account, the forms, the profile; colours in both themes."""
    found: list[str] = []
    with window(browser, product, color_scheme="light") as page:
        page.set_content('<img src="data:,"><p style="color: #ccc; background: #fff">Hard to read</p>')
        assert len(violations(axe, page)) >= 3, "axe would find nothing at all"
        page.goto("/sign-in")
        found += violations(axe, page)
        sign_in(page, OWNER)
        for path in (*(entry[0] for entry in ENTRIES), product.incident_of(THIEF), *FURTHER):
            page.goto(path)
            assert page.get_by_role("heading", level=1).count() == 1, path
            found += violations(axe, page)
            page.emulate_media(color_scheme="dark")
            found += violations(axe, page, COLOURS)
            page.emulate_media(color_scheme="light")

    assert found == []


def test_a_narrow_screen_has_no_barrier_and_scrolls_in_one_direction(
    browser: Browser, product: Scene, axe: Axe
) -> None:
    """360 pixels are enough for every page; the menu opens over it."""
    found: list[str] = []
    wide: list[str] = []
    with opened(browser, product, OWNER, viewport={"width": 360, "height": 740}) as page:
        for path in (*(entry[0] for entry in ENTRIES), product.incident_of(THIEF), *FURTHER[:3]):
            page.goto(path)
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                wide.append(path)
        page.goto("/incidents")
        page.get_by_role("button", name="Menu").click()
        found += violations(axe, page)
        page.get_by_role("link", name="Blocks", exact=True).click()
        page.wait_for_url(re.compile("/blocks"))

    assert (found, wide) == ([], [])


def test_a_dialog_has_no_barrier_and_the_keyboard_leaves_it(browser: Browser, product: Scene, axe: Axe) -> None:
    """Opened with Enter on its link, the dialog has the focus; Escape closes it, and the focus is back on the link."""
    with opened(browser, product, ADMINISTRATOR) as page:
        page.goto(product.incident_of(TRAVELLER))
        opener = page.get_by_role("row").filter(has_text="Hotel Example").get_by_role("link", name="Mark as safe")
        opener.focus()
        page.keyboard.press("Enter")
        page.get_by_role("dialog").wait_for()
        found = violations(axe, page)
        assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached" if page.locator("dialog").count() == 0 else "hidden")
        assert opener.evaluate("link => link === document.activeElement")

    assert found == []
