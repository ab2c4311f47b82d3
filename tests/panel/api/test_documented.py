"""The page about the API against the API."""

import re
from pathlib import Path

from streams.panel.api import API

PAGE = Path(__file__).parents[3] / "docs" / "api.md"


def test_every_call_is_on_the_page_with_its_right() -> None:
    """And nothing else is."""
    written = set(re.findall(r"^\| `(\w+) (\S+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    served = {
        (method, path.replace(":path", ""), right.value)
        for calls in API
        for (method, path), right in calls.rights.items()
    }

    assert written == served
