"""Security incidents: the list with its filters, its live news and its CSV."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from sqlalchemy import Connection
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from streams.panel.pages.exports import incidents_csv, refuse_wrong_filters
from streams.panel.pages.incident_filters import Asked, asked_of, rule_choices, sort_links, status_choices
from streams.panel.pages.likely import likelihood
from streams.panel.pages.paging import page_asked_for
from streams.panel.pages.sentences import briefly
from streams.panel.pages.verdicts import VERDICTS
from streams.panel.rights import Right
from streams.panel.store import Page, incidents, rules
from streams.panel.streams import Streamed
from streams.panel.web import Pages, Visit

PATH = "/incidents"
SUGGESTED = 200
"""Domains and groups that the filters suggest; more can be typed."""
MOST_NEW = 99
"""New incidents are counted up to here."""
NEWS_EVERY_S = 20.0
"""A page that waits hears at least so often that the panel lives."""
NEWS_PAUSE_S = 1.0
"""Incidents come in batches, many a second under load: a page asks once for all of that time."""
NEWS_LAST_S = 300.0
"""After this a page asks anew, and its session and rights are checked again."""

pages = Pages()


@pages.get(PATH, right=Right.READ)
def listing(visit: Visit) -> Response:
    """The incidents in the reader's scope, as asked for."""
    asked = asked_of(visit)
    visible = visit.reader.visible
    with visit.panel.store.reading() as connection:
        seen = visit.panel.store.changes.of(("incidents",))
        page = page_asked_for(
            visit, lambda at: incidents.listed(connection, visible, asked.wanted, now_ms=visit.now_ms, cursor=at)
        )
        domains = rules.domains(connection, visible, most=SUGGESTED)
        groups = rules.groups(connection, visible)[:SUGGESTED]
        unreviewed = incidents.unreviewed(connection, visible)
        first = not visit.asked.get("at")
        newest = _newest_ms(connection, visit, asked.wanted, page) if first else 0
    return visit.page(
        "pages/incidents.html",
        asked=asked,
        form=asked.form,
        page=page,
        unreviewed=unreviewed,
        domains=[row.domain for row in domains],
        groups=groups,
        statuses=status_choices(visit.words),
        rules=rule_choices(visit.words),
        sorts=sort_links(visit.words, asked, PATH),
        verdicts=VERDICTS,
        briefly=briefly,
        likelihood=likelihood,
        news=asked.address(f"{PATH}/news", seen=str(seen), newest=str(newest)) if first else "",
        next=asked.address(PATH, at=page.next) if page.next else "",
        previous=asked.address(PATH, at=page.previous) if page.previous else "",
        export=asked.address("/incidents.csv") if visit.may(Right.EXPORT) else "",
    )


@pages.get(f"{PATH}/news", right=Right.READ)
def news(visit: Visit) -> Response:
    """Events that say how many incidents have opened since the page was made, for its script."""
    seen, newest = (_number(visit.asked.get(name, "")) for name in ("seen", "newest"))
    events = EventSourceResponse(_news(visit, asked_of(visit), seen, newest), ping=int(NEWS_EVERY_S))
    assert visit.session is not None
    return Streamed(visit.panel.streams, visit.session.session_id, events)


@pages.get("/incidents.csv", right=Right.EXPORT)
def export(visit: Visit) -> Response:
    """The incidents as asked for, as CSV."""
    asked = asked_of(visit)
    refuse_wrong_filters(asked.form)
    return incidents_csv(visit, asked.wanted)


async def _news(visit: Visit, asked: Asked, seen: int, newest: int) -> AsyncIterator[ServerSentEvent]:
    """An event whenever incidents have come in; ends after a while, and the browser asks anew."""
    changes = visit.panel.store.changes
    ends_ms = visit.panel.now_ms() + int(NEWS_LAST_S * 1000)
    told = 0
    while not changes.closed and (left_ms := ends_ms - visit.panel.now_ms()) > 0:
        found = await run_in_threadpool(_opened_since, visit, asked, newest)
        if found > told:
            told = found
            yield ServerSentEvent(_sentence(visit, found), event="news")
        seen = await changes.wait_async(seen, min(NEWS_EVERY_S, left_ms / 1000), ("incidents",))
        await asyncio.sleep(NEWS_PAUSE_S)


def _opened_since(visit: Visit, asked: Asked, newest: int) -> int:
    since_ms = max(newest + 1, asked.wanted.since_ms or 0)
    wanted = replace(asked.wanted, since_ms=since_ms, sort="newest")
    with visit.panel.store.reading() as connection:
        page = incidents.listed(
            connection, visit.reader.visible, wanted, now_ms=visit.panel.now_ms(), size=MOST_NEW + 1
        )
    return len(page.rows)


def _sentence(visit: Visit, found: int) -> str:
    if found > MOST_NEW:
        return visit.gettext("More than %(number)s new incidents", number=MOST_NEW)
    return visit.words.ngettext("%(number)s new incident", "%(number)s new incidents", found)


def _newest_ms(
    connection: Connection, visit: Visit, wanted: incidents.Wanted, first: Page[incidents.IncidentRow]
) -> int:
    """When the newest incident that the page knows of opened; 0 for none. A first page by newest begins with it."""
    if wanted.sort != "newest":
        newest = replace(wanted, sort="newest")
        first = incidents.listed(connection, visit.reader.visible, newest, now_ms=visit.now_ms, size=1)
    return first.rows[0].opened_ms if first.rows else 0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
