"""
Lists as CSV, for pages and the API: their columns, and that whoever takes a list away is known afterwards.

Decision: a download is read a part at a time, each part in a transaction that is over before its first row is sent. A
client may be as slow as it likes: it holds no connection, no log of SQLite's and no snapshot of PostgreSQL's. Where a
change moves a row in the list, the keys are read first, so that nothing that moves meanwhile is left out or comes twice.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection
from starlette.responses import StreamingResponse

from streams.panel.asking import Asking
from streams.panel.forms import Form
from streams.panel.pages.csv_text import Cell, csv_download, moment
from streams.panel.pages.sentences import why
from streams.panel.problems import Problem
from streams.panel.store import audit, blocks, incidents, rules
from streams.panel.store.cursors import MOST, Page, whole
from streams.panel.store.writes import batched
from streams.panel.words import N_

Row = TypeVar("Row")
Key = TypeVar("Key")
PageAt = Callable[[Connection, str | None], Page[Row]]
"""Reads the page at a cursor."""
INCIDENTS = (
    N_("Incident"),
    N_("Account"),
    N_("Opened"),
    N_("Reason"),
    N_("Rule"),
    N_("Found"),
    N_("Allowed"),
    N_("Window in minutes"),
    N_("Messages in 24 hours"),
    N_("Countries"),
    N_("Networks"),
    N_("Likelihood of a takeover"),
    N_("Status"),
    N_("Blocked until"),
    N_("Verdict"),
    N_("Reviewed by"),
    N_("Reviewed at"),
)
BLOCKS = (
    N_("Account"),
    N_("Since"),
    N_("Ordered until"),
    N_("Ends"),
    N_("Reason"),
    N_("Incident"),
    N_("By"),
    N_("Lifted by"),
    N_("Why lifted"),
    N_("Networks that stay open"),
)
SAFE_NETWORKS = (N_("Scope"), N_("Network"), N_("Description"), N_("By"), N_("Since"), N_("Until"))
DOMAINS = ("domain", "group")
"""Not translated: the import takes the file again."""


def refuse_wrong_filters(form: Form) -> None:
    """Raises Problem with the first sentence about a filter: a download has no page that could show it beside its field."""
    if not form.ok:
        raise Problem(next(iter(form.errors.values())))


def incidents_csv(asking: Asking, wanted: incidents.Wanted) -> StreamingResponse:
    """The incidents that somebody wants."""
    return _download(asking, "incidents", INCIDENTS, _incidents(asking, wanted))


def blocks_csv(asking: Asking, wanted: blocks.Wanted) -> StreamingResponse:
    """The blocks that somebody wants."""
    return _download(asking, "blocks", BLOCKS, _blocks(asking, wanted))


def safe_networks_csv(asking: Asking, wanted: rules.SafeWanted) -> StreamingResponse:
    """The safe networks that somebody wants."""
    return _download(asking, "safe-networks", SAFE_NETWORKS, _safe_networks(asking, wanted))


def domains_csv(asking: Asking) -> StreamingResponse:
    """All domains with their groups, in the form that the import takes."""
    return _download(asking, "domains", DOMAINS, _domains(asking))


def _download(asking: Asking, what: str, columns: tuple[str, ...], rows: Iterator[list[Cell]]) -> StreamingResponse:
    """Keep that the reader exported `what`, with the filters in the address, and send it."""
    with asking.panel.store.writing() as connection:
        audit.note(
            connection,
            time_ms=asking.now_ms,
            actor=asking.reader.name,
            action="export",
            subject=what,
            address=asking.address,
            detail={"query": asking.query[:500]},
        )
    named = columns if columns is DOMAINS else tuple(asking.words.gettext(column) for column in columns)
    return csv_download(f"{what}.csv", named, rows)


def _incidents(asking: Asking, wanted: incidents.Wanted) -> Iterator[list[Cell]]:
    for row in _incident_rows(asking, wanted):
        yield [
            row.id,
            row.account,
            moment(row.opened_ms),
            why(asking.words, row.rule, row.count, row.limit, row.window),
            row.rule,
            row.count,
            row.limit,
            row.window,
            row.messages_24h,
            row.distinct_countries,
            row.networks_ever,
            row.score,
            row.status(asking.now_ms),
            moment(row.blocked_until_ms),
            row.verdict,
            row.reviewer,
            moment(row.reviewed_ms),
        ]


def _incident_rows(asking: Asking, wanted: incidents.Wanted) -> Iterator[incidents.IncidentRow]:
    visible, now_ms = asking.reader.visible, asking.now_ms

    def page(connection: Connection, cursor: str | None) -> Page[incidents.IncidentRow]:
        return incidents.listed(connection, visible, wanted, now_ms=now_ms, cursor=cursor, size=MOST)

    def some(connection: Connection, ids: Sequence[str]) -> Sequence[incidents.IncidentRow]:
        return incidents.some(connection, visible, wanted, ids, now_ms=now_ms)

    if wanted.sort == "newest":
        return _by_page(asking, page)
    return _by_key(asking, page, lambda row: row.id, some)  # each revision may make it likelier


def _blocks(asking: Asking, wanted: blocks.Wanted) -> Iterator[list[Cell]]:
    visible, now_ms = asking.reader.visible, asking.now_ms

    def page(connection: Connection, cursor: str | None) -> Page[blocks.BlockRow]:
        return blocks.listed(connection, visible, wanted, now_ms=now_ms, cursor=cursor, size=MOST)

    for row in _by_page(asking, page):
        yield [
            row.account,
            moment(row.from_ms),
            moment(row.until_ms),
            moment(row.ends_ms),
            row.reason,
            row.incident,
            row.actor,
            row.lifted_by,
            row.lifted_reason,
            " ".join(row.except_networks),
        ]


def _safe_networks(asking: Asking, wanted: rules.SafeWanted) -> Iterator[list[Cell]]:
    visible = asking.reader.visible

    def page(connection: Connection, cursor: str | None) -> Page[rules.SafeRow]:
        return rules.safe_networks(connection, visible, wanted, cursor=cursor, size=MOST)

    def some(connection: Connection, keys: Sequence[tuple[str, str]]) -> Sequence[rules.SafeRow]:
        return rules.some_safe_networks(connection, visible, wanted, keys)

    for row in _by_key(
        asking, page, lambda row: (row.scope, row.network), some
    ):  # who sets one again makes it the latest
        yield [row.scope, row.network, row.description, row.actor, moment(row.time_ms), moment(row.expires_ms)]


def _domains(asking: Asking) -> Iterator[list[Cell]]:
    visible = asking.reader.visible
    for row in _by_page(asking, lambda connection, at: rules.listed_domains(connection, visible, cursor=at, size=MOST)):
        yield [row.domain, row.group]


def _by_page(asking: Asking, page: PageAt[Row]) -> Iterator[Row]:
    """All rows of a list in which no row moves."""

    def read(cursor: str | None) -> Page[Row]:
        with asking.panel.store.reading() as connection:
            return page(connection, cursor)

    return whole(read)


def _by_key(
    asking: Asking,
    page: PageAt[Row],
    key: Callable[[Row], Key],
    some: Callable[[Connection, Sequence[Key]], Sequence[Row]],
) -> Iterator[Row]:
    """All rows of a list in the order that it has at the beginning, each as it is when its part is read."""
    with asking.panel.store.reading() as connection:
        keys = [key(row) for row in whole(lambda cursor: page(connection, cursor))]
    for part in batched(keys, MOST):
        with asking.panel.store.reading() as connection:
            found = {key(row): row for row in some(connection, part)}
        yield from (found[one] for one in part if one in found)
