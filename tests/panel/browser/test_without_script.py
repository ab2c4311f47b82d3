"""Reading and acting without JavaScript: every button is a form, every dialog a page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.eventually import eventually
from tests.panel.browser.chromium import sign_in, window
from tests.panel.browser.scene import ADMINISTRATOR, COMMUTER, Scene

pytestmark = pytest.mark.browser
TRAIN = "192.0.2.201"


@pytest.fixture
def page(browser: Browser, product: Scene) -> Iterator[Page]:
    """A browser that runs no script, in which an administrator is signed in."""
    with window(browser, product, java_script_enabled=False) as made:
        sign_in(made, ADMINISTRATOR)
        made.goto(product.incident_of(COMMUTER))
        yield made


def said(page: Page, text: str) -> None:
    """The page says at its top what was done."""
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


def reload_until_shown(page: Page, link: str) -> None:
    """The worker carries an order out in its own time, and a page without script does not change by itself."""

    def shown() -> bool:
        if page.get_by_role("link", name=link, exact=True).is_visible():
            return True
        page.reload()
        return False

    eventually(shown, 30, what=f"the page offers {link}")


def test_an_incident_is_reviewed(page: Page, product: Scene) -> None:
    """The form on the page is sent, and the page shows what was said."""
    page.get_by_label("Mobile connection").check()
    page.get_by_label("Note").fill("Trains.")
    page.get_by_role("button", name="Save the review").click()

    said(page, "The incident is reviewed as")
    expect(page.locator("#review .note")).to_have_text("Trains.")
    assert [item["verdict"] for item in product.written("reviews") if item["account"] == COMMUTER] == ["mobile"]


def test_an_account_is_blocked_and_let_in_again(page: Page) -> None:
    """Each order asks on a page of its own, is carried out by the worker, and shows."""
    page.get_by_role("link", name="Block", exact=True).click()
    page.get_by_label("Reason").fill("strange mails")
    page.get_by_role("button", name="Block").click()
    reload_until_shown(page, "Unblock")
    page.get_by_role("link", name="Unblock").click()
    page.get_by_label("Reason").fill("it was her")
    page.get_by_role("button", name="Unblock").click()

    reload_until_shown(page, "Block")


def test_a_network_is_marked_safe_and_a_mistake_stays(page: Page, product: Scene) -> None:
    """A description of blanks gets its sentence beside the field, and what was chosen stays."""
    page.get_by_role("row").filter(has_text=TRAIN).get_by_role("link", name="Mark as safe").click()
    page.get_by_label("Why do you trust this IP?").fill("   ")
    page.get_by_label("Range").select_option("24")
    page.get_by_role("button", name="Mark as safe").last.click()
    expect(page.locator("#e-description")).to_be_visible()
    expect(page.get_by_label("Range")).to_have_value("24")

    page.get_by_label("Why do you trust this IP?").fill("Wireless network of the trains")
    page.get_by_role("button", name="Mark as safe").last.click()

    said(page, "192.0.2.0/24 is safe for")
    assert "192.0.2.0/24" in [item["network"] for item in product.written("safe-networks")]
