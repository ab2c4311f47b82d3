"""What the panel is for, done by somebody who has never seen it: everything by clicking on what the pages show."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.panel.browser.chromium import sign_in
from tests.panel.browser.scene import ADMINISTRATOR, DOMAIN, HOTEL, THIEF, TRAVELLER, Scene

pytestmark = pytest.mark.browser


def row(page: Page, text: str) -> Locator:
    """The row of a table that has this text."""
    return page.get_by_role("row").filter(has_text=text)


def said(page: Page, text: str) -> None:
    """The page says at its top what was done."""
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


def test_the_takeover_is_found_understood_and_told_from_the_traveller(page: Page, product: Scene) -> None:
    """From the banner to both reviews, the hotel marked safe and the domain's policy changed."""
    sign_in(page, ADMINISTRATOR)
    expect(page.get_by_text("New security incidents detected")).to_be_visible()
    page.get_by_role("link", name="Look at them").click()

    tells_them_apart(page)
    understands_the_takeover(page)
    page.get_by_role("link", name="Security incidents").first.click()
    understands_the_traveller(page)
    marks_the_hotel(page)
    changes_the_policy(page)

    verdicts = {item["account"]: (item["verdict"], item["note"], item["actor"]) for item in product.written("reviews")}
    assert verdicts[THIEF] == ("compromised", "Password changed by telephone.", ADMINISTRATOR)
    assert verdicts[TRAVELLER] == ("travelling", "On holiday in Paris.", ADMINISTRATOR)
    [hotel] = [item for item in product.written("safe-networks") if item["actor"] == ADMINISTRATOR]
    assert (hotel["scope"], hotel["network"]) == (f"account:{TRAVELLER}", f"{HOTEL}/32")
    policies = {item["scope"]: item for item in product.written("policies")}
    assert policies[f"domain:{DOMAIN}"]["allowed_ips"] == 5
    assert policies[f"domain:{DOMAIN}"]["notify"] == ["postmaster@example.org"]


def test_a_typed_password_can_be_looked_at(page: Page) -> None:
    """A button shows it and hides it again; a form that is sent has it hidden."""
    page.goto("/sign-in")
    field, button = page.get_by_label("Password"), page.get_by_role("button", name="Show Password")
    field.fill("a heap of words")

    button.click()
    expect(field).to_have_attribute("type", "text")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(field).to_have_attribute("type", "password")


def tells_them_apart(page: Page) -> None:
    """The list has the likeliest on top, with its mark, and the traveller with another."""
    expect(page.get_by_role("heading", name="Security incidents", level=1)).to_be_visible()
    first = page.locator("tbody tr").first
    expect(first).to_contain_text(THIEF)
    expect(first).to_contain_text("likely taken over")
    expect(first).to_contain_text("614")
    expect(row(page, TRAVELLER)).not_to_contain_text("likely taken over")


def understands_the_takeover(page: Page) -> None:
    """The sentence, the networks, what speaks for a takeover; and says so."""
    page.get_by_role("link", name=THIEF).click()
    expect(page.get_by_role("heading", name=THIEF, level=1)).to_be_visible()
    expect(page.locator(".lead")).to_contain_text("6 networks")
    for place in ("São Paulo", "Hanoi", "Lagos"):
        expect(row(page, place).first).to_be_visible()
    signs = page.locator("#review .signals")
    expect(signs).to_contain_text("Compromised")
    expect(signs).to_contain_text("The usual network went on being used while logins came from BR")
    expect(page.get_by_text("billing@bank.example")).to_be_visible()
    page.get_by_role("link", name="Review", exact=True).click()
    reviews_as(page, "compromised", "Password changed by telephone.")


def understands_the_traveller(page: Page) -> None:
    """Home fell silent before the journey began."""
    page.get_by_role("link", name=TRAVELLER).click()
    signs = page.locator("#review .signals")
    expect(signs).to_contain_text("The usual network fell silent before logins came from FR")
    expect(signs).not_to_contain_text("Compromised")
    reviews_as(page, "travelling", "On holiday in Paris.")


def reviews_as(page: Page, verdict: str, note: str) -> None:
    """Choose a verdict, write a note, save."""
    page.locator(f'#review input[value="{verdict}"]').check()
    page.get_by_label("Note").fill(note)
    page.get_by_role("button", name="Save the review").click()
    said(page, "The incident is reviewed as")


def marks_the_hotel(page: Page) -> None:
    """In the dialog beside the hotel's address; nothing is saved without a reason."""
    row(page, "Hotel Example").get_by_role("link", name="Mark as safe").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(HOTEL)
    dialog.get_by_label("Why do you trust this IP?").fill("Hotel in Paris, until Sunday")
    dialog.get_by_role("button", name="Mark as safe").last.click()
    said(page, f"{HOTEL}/32 is safe for")
    page.get_by_role("link", name="Recent login activity").click()
    expect(row(page, HOTEL).first).to_contain_text("safe")
    page.go_back()


def changes_the_policy(page: Page) -> None:
    """From the incident to the policy of its domain: what is inherited stays so."""
    page.get_by_role("link", name="Change the domain's policy").click()
    expect(page.get_by_role("heading", name=DOMAIN, level=1)).to_be_visible()
    page.locator("#f-allowed_ips").fill("5")
    page.get_by_role("button", name="Update").last.click()
    said(page, DOMAIN)
    expect(page.locator("#f-allowed_ips")).to_have_value("5")
