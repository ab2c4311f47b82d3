"""The audit: who did what when, from the topics and from the panel itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from streams.core.accounts import LONGEST_NAME
from streams.errors import UsageError
from streams.panel.paths import segment
from streams.panel.people.deeds import FAMILIES, deed_text, details
from streams.panel.problems import NotFound
from streams.panel.rights import Right
from streams.panel.store import audit
from streams.panel.store.audit import Deed, Wanted
from streams.panel.web import Pages, Visit

pages = Pages()


@dataclass(frozen=True, slots=True)
class Line:
    """One deed as the page shows it."""

    deed: Deed
    text: str
    parts: list[tuple[str, str]]
    """What it was done to: texts, each with the path that it leads to, or none."""
    details: list[tuple[str, str]]


@pages.get("/audit", right=Right.AUDIT)
def audit_page(visit: Visit) -> Response:
    """One page of deeds, the newest first."""
    filters = {
        name: visit.asked.get(name, "")[:LONGEST_NAME] for name in ("actor", "action", "account", "since", "until")
    }
    wanted = Wanted(
        actor=filters["actor"].strip() or None,
        action=filters["action"] if filters["action"] in FAMILIES else None,
        account=filters["account"].strip().lower() or None,
        since_ms=_midnight_ms(filters["since"], 0),
        until_ms=_midnight_ms(filters["until"], 1),
    )
    try:
        with visit.panel.store.reading() as connection:
            page = audit.listed(connection, visit.reader.visible, wanted, cursor=visit.asked.get("from"))
    except UsageError as error:
        raise NotFound(str(error)) from error
    return visit.page(
        "people/audit.html",
        lines=[_line(visit, deed) for deed in page.rows],
        filters=filters,
        families=[(value, visit.gettext(text)) for value, text in FAMILIES.items()],
        older=_address(filters, page.next),
        newer=_address(filters, page.previous),
        is_filtered=any(filters.values()),
    )


def _line(visit: Visit, deed: Deed) -> Line:
    parts = []
    if deed.account:
        parts.append((deed.account, f"/accounts/{segment(deed.account)}"))
    elif deed.scope and not deed.action.startswith("panel."):  # there it only says who may see the line
        parts.append((deed.scope, ""))
    if deed.action == "incident.review":
        parts.append((visit.gettext("the incident"), f"/incidents/{segment(deed.subject)}"))
    elif deed.subject not in ("", deed.actor):
        parts.append((deed.subject, ""))
    return Line(deed, deed_text(visit.words, deed), parts, details(visit.words, deed))


def _midnight_ms(text: str, days: int) -> int | None:
    """The beginning of a day (GMT) that a date field holds, some days later; None for none."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _address(filters: Mapping[str, str], cursor: str | None) -> str:
    if cursor is None:
        return ""
    return "/audit?" + urlencode({**{name: value for name, value in filters.items() if value}, "from": cursor})
