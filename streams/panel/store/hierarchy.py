"""Domains and the groups they are in: the hierarchy as a tree, with how many incidents there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from streams.panel.store.cursors import MOST, PAGE, Order, Page, page_of
from streams.panel.store.tables import DOMAIN
from streams.panel.store.visible import Visible


@dataclass(frozen=True, slots=True)
class DomainRow:
    """A domain: its group ("" = none), whether the topic `domains` names it, and how many incidents it has."""

    domain: str
    group: str
    declared: bool
    incidents: int
    unreviewed: int


@dataclass(frozen=True, slots=True)
class GroupNode:
    """A group in the tree: its path, its last part, what is directly in it, and the counts with all below."""

    path: str
    name: str
    groups: tuple["GroupNode", ...]
    domains: tuple[DomainRow, ...]
    incidents: int
    unreviewed: int


@dataclass(frozen=True, slots=True)
class Tree:
    """The visible hierarchy: groups at the top, and domains without a group in view."""

    groups: tuple[GroupNode, ...]
    domains: tuple[DomainRow, ...]


ORDER = Order("domain", ("domain",), (str,), falling=False)


def domain(connection: Connection, visible: Visible, name: str) -> DomainRow | None:
    """One domain in view."""
    query = select(DOMAIN).where(DOMAIN.c.domain == name, visible.domain(DOMAIN.c.domain))
    row = connection.execute(query).first()
    return None if row is None else DomainRow(*row)


def domains(
    connection: Connection, visible: Visible, *, text: str = "", most: int | None = None
) -> tuple[DomainRow, ...]:
    """Domains in view by name, for choices and the tree; `text` is a part of the name."""
    query = _in_view(visible, text).order_by(DOMAIN.c.domain).limit(most)
    return tuple(DomainRow(*row) for row in connection.execute(query))


def listed_domains(
    connection: Connection, visible: Visible, *, text: str = "", cursor: str | None = None, size: int = PAGE
) -> Page[DomainRow]:
    """One page of the same. Raises UsageError for a bad cursor."""
    found, size = ORDER.parse(cursor), min(size, MOST)
    query = ORDER.sort(_in_view(visible, text), DOMAIN.c, found).limit(size + 1)
    return page_of([DomainRow(*row) for row in connection.execute(query)], ORDER, found, size)


def groups(connection: Connection, visible: Visible) -> tuple[str, ...]:
    """Paths of all groups in view, with the levels between, sorted."""
    query = select(DOMAIN.c.group).where(DOMAIN.c.group > "", visible.group(DOMAIN.c.group)).distinct()
    paths = set(connection.execute(query).scalars()) | visible.groups
    levels = {level for path in paths for level in _levels(path) if _is_seen(visible, level)}
    return tuple(sorted(levels))


def tree(connection: Connection, visible: Visible) -> Tree:
    """The hierarchy in view, with counts."""
    rows = domains(connection, visible)
    by_group: dict[str, list[DomainRow]] = {}
    for row in rows:
        by_group.setdefault(row.group if _is_seen(visible, row.group) else "", []).append(row)
    paths = {level for path in by_group if path for level in _levels(path) if _is_seen(visible, level)}
    below: dict[str, list[str]] = {}
    for path in sorted(paths):
        parent = path.rpartition("/")[0]
        below.setdefault(parent if parent in paths else "", []).append(path)
    top = tuple(_node(path, below, by_group) for path in below.get("", ()))
    return Tree(top, tuple(by_group.get("", ())))


def _in_view(visible: Visible, text: str) -> Select[Any]:
    query = select(DOMAIN).where(visible.domain(DOMAIN.c.domain))
    if text.strip():
        query = query.where(DOMAIN.c.domain.contains(text.strip().lower(), autoescape=True))
    return query


def _node(path: str, below: dict[str, list[str]], by_group: dict[str, list[DomainRow]]) -> GroupNode:
    inner = tuple(_node(child, below, by_group) for child in below.get(path, ()))
    own = tuple(by_group.get(path, ()))
    parts: tuple[GroupNode | DomainRow, ...] = (*inner, *own)
    return GroupNode(
        path,
        path.rpartition("/")[2],
        inner,
        own,
        sum(part.incidents for part in parts),
        sum(part.unreviewed for part in parts),
    )


def _levels(path: str) -> Iterable[str]:
    """
    A group and all above it.

    >>> list(_levels("a/b/c"))
    ['a/b/c', 'a/b', 'a']
    """
    while path:
        yield path
        path = path.rpartition("/")[0]


def _is_seen(visible: Visible, group: str) -> bool:
    return bool(group) and visible.covers(f"group:{group}", lambda _domain: None)
