"""
One running product and one browser for each module of tests.

Decision: a module, not a session, since Playwright's loop holds the thread in which other modules run loops of their own.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.panel.browser.chromium import NAME, chromium, window
from tests.panel.browser.scene import Scene, scene
from tests.tools import require_tools


@pytest.fixture(scope="module")
def product() -> Iterator[Scene]:
    """The running product."""
    require_tools(NAME)
    with scene() as made:
        yield made


@pytest.fixture(scope="module")
def browser(product: Scene) -> Iterator[Browser]:
    """A browser; the product runs already."""
    assert product.process.poll() is None
    with chromium() as made:
        yield made


@pytest.fixture
def page(browser: Browser, product: Scene) -> Iterator[Page]:
    """A window of somebody who was never there before."""
    with window(browser, product) as made:
        yield made
