"""Blocks: who is blocked until when and why, and who was."""

from dataclasses import dataclass, fields, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, select

from streams.panel.store.cursors import MOST, PAGE, Order, Page
from streams.panel.store.search import Search, find
from streams.panel.store.tables import ACCOUNT, BLOCK, DOMAIN
from streams.panel.store.visible import Visible, below
from streams.panel.store.wanted import accounts_with
from streams.panel.store.writes import among


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One block. `until_ms` is the end that was ordered, `ends_ms` the real one: lifted, or replaced by another block."""

    id: str
    account: str
    domain: str
    from_ms: int
    until_ms: int
    ends_ms: int
    reason: str
    incident: str | None
    """None when blocked by hand."""
    actor: str
    lifted_by: str | None
    lifted_reason: str | None
    except_networks: tuple[str, ...]

    def holds(self, now_ms: int) -> bool:
        """Whether it is in force."""
        return now_ms < self.ends_ms


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which blocks: in force now, or all that were read; `text` is a part of the account. `group` means with all below."""

    in_force: bool = True
    domain: str | None = None
    group: str | None = None
    text: str | None = None


ORDER = Order("latest", ("from_ms", "id"), (int, str))


def listed(
    connection: Connection,
    visible: Visible,
    wanted: Wanted,
    *,
    now_ms: int,
    cursor: str | None = None,
    size: int = PAGE,
) -> Page[BlockRow]:
    """One page of blocks, the latest first. Raises UsageError for a cursor of another list."""
    page = find(connection, _search(connection, visible, wanted, now_ms), ORDER, ORDER.parse(cursor), min(size, MOST))
    return replace(page, rows=tuple(block_row(row) for row in page.rows))


def of_account(connection: Connection, visible: Visible, account: str, *, most: int = PAGE) -> tuple[BlockRow, ...]:
    """The latest blocks of a canonical account, the newest first; the first one is in force if it `holds`."""
    query = select(BLOCK).where(BLOCK.c.account == account, visible.domain(BLOCK.c.domain, indexed=False))
    latest = query.order_by(BLOCK.c.from_ms.desc(), BLOCK.c.id.desc()).limit(most)
    return tuple(block_row(row) for row in connection.execute(latest))


def block_row(row: Row[Any]) -> BlockRow:
    """A row of the table `block`."""
    values = {name: getattr(row, name) for name in COLUMNS}
    values["except_networks"] = tuple(orjson.loads(row.except_networks))
    return BlockRow(**values)


def _search(connection: Connection, visible: Visible, wanted: Wanted, now_ms: int) -> Search:
    search = Search(BLOCK)
    if wanted.domain is not None:
        search.lead(lambda c: c.domain == wanted.domain)
        search.count(connection, lambda c: c.domain == wanted.domain)
    if wanted.in_force:
        search.filters.append(lambda c: c.ends_ms > now_ms)
        search.count(connection, lambda c: c.ends_ms > now_ms)
    if wanted.group is not None:
        _within(connection, search, select(DOMAIN.c.domain).where(below(DOMAIN.c.group, wanted.group)))
    if not visible.everything:
        _within(connection, search, select(DOMAIN.c.domain).where(visible.domain(DOMAIN.c.domain)))
    if wanted.text and wanted.text.strip():
        text = wanted.text.strip().lower()
        search.filters.append(lambda c: c.account.contains(text, autoescape=True))
        names = accounts_with(connection, text, ACCOUNT.c.blocks)
        if names is not None:
            search.offer(lambda c: among(connection, c.account, list(names)), sum(names.values()))
    return search


def _within(connection: Connection, search: Search, domains: Select[tuple[str]]) -> None:
    search.filters.append(lambda c: c.domain.in_(domains))
    search.count(connection, lambda c: c.domain.in_(domains))


COLUMNS = tuple(field.name for field in fields(BlockRow))
