"""
Pictures of the panel for the docs: `python -m tests.panel.browser.screenshots [FOLDER]`.

Made on the running product with the records of the tests, in both themes, without a person's data.
"""

import argparse
from pathlib import Path

from playwright.sync_api import Page

from tests.panel.browser.chromium import chromium, sign_in, window
from tests.panel.browser.scene import OWNER, THIEF, TRAVELLER, Scene, scene

FOLDER = Path(__file__).parents[3] / "docs" / "screenshots"
SIZE = {"width": 1280, "height": 760}
THEMES = ("light", "dark")


def pages(product: Scene) -> dict[str, str]:
    """Each picture's name, and the path of the page."""
    return {
        "home": "/",
        "incidents": "/incidents?sort=likeliest",
        "incident": product.incident_of(THIEF),
        "account": f"/accounts/{TRAVELLER}",
        "policies": "/policies?scope=domain%3Aexample.org",
        "safe-networks": "/safe-networks",
        "domains": "/domains",
        "blocks": "/blocks",
        "people": "/people",
        "audit": "/audit",
    }


def take(folder: Path) -> list[Path]:
    """Every picture; their files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with scene() as product, chromium() as browser:
        for theme in THEMES:
            with window(browser, product, color_scheme=theme, viewport=SIZE) as page:
                sign_in(page, OWNER)
                made += [_taken(page, path, folder / f"{name}-{theme}.png") for name, path in pages(product).items()]
    return made


def _taken(page: Page, path: str, file: Path) -> Path:
    page.goto(path)
    page.screenshot(path=file, animations="disabled")
    return file


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make the pictures of the panel for the docs.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    for file in take(parser.parse_args().folder):
        print(f"{file} {file.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
