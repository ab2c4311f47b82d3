"""Debian's Chromium, driven by Playwright; nothing is downloaded."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.panel.browser.scene import Scene
from tests.panel.visitors import PASSWORD

NAME = "chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 30_000
"""A machine that is busy with other tests may be slow; what is there at once is not waited for."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=shutil.which(NAME), args=FLAGS, headless=True)
        yield browser
        browser.close()


@contextmanager
def window(browser: Browser, scene: Scene, **options: Any) -> Iterator[Page]:
    """A page of a browser that was never there before. A script's error, or a refusal by the content policy, fails."""
    context = browser.new_context(base_url=scene.address, locale="en-GB", timezone_id="Europe/Berlin", **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if _is_wrong(message.type, message.text) else None)
    yield page
    context.close()
    assert wrong == []


def sign_in(page: Page, name: str) -> None:
    """Sign in as somebody who comes to the panel's address."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()


def _is_wrong(kind: str, text: str) -> bool:
    """Pages with a status from 400 on are answers, too; what failed beside them is not."""
    return kind == "error" and re.search(r"responded with a status of 4\d\d", text) is None
