"""Which page of a list an address asks for."""

from collections.abc import Callable
from typing import TypeVar

from streams.errors import UsageError
from streams.panel.problems import Problem
from streams.panel.web import Visit

Listed = TypeVar("Listed")


def page_asked_for(visit: Visit, listed: Callable[[str | None], Listed]) -> Listed:
    """The page whose cursor is `at` in the address, the first without one. Raises Problem for that of another list."""
    try:
        return listed(visit.asked.get("at") or None)
    except UsageError as error:
        raise Problem(visit.gettext("This address of a page is not complete. Begin with the first page.")) from error
