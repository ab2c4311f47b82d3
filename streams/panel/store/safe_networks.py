"""Safe networks, and what one would cover of what was seen in incidents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, true, tuple_

from streams.core.accounts import EVERYONE, domain_of
from streams.core.addresses import Network, contains, parse_network
from streams.core.refusal import Refused
from streams.panel.store.cursors import MOST, PAGE, Order, Page, page_of
from streams.panel.store.ranges import cidr, inside
from streams.panel.store.tables import DOMAIN, NETWORK, SAFE_NETWORK
from streams.panel.store.visible import Visible, below

COUNTED = 2_000
"""How far the accounts and networks that would be covered are counted."""
MOST_LETTERS = 50
"""Letters beyond ASCII of a searched text that are found in both cases: more than an alphabet has."""
FEW_NETWORKS = 20_000
"""Networks of a scope that are all looked at, rather than all networks inside."""


@dataclass(frozen=True, slots=True)
class SafeRow:
    """One safe network. `expires_ms` None = never."""

    scope: str
    network: str
    description: str
    actor: str
    time_ms: int
    expires_ms: int | None

    def holds(self, now_ms: int) -> bool:
        """Whether it has not expired."""
        return self.expires_ms is None or now_ms < self.expires_ms


@dataclass(frozen=True, slots=True)
class SafeWanted:
    """Which safe networks; `text` is a part of the scope, network, description or actor, or an address inside."""

    scope: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """A network that a safe network would cover: seen in an incident of an account."""

    account: str
    network: str
    address: str
    country: str | None
    city: str | None
    owner: str | None
    last_ms: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a safe network would cover in view: the latest networks, and of how many accounts and networks they are."""

    accounts: int
    networks: int
    shown: tuple[Covered, ...]
    more: bool
    """Whether the numbers are lower bounds, because counting was broken off."""


ORDER = Order("latest", ("time_ms", "scope", "network"), (int, str, str))


def safe_networks(
    connection: Connection, visible: Visible, wanted: SafeWanted, *, cursor: str | None = None, size: int = PAGE
) -> Page[SafeRow]:
    """One page of safe networks in view, the latest first; expired ones too. Raises UsageError for a bad cursor."""
    found, size = ORDER.parse(cursor), min(size, MOST)
    query = ORDER.sort(_fitting(connection, visible, wanted), SAFE_NETWORK.c, found).limit(size + 1)
    return page_of([_safe(row) for row in connection.execute(query)], ORDER, found, size)


def some_safe_networks(
    connection: Connection, visible: Visible, wanted: SafeWanted, keys: Sequence[tuple[str, str]]
) -> tuple[SafeRow, ...]:
    """Of these scopes and CIDRs the ones that fit, in no order: for an export."""
    these = tuple_(SAFE_NETWORK.c.scope, SAFE_NETWORK.c.network).in_(keys)
    return tuple(_safe(row) for row in connection.execute(_fitting(connection, visible, wanted).where(these)))


def safe_network(connection: Connection, visible: Visible, scope: str, network: str) -> SafeRow | None:
    """One safe network by its canonical scope and CIDR; None when there is none in view."""
    c = SAFE_NETWORK.c
    query = select(SAFE_NETWORK).where(c.scope == scope, c.network == network, visible.scope(c.domain, c.group))
    row = connection.execute(query).first()
    return None if row is None else _safe(row)


def coverage(
    connection: Connection, visible: Visible, network: str, *, scope: str = "everyone", most: int = PAGE
) -> Coverage:
    """
    What a safe network for a canonical scope would cover of the networks seen in incidents in view.

    Raises Refused for what is no CIDR.
    """
    c = NETWORK.c
    fits = _reached(connection, visible, parse_network(network), scope)
    needed = select(c.account, c.start, c.prefix, c.address, c.country, c.city, c.owner, c.last_ms).where(*fits)
    found = [
        Covered(account, cidr(start, prefix), *seen)
        for account, start, prefix, *seen in connection.execute(needed.limit(COUNTED + 1))
    ]
    latest = sorted(found, key=lambda row: (-row.last_ms, row.account, row.network))
    accounts = len({row.account for row in found})
    return Coverage(accounts, len(found), tuple(latest[:most]), len(found) > COUNTED)


def _reached(connection: Connection, visible: Visible, network: Network, scope: str) -> list[ColumnElement[bool]]:
    """
    The conditions on rows of `network`, so that few are looked at: those of the scope where they are few, else those
    inside, of which then many are in the scope.
    """
    kind, _, name = scope.partition(":")
    c = NETWORK.c
    if kind == "account":
        own = [c.domain == domain_of(name), c.account == name]
        return [*own, inside(network, indexed=False), visible.domain(c.domain, indexed=False)]
    if kind == EVERYONE and visible.everything:
        return [inside(network)]
    domains = select(DOMAIN.c.domain).where(_of_scope(kind, name), visible.domain(DOMAIN.c.domain))
    some = select(c.account).where(c.domain.in_(domains)).limit(FEW_NETWORKS + 1).subquery()
    if connection.execute(select(func.count()).select_from(some)).scalar_one() <= FEW_NETWORKS:
        return [c.domain.in_(domains), inside(network, indexed=False)]
    return [inside(network), func.coalesce(c.domain, "").in_(domains)]


def _of_scope(kind: str, name: str) -> ColumnElement[bool]:
    """The condition that a row of `domain` is within the scope of a domain, a group, or everyone."""
    if kind == "domain":
        return DOMAIN.c.domain == name
    return below(DOMAIN.c.group, name) if kind == "group" else true()


def _fitting(connection: Connection, visible: Visible, wanted: SafeWanted) -> Select[Any]:
    c = SAFE_NETWORK.c
    query = select(SAFE_NETWORK).where(visible.scope(c.domain, c.group))
    if wanted.scope is not None:
        query = query.where(c.scope == wanted.scope)
    if wanted.text and wanted.text.strip():
        query = query.where(_matches(connection, wanted.text.strip()))
    return query


def _matches(connection: Connection, text: str) -> ColumnElement[bool]:
    c = SAFE_NETWORK.c
    lower = text.lower()
    parts: list[ColumnElement[bool]] = [
        _folded(column, lower).contains(lower, autoescape=True)
        for column in (c.scope, c.network, c.description, c.actor)
    ]
    try:
        asked = parse_network(text)
    except Refused:
        return or_(*parts)
    around = [network for network in _known(connection) if contains(parse_network(network), asked)]
    return or_(*parts, c.network.in_(around))


def _folded(column: ColumnElement[str], lower: str) -> ColumnElement[str]:
    """A column in lower case as far as a text asks for it: `lower` of both databases knows the letters of ASCII alone."""
    folded: ColumnElement[str] = func.lower(column)
    for letter in sorted(set(lower))[-MOST_LETTERS:]:
        capital = letter.upper()
        if not letter.isascii() and capital != letter:
            folded = func.replace(folded, capital, letter)
    return folded


def _known(connection: Connection) -> list[str]:
    return list(connection.execute(select(SAFE_NETWORK.c.network).distinct()).scalars())


def _safe(row: Row[Any]) -> SafeRow:
    return SafeRow(row.scope, row.network, row.description, row.actor, row.time_ms, row.expires_ms)
