"""
Incidents as pages show them: the list, one with all its evidence, and how many there are.

What an incident's own record says of its block is corrected by the topic `blocks`: lifted and replaced blocks have ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from streams.panel.store.blocks import BlockRow, block_row
from streams.panel.store.cursors import MOST, PAGE, Order, Page
from streams.panel.store.packing import unpacked
from streams.panel.store.search import find
from streams.panel.store.tables import BLOCK, DOMAIN, INCIDENT, INCIDENT_RECORD, REVIEW
from streams.panel.store.visible import Visible
from streams.panel.store.wanted import RULES, SORTS, STATUSES, VERDICTS, Wanted, search_of
from streams.panel.store.writes import among

__all__ = [
    "RULES",
    "SORTS",
    "STATUSES",
    "VERDICTS",
    "Counts",
    "Incident",
    "IncidentRow",
    "ReviewRow",
    "Wanted",
    "counts",
    "listed",
    "of_account",
    "one",
    "reviews_of_account",
    "some",
    "unreviewed",
]

Status = Literal["reviewed", "observed", "blocked", "open", "reported"]


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One line of the list. `window` in minutes; `score` as `score.likelihood` explains, 0 to 100."""

    id: str
    revision: int
    account: str
    domain: str
    opened_ms: int
    revised_ms: int
    rule: str
    mode: str
    count: int
    limit: int
    window: int
    networks_ever: int
    distinct_countries: int
    messages_24h: int
    blocked_until_ms: int | None
    """The real end of the block that it caused, also when that is over; None when it caused none."""
    lasts_until_ms: int
    summary: str
    score: int
    verdict: str | None
    """Of the last review; None = not reviewed."""
    reviewed_ms: int | None
    reviewer: str

    def status(self, now_ms: int) -> Status:
        """
        What a list says of it: `reviewed`, else `blocked` (its block is in force), `observed` (nobody was blocked or
        told), `open` (it goes on: the next login may be of it), `reported`.
        """
        if self.verdict is not None:
            return "reviewed"
        if self.is_blocked(now_ms):
            return "blocked"
        if self.mode == "observe":
            return "observed"
        return "open" if now_ms < self.lasts_until_ms else "reported"

    def is_blocked(self, now_ms: int) -> bool:
        """Whether its block is in force."""
        return self.blocked_until_ms is not None and now_ms < self.blocked_until_ms


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What somebody found about an incident."""

    id: str
    incident: str
    account: str
    time_ms: int
    verdict: str
    note: str
    actor: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident with everything: `record` has the fields of the Incident record, times as `int` ms."""

    row: IncidentRow
    record: dict[str, Any]
    reviews: tuple[ReviewRow, ...]
    """Newest first."""
    block: BlockRow | None
    """The block that it caused."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many in a scope: incidents without a review, opened since midnight, going on; accounts blocked now."""

    unreviewed: int
    today: int
    open: int
    blocked: int


ORDERS = {
    "newest": Order("newest", ("opened_ms", "id"), (int, str)),
    "likeliest": Order("likeliest", ("score", "opened_ms", "id"), (int, int, str)),
}


def listed(
    connection: Connection,
    visible: Visible,
    wanted: Wanted,
    *,
    now_ms: int,
    cursor: str | None = None,
    size: int = PAGE,
) -> Page[IncidentRow]:
    """
    One page of the list, at most `size` rows (500 at most).

    Raises UsageError for a cursor of another list, and for an unknown status, rule or sort.
    """
    search = search_of(connection, visible, wanted, now_ms)
    order = ORDERS[wanted.sort]
    page = find(connection, search, order, order.parse(cursor), min(size, MOST))
    return replace(page, rows=tuple(_row(row) for row in page.rows))


def some(
    connection: Connection, visible: Visible, wanted: Wanted, ids: Sequence[str], *, now_ms: int
) -> tuple[IncidentRow, ...]:
    """Of these incidents (500 at most) the ones that the list has now: for an export."""
    search = search_of(connection, visible, wanted, now_ms)
    search.few = lambda c: among(connection, c.id, ids)
    found = find(connection, search, ORDERS[wanted.sort], None, MOST)
    return tuple(_row(row) for row in found.rows)


def one(connection: Connection, visible: Visible, incident: str) -> Incident | None:
    """An incident with its reviews and its block; None when there is none of this id within what is visible."""
    query = (
        select(INCIDENT, INCIDENT_RECORD.c.record)
        .join(INCIDENT_RECORD, INCIDENT_RECORD.c.id == INCIDENT.c.id)
        .where(INCIDENT.c.id == incident, visible.domain(INCIDENT.c.domain))
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    reviews = select(REVIEW).where(REVIEW.c.incident == incident).order_by(REVIEW.c.offset.desc())
    block = connection.execute(select(BLOCK).where(BLOCK.c.incident == incident).order_by(BLOCK.c.from_ms)).first()
    return Incident(
        _row(row),
        unpacked(row.record),
        tuple(_review(found) for found in connection.execute(reviews)),
        None if block is None else block_row(block),
    )


def of_account(connection: Connection, visible: Visible, account: str, *, most: int = PAGE) -> tuple[IncidentRow, ...]:
    """The newest incidents of a canonical account."""
    query = select(INCIDENT).where(INCIDENT.c.account == account, visible.domain(INCIDENT.c.domain, indexed=False))
    newest = query.order_by(INCIDENT.c.opened_ms.desc(), INCIDENT.c.id.desc()).limit(most)
    return tuple(_row(row) for row in connection.execute(newest))


def reviews_of_account(
    connection: Connection, visible: Visible, account: str, *, most: int = PAGE
) -> tuple[ReviewRow, ...]:
    """The newest reviews of a canonical account's incidents."""
    query = select(REVIEW).where(REVIEW.c.account == account, visible.domain(REVIEW.c.domain, indexed=False))
    newest = query.order_by(REVIEW.c.time_ms.desc(), REVIEW.c.offset.desc()).limit(most)
    return tuple(_review(row) for row in connection.execute(newest))


def counts(connection: Connection, visible: Visible, *, now_ms: int, today_ms: int) -> Counts:
    """How many; `today_ms` is when the reader's day began."""

    def number(table: Table, condition: ColumnElement[bool], *, indexed: bool = False) -> int:
        seen = visible.domain(table.c.domain, indexed=indexed)
        return connection.execute(select(func.count()).select_from(table).where(condition, seen)).scalar_one()

    return Counts(
        unreviewed(connection, visible),
        number(INCIDENT, INCIDENT.c.opened_ms >= today_ms, indexed=True),  # there is one of domain and time
        number(INCIDENT, INCIDENT.c.lasts_until_ms > now_ms),
        number(BLOCK, BLOCK.c.ends_ms > now_ms),
    )


def unreviewed(connection: Connection, visible: Visible) -> int:
    """How many incidents wait for a review: the banner's number. Cheap enough for every page."""
    total = select(func.coalesce(func.sum(DOMAIN.c.unreviewed), 0)).where(visible.domain(DOMAIN.c.domain))
    return int(connection.execute(total).scalar_one())


def _row(row: Row[Any]) -> IncidentRow:
    values = {name: getattr(row, name) for name in COLUMNS}
    values["blocked_until_ms"] = row.blocked_until_ms or None
    values["verdict"] = row.verdict or None
    return IncidentRow(**values)


def _review(row: Row[Any]) -> ReviewRow:
    return ReviewRow(row.id, row.incident, row.account, row.time_ms, row.verdict, row.note, row.actor)


COLUMNS = tuple(field.name for field in fields(IncidentRow))
