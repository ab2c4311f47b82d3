"""
Who did what when: changes read from the topics, and the panel's own events, as one list.

Changes outlive a wipe of the read model, because compacted topics keep only the last of each scope. Questions about an
account (`describe`) are not kept: they change nothing.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, insert

from streams.panel.store.cursors import BEYOND_ALL, MOST, PAGE, Order, Page, whole
from streams.panel.store.rows import placed
from streams.panel.store.search import Search, find
from streams.panel.store.tables import DEED
from streams.panel.store.visible import Visible

ACTIONS = (
    "policy.set",
    "policy.inherit",
    "safe.add",
    "safe.remove",
    "domain.set",
    "domain.remove",
    "account.block",
    "account.unblock",
    "account.reset",
    "incident.review",
)
"""Actions that come from topics. Panel events have names of their own, with `panel.` before them."""


@dataclass(frozen=True, slots=True)
class Deed:
    """
    One line of the audit. `before` and `after` are the record's fields where a rule was set or removed; None = nothing was
    (or is) set. `actor` is empty where the record does not say (a removal without the header `actor`).
    """

    id: str
    time_ms: int
    actor: str
    action: str
    scope: str
    account: str
    subject: str
    """What it was done to beyond scope and account: the CIDR, the incident's id, the person."""
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str
    """Where a panel event came from."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deeds; None = any. `action` is an action, or its beginning up to a dot (`policy.`, `panel.`)."""

    actor: str | None = None
    action: str | None = None
    account: str | None = None
    scope: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


ORDER = Order("latest", ("time_ms", "id"), (int, str))


def listed(
    connection: Connection, visible: Visible, wanted: Wanted, *, cursor: str | None = None, size: int = PAGE
) -> Page[Deed]:
    """One page, the newest first. Raises UsageError for a cursor of another list."""
    search = _search(connection, visible, wanted)
    page = find(connection, search, ORDER, ORDER.parse(cursor), min(size, MOST))
    return replace(page, rows=tuple(_deed(row) for row in page.rows))


def every(connection: Connection, visible: Visible, wanted: Wanted) -> Iterator[Deed]:
    """All of them, for an export."""
    return whole(lambda cursor: listed(connection, visible, wanted, cursor=cursor, size=MOST))


def of_account(connection: Connection, visible: Visible, account: str, *, most: int = PAGE) -> tuple[Deed, ...]:
    """What was done to one canonical account, the newest first: for its history."""
    return listed(connection, visible, Wanted(account=account), size=most).rows


def note(
    connection: Connection,
    *,
    time_ms: int,
    actor: str,
    action: str,
    subject: str = "",
    scope: str = "",
    address: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """
    Keep one of the panel's own events, for instance `sign_in`, `invite`, `export`; it is listed as `panel.<action>`.

    `scope` is a person's or a rule's scope that it concerns: readers of that scope see it; with none, only those who see
    everything. Never pass secrets in `detail`; it is listed as `after`.
    """
    whose = placed(scope)
    values = {
        "id": uuid.uuid4().hex,
        "time_ms": time_ms,
        "actor": actor,
        "action": f"panel.{action}",
        "scope": scope,
        "account": whose.account,
        "domain": whose.domain,
        "group": whose.group,
        "subject": subject,
        "reason": "",
        "before": None,
        "after": None if detail is None else orjson.dumps(detail).decode(),
        "address": address,
    }
    connection.execute(insert(DEED).values(values))


def _search(connection: Connection, visible: Visible, wanted: Wanted) -> Search:
    search = Search(DEED)
    for name in ("account", "actor"):
        value = getattr(wanted, name)
        if value is not None:
            _equal(connection, search, name, value)
    if wanted.scope is not None:
        search.filters.append(lambda c: c.scope == wanted.scope)
    if wanted.action is not None:
        first = wanted.action
        search.filters.append(lambda c: and_(c.action >= first, c.action < f"{first}{BEYOND_ALL}"))
        search.count(connection, search.filters[-1])
    since, until = wanted.since_ms, wanted.until_ms
    if since is not None:
        search.along.append(lambda c: c.time_ms >= since)
    if until is not None:
        search.along.append(lambda c: c.time_ms < until)
    if not visible.everything:
        search.filters.append(lambda c: visible.scope(c.domain, c.group))
        search.count(connection, lambda c: visible.scope(c.domain, c.group))
    return search


def _equal(connection: Connection, search: Search, name: str, value: str) -> None:
    search.lead(lambda c: c[name] == value)
    search.count(connection, lambda c: c[name] == value)


def _deed(row: Row[Any]) -> Deed:
    return Deed(
        row.id,
        row.time_ms,
        row.actor,
        row.action,
        row.scope,
        row.account,
        row.subject,
        row.reason,
        None if row.before is None else orjson.loads(row.before),
        None if row.after is None else orjson.loads(row.after),
        row.address,
    )
